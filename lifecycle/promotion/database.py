"""A registry's database: opened by its URI for administration, the guard's own tables, and MLflow's beside them.

The tables lie in one database so that one transaction covers both. Ledger and evidence are append-only: triggers
refuse everything but an insert (``migrations/versions/r0001_first.py``). MLflow's tables say which version holds
which stage, and where aliases point. They are read in plain SQL, because an audit has to see what is in the
database, not MLflow's view of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from lifecycle.domain.policy import PolicyBook
from lifecycle.domain.text import sha256_of
from lifecycle.errors import ConfigError, NotFound, Unavailable, UsageError

_SCHEME = "lifecycle+"
_DIALECTS = ("sqlite", "postgresql", "mysql")
_BUSY_MS = 20_000  # as MLflow waits for SQLite's lock
_FORMS = "sqlite:///mlflow.db, postgresql://USER@HOST/NAME or mysql+pymysql://USER@HOST/NAME"


def parse_uri(uri: str) -> sa.URL:
    """Parse a database's URI, with or without ``lifecycle+`` before it.

    Raises:
        UsageError: not a URI, or a kind of database that the guard does not support.
    """
    try:
        url = sa.make_url(uri.removeprefix(_SCHEME))
    except (sa.exc.ArgumentError, ValueError):
        raise UsageError(f"that is no database's URI; write {_FORMS}") from None
    if url.get_backend_name() not in _DIALECTS:
        raise UsageError(f"{url.drivername}: is no database that has a guard; write {_FORMS}")
    return url


def shown(url: sa.URL) -> str:
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
    except sa.exc.IntegrityError:
        raise
    except (sa.exc.DatabaseError, sa.exc.InterfaceError) as exc:
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


def _engine(url: sa.URL) -> Engine:
    try:
        engine = sa.create_engine(url)
    except sa.exc.NoSuchModuleError:
        raise UsageError(f"{url.drivername}: unknown driver; write {_FORMS}") from None
    except ModuleNotFoundError as exc:
        extra = url.get_backend_name()
        raise ConfigError(
            f"{url.drivername} needs the Python package {exc.name}, which is not installed. "
            f"Run: pip install 'mlflow-lifecycle[{extra}]', and write {_FORMS}"
        ) from None
    if url.get_backend_name() == "sqlite":
        patience = f"PRAGMA busy_timeout = {_BUSY_MS}"
        sa.event.listen(engine, "connect", lambda connection, _record: connection.execute(patience))
    return engine


METADATA = sa.MetaData()

EVIDENCE = sa.Table(
    "lifecycle_evidence",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, comment="Order of arrival."),
    sa.Column("model_uid", sa.String(64), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("stage", sa.String(50), nullable=False, comment="The policy's word."),
    sa.Column("evidence_id", sa.String(16), nullable=False),
    sa.Column("signed", sa.Text, nullable=False, comment="Compact JWS; verified on the way in and at each use."),
    sa.Column("received_from", sa.String(256), nullable=False, comment="As the server authenticated them."),
    sa.UniqueConstraint("model_uid", "version", "stage", "evidence_id", name="lifecycle_evidence_once"),
)

LEDGER = sa.Table(
    "lifecycle_ledger",
    METADATA,
    sa.Column("model_uid", sa.String(64), nullable=False),
    sa.Column("sequence", sa.Integer, nullable=False, autoincrement=False),
    sa.Column("action", sa.String(16), nullable=False, comment="As in entry, to find it by."),
    sa.Column("version", sa.Integer, nullable=False, comment="As in entry, to find it by."),
    sa.Column("request_key", sa.String(128), nullable=True, comment="As in entry, to find it by."),
    sa.Column("entry", sa.Text, nullable=False, comment="LedgerEntry.as_dict() as canonical JSON."),
    sa.PrimaryKeyConstraint("model_uid", "sequence", name="lifecycle_ledger_pk"),
    sa.Index("lifecycle_ledger_action", "model_uid", "action"),
    sa.Index("lifecycle_ledger_version", "model_uid", "version"),
    sa.UniqueConstraint("model_uid", "request_key", name="lifecycle_ledger_request_once"),
)

HEADS = sa.Table(
    "lifecycle_heads",
    METADATA,
    sa.Column("model_uid", sa.String(64), primary_key=True),
    sa.Column("model", sa.String(256), nullable=False, comment="Its name when the entry was written."),
    sa.Column(
        "sequence", sa.Integer, nullable=False, comment="Of the newest entry: an entry that is cut off is missed."
    ),
    sa.Column("hash", sa.String(64), nullable=False),
)

AUTHORS = sa.Table(
    "lifecycle_authors",
    METADATA,
    sa.Column("model_uid", sa.String(64), nullable=False),
    sa.Column("version", sa.Integer, nullable=False, autoincrement=False),
    sa.Column(
        "author", sa.String(256), nullable=False, comment="Who registered it, as the server authenticated them."
    ),
    sa.PrimaryKeyConstraint("model_uid", "version", name="lifecycle_authors_pk"),
)

QUEUE = sa.Table(
    "lifecycle_queue",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("model_uid", sa.String(64), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("stage", sa.String(50), nullable=False, comment="The policy's word."),
    sa.Column("actor", sa.String(256), nullable=False, comment="Whose refused promotion queued it."),
    sa.Column("request", sa.Text, nullable=False, comment="PromotionRequest.to_json()."),
    sa.Column("queued_at", sa.DateTime, nullable=False, comment="UTC."),
    sa.Column("worker", sa.String(128), nullable=True, comment="Who runs the gates, until leased_until (UTC)."),
    sa.Column("leased_until", sa.DateTime, nullable=True),
    sa.Column("starts", sa.Integer, nullable=False, default=0, comment="How often a worker has begun."),
    sa.Column(
        "finished_at", sa.DateTime, nullable=True, comment="UTC; when its evidence came in, or it was given up."
    ),
    sa.Index("lifecycle_queue_version", "model_uid", "version", "stage"),
)


REVISION = "0001"
"""The newest migration in ``migrations/versions``, which these tables correspond to."""

VERSION_TABLE = "lifecycle_alembic_version"
_VERSION = sa.Table(VERSION_TABLE, sa.MetaData(), sa.Column("version_num", sa.String(32), primary_key=True))


def create_tables(engine: Engine) -> None:
    """Create or upgrade the guard's tables for this release.

    Takes one select if there is nothing to do. Several server workers may call it at once.

    Raises:
        ConfigError: a newer release has upgraded them.
        Unavailable: another process has been upgrading them for too long.
    """
    with engine.connect() as connection:
        try:
            revision = connection.execute(sa.select(_VERSION.c.version_num)).scalar()
        except (sa.exc.OperationalError, sa.exc.ProgrammingError):
            revision = None  # no such table, most likely; an upgrade says what else it is
    if revision != REVISION:
        from lifecycle.promotion.migrations.upgrade import upgrade

        upgrade(engine)


def model_uid(workspace: str, name: str, creation_time_ms: int) -> str:
    """Key of a model's evidence and ledger; a model that is created again gets another one."""
    return sha256_of([workspace, name, creation_time_ms])


MODELS = sa.table(
    "registered_models", *map(sa.column, ("workspace", "name", "creation_time", "last_updated_time"))
)
VERSIONS = sa.table(
    "model_versions", *map(sa.column, ("workspace", "name", "version", "current_stage", "source", "creation_time"))
)
ALIASES = sa.table("registered_model_aliases", *map(sa.column, ("workspace", "name", "alias", "version")))
VERSION_TAGS = sa.table("model_version_tags", *map(sa.column, ("workspace", "name", "version", "key", "value")))

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
    if not wanted <= set(sa.inspect(connection).get_table_names()):
        raise NotFound(
            f"{shown(connection.engine.url)} holds no MLflow registry. The URI is the one that mlflow server "
            f"takes as --registry-store-uri, or else as --backend-store-uri"
        )


def registered_models(
    connection: Connection, policies: PolicyBook, name: str | None = None
) -> Mapping[str, RegisteredModel]:
    """All models by uid, or those of one name, with the holders of guarded stages."""
    models = sa.select(MODELS.c.workspace, MODELS.c.name, MODELS.c.creation_time)
    rows = connection.execute(models if name is None else models.where(MODELS.c.name == name)).all()
    found = {(r.workspace, r.name): RegisteredModel(r.workspace, r.name, model_uid(*r)) for r in rows}
    guarded = {
        stage.stage for p in (policies.default, *policies.models.values()) for stage in p.stages if stage.stage
    }
    held = sa.select(VERSIONS).where(VERSIONS.c.current_stage.in_(sorted(guarded))).order_by(VERSIONS.c.version)
    for row in connection.execute(held if name is None else held.where(VERSIONS.c.name == name)):
        if model := found.get((row.workspace, row.name)):
            model.stages.setdefault(row.current_stage, []).append(row.version)
    same = sa.and_(*(VERSIONS.c[name] == ALIASES.c[name] for name in ("workspace", "name", "version")))
    pointed = sa.select(ALIASES, VERSIONS.c.source).select_from(ALIASES.outerjoin(VERSIONS, same))
    for row in connection.execute(pointed if name is None else pointed.where(ALIASES.c.name == name)):
        model = found.get((row.workspace, row.name))
        if model and row.source not in _PROMPT_SOURCES:
            model.aliases[row.alias] = row.version
    return {model.uid: model for model in found.values()}
