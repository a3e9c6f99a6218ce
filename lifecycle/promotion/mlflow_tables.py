"""Reads MLflow's own tables: which version holds which stage, and where aliases point.

In plain SQL, because an audit has to see what is in the database, not MLflow's view of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, and_, column, inspect, select, table

from lifecycle.domain.policy import PolicyBook
from lifecycle.errors import NotFound
from lifecycle.promotion.database import shown
from lifecycle.promotion.tables import model_uid

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
        uid: See :func:`lifecycle.promotion.tables.model_uid`.
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
