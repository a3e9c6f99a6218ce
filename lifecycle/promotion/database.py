"""x"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import (
    URL,
    Column,
    Connection,
    DateTime,
    Engine,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    and_,
    column,
    create_engine,
    event,
    inspect,
    make_url,
    select,
    table,
)
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    IntegrityError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
    ProgrammingError,
)

from lifecycle.domain.policy import PolicyBook
from lifecycle.domain.text import sha256_of
from lifecycle.errors import ConfigError, NotFound, Unavailable, UsageError

_SCHEME = "lifecycle+"
_DIALECTS = ("sqlite", "postgresql", "mysql")
_BUSY_MS = 20_000  # as MLflow waits for SQLite's lock
_FORMS = "sqlite:///mlflow.db, postgresql://USER@HOST/NAME or mysql+pymysql://USER@HOST/NAME"


def parse_uri(uri: str) -> URL:
    """Parse a database's URI, with or without ``lifecycle+`` before it.

    Raises:
        UsageError: not a URI, or a kind of database that the guard does not support.
    """
    try:
        url = make_url(uri.removeprefix(_SCHEME))
    except (ArgumentError, ValueError):
        raise UsageError(f"that is no database's URI; write {_FORMS}") from None
    if url.get_backend_name() not in _DIALECTS:
        raise UsageError(f"{url.drivername}: is no database that has a guard; write {_FORMS}")
    return url


def shown(url: URL) -> str:
    """The URI without its password."""
    return url.render_as_string(hide_password=True)


@contextmanager
def open_database(uri: str) -> Iterator[Engine]:
    """Connect to an existing database.

    Raises:
        UsageError, ConfigError: the URI is wrong, or its driver is not installed.
        NotFound: there is no such SQLite file, or it is not a database.
        Unavailable: the database does not answer, also later in the block.
    """
    url = parse_uri(uri)
    if url.get_backend_name() == "sqlite" and not (url.database and Path(url.database).is_file()):
        raise NotFound(
            f"{shown(url)}: no such file. Three slashes come before a relative path, four before others"
        )
    engine = _engine(url)
    try:
        with engine.connect():
            pass
        yield engine
    except IntegrityError:
        raise
    except (DatabaseError, InterfaceError) as exc:
        why = (str(exc.orig).strip() or repr(exc.orig)).splitlines()[0]
        raise Unavailable(f"{shown(url)} does not answer as it should: {why}") from exc
    finally:
        engine.dispose()


@contextmanager
def one_moment(engine: Engine) -> Iterator[Connection]:
    """A connection with a consistent view of the database for the whole block, which writes nothing.

    On SQLite (except in WAL mode) writers wait for its end; elsewhere they do not.
    """
    with engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN")
        else:
            connection.execution_options(isolation_level="REPEATABLE READ")
        yield connection
        connection.rollback()


def _engine(url: URL) -> Engine:
    try:
        engine = create_engine(url)
    except NoSuchModuleError:
        raise UsageError(f"{url.drivername}: unknown driver; write {_FORMS}") from None
    except ModuleNotFoundError as exc:
        extra = url.get_backend_name()
        raise ConfigError(
            f"{url.drivername} needs the Python package {exc.name}, which is not installed. "
            f"Run: pip install 'mlflow-lifecycle[{extra}]', and write {_FORMS}"
        ) from None
    if url.get_backend_name() == "sqlite":
        patience = f"PRAGMA busy_timeout = {_BUSY_MS}"
        event.listen(engine, "connect", lambda connection, _record: connection.execute(patience))
    return engine


METADATA = MetaData()

EVIDENCE = Table(
    "lifecycle_evidence",
    METADATA,
    Column("id", Integer, primary_key=True, comment="Order of arrival."),
    Column("model_uid", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("stage", String(50), nullable=False, comment="The policy's word."),
    Column("evidence_id", String(16), nullable=False),
    Column("signed", Text, nullable=False, comment="Compact JWS; verified on the way in and at each use."),
    Column("received_from", String(256), nullable=False, comment="As the server authenticated them."),
    UniqueConstraint("model_uid", "version", "stage", "evidence_id", name="lifecycle_evidence_once"),
)

LEDGER = Table(
    "lifecycle_ledger",
    METADATA,
    Column("model_uid", String(64), nullable=False),
    Column("sequence", Integer, nullable=False, autoincrement=False),
    Column("action", String(16), nullable=False, comment="As in entry, to find it by."),
    Column("version", Integer, nullable=False, comment="As in entry, to find it by."),
    Column("request_key", String(128), nullable=True, comment="As in entry, to find it by."),
    Column("entry", Text, nullable=False, comment="LedgerEntry.as_dict() as canonical JSON."),
    PrimaryKeyConstraint("model_uid", "sequence", name="lifecycle_ledger_pk"),
    Index("lifecycle_ledger_action", "model_uid", "action"),
    Index("lifecycle_ledger_version", "model_uid", "version"),
    UniqueConstraint("model_uid", "request_key", name="lifecycle_ledger_request_once"),
)

HEADS = Table(
    "lifecycle_heads",
    METADATA,
    Column("model_uid", String(64), primary_key=True),
    Column("model", String(256), nullable=False, comment="Its name when the entry was written."),
    Column(
        "sequence", Integer, nullable=False, comment="Of the newest entry: an entry that is cut off is missed."
    ),
    Column("hash", String(64), nullable=False),
)

AUTHORS = Table(
    "lifecycle_authors",
    METADATA,
    Column("model_uid", String(64), nullable=False),
    Column("version", Integer, nullable=False, autoincrement=False),
    Column("author", String(256), nullable=False, comment="Who registered it, as the server authenticated them."),
    PrimaryKeyConstraint("model_uid", "version", name="lifecycle_authors_pk"),
)

QUEUE = Table(
    "lifecycle_queue",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("model_uid", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("stage", String(50), nullable=False, comment="The policy's word."),
    Column("actor", String(256), nullable=False, comment="Whose refused promotion queued it."),
    Column("request", Text, nullable=False, comment="PromotionRequest.to_json()."),
    Column("queued_at", DateTime, nullable=False, comment="UTC."),
    Column("worker", String(128), nullable=True, comment="Who runs the gates, until leased_until (UTC)."),
    Column("leased_until", DateTime, nullable=True),
    Column("starts", Integer, nullable=False, default=0, comment="How often a worker has begun."),
    Column("finished_at", DateTime, nullable=True, comment="UTC; when its evidence came in, or it was given up."),
    Index("lifecycle_queue_version", "model_uid", "version", "stage"),
)


REVISION = "0001"
"""The newest migration in ``migrations/versions``, which these tables correspond to."""

VERSION_TABLE = "lifecycle_alembic_version"
_VERSION = Table(VERSION_TABLE, MetaData(), Column("version_num", String(32), primary_key=True))


def create_tables(engine: Engine) -> None:
    """Create or upgrade the guard's tables for this release.

    Takes one select if there is nothing to do. Several server workers may call it at once.

    Raises:
        ConfigError: a newer release has upgraded them.
        Unavailable: another process has been upgrading them for too long.
    """
    with engine.connect() as connection:
        try:
            revision = connection.execute(select(_VERSION.c.version_num)).scalar()
        except (OperationalError, ProgrammingError):  # no such table, most likely; an upgrade says what else it is
            revision = None
    if revision != REVISION:
        from lifecycle.promotion.migrations.upgrade import upgrade

        upgrade(engine)


def model_uid(workspace: str, name: str, creation_time_ms: int) -> str:
    """Key of a model's evidence and ledger; a model that is created again gets another one."""
    return sha256_of([workspace, name, creation_time_ms])


MODELS = table("registered_models", *map(column, ("workspace", "name", "creation_time", "last_updated_time")))
VERSIONS = table(
    "model_versions", *map(column, ("workspace", "name", "version", "current_stage", "source", "creation_time"))
)
ALIASES = table("registered_model_aliases", *map(column, ("workspace", "name", "alias", "version")))
VERSION_TAGS = table("model_version_tags", *map(column, ("workspace", "name", "version", "key", "value")))

_PROMPT_SOURCES = ("dummy-source", "prompt-template")  # mlflow.prompt.constants
_DEFAULT_WORKSPACE = "default"


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A registered model in MLflow's tables.

    Attributes:
        uid: See :func:`lifecycle.promotion.database.model_uid`.
        stages: The versions in each of MLflow's stages that any policy guards, ascending.
        aliases: Target of each alias, without those of prompts, which are not guarded.
    """

    workspace: str
    name: str
    uid: str
    stages: dict[str, list[int]] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)

    def staged(self) -> list[tuple[int, str]]:
        """Versions in guarded stages, with MLflow's stage that each is in."""
        return [(version, stage) for stage, versions in self.stages.items() for version in versions]

    @property
    def place(self) -> str:
        """Name of the model, with its workspace unless that is the default one."""
        return self.name if self.workspace == _DEFAULT_WORKSPACE else f"{self.name} (workspace {self.workspace})"


def check_mlflow(connection: Connection) -> None:
    """Check that MLflow has created the database. Raises NotFound."""
    wanted = {MODELS.name, VERSIONS.name, ALIASES.name, VERSION_TAGS.name}
    if not wanted <= set(inspect(connection).get_table_names()):
        raise NotFound(
            f"{shown(connection.engine.url)} holds no MLflow registry. The URI is the one that mlflow server "
            f"takes as --registry-store-uri, or else as --backend-store-uri"
        )


def registered_models(
    connection: Connection, policies: PolicyBook, name: str | None = None
) -> Mapping[str, RegisteredModel]:
    """All models by uid, or those of one name, with the holders of guarded stages."""
    models = select(MODELS.c.workspace, MODELS.c.name, MODELS.c.creation_time)
    rows = connection.execute(models if name is None else models.where(MODELS.c.name == name)).all()
    found = {(r.workspace, r.name): RegisteredModel(r.workspace, r.name, model_uid(*r)) for r in rows}
    guarded = {
        stage.stage for p in (policies.default, *policies.models.values()) for stage in p.stages if stage.stage
    }
    held = select(VERSIONS).where(VERSIONS.c.current_stage.in_(sorted(guarded))).order_by(VERSIONS.c.version)
    for row in connection.execute(held if name is None else held.where(VERSIONS.c.name == name)):
        if model := found.get((row.workspace, row.name)):
            model.stages.setdefault(row.current_stage, []).append(row.version)
    same = and_(*(VERSIONS.c[name] == ALIASES.c[name] for name in ("workspace", "name", "version")))
    pointed = select(ALIASES, VERSIONS.c.source).select_from(ALIASES.outerjoin(VERSIONS, same))
    for row in connection.execute(pointed if name is None else pointed.where(ALIASES.c.name == name)):
        model = found.get((row.workspace, row.name))
        if model and row.source not in _PROMPT_SOURCES:
            model.aliases[row.alias] = row.version
    return {model.uid: model for model in found.values()}
