"""A registered model of MLflow's store, as the guard sees it."""

from __future__ import annotations

from typing import Any

from mlflow.entities.model_registry import ModelVersion, ModelVersionTag
from mlflow.entities.model_registry.model_version_stages import (
    DEFAULT_STAGES_FOR_GET_LATEST_VERSIONS as ACTIVE_STAGES,
)
from mlflow.entities.model_registry.model_version_stages import get_canonical_stage
from mlflow.store.model_registry.dbmodels.models import SqlModelVersion
from sqlalchemy.orm import Session

from lifecycle.promotion.tables import model_uid

_PROMPT_SOURCES = frozenset({"dummy-source", "prompt-template"})  # mlflow.prompt.constants


class LockedModel:
    """Implements :class:`lifecycle.promotion.locked.LockedModel`."""

    def __init__(self, store: Any, plain: Any, session: Session, name: str) -> None:
        self._store = store
        self.plain = plain
        """MLflow's own methods, without the guard, in this transaction."""
        self.session = session
        row = store._get_registered_model(session, name)
        self.name: str = row.name
        self.uid = model_uid(row.workspace, row.name, row.creation_time)

    def stage_of(self, version: int) -> str:
        """MLflow's stage of a version."""
        stage: str = self._store._get_sql_model_version(self.session, self.name, version).current_stage
        return stage

    def is_prompt(self, version: int) -> bool:
        """Whether it is a prompt's version. Judged by its source, which nobody can change: it has no files."""
        source = self._store._get_sql_model_version(self.session, self.name, version).source
        return source in _PROMPT_SOURCES

    def holders(self, stage: str) -> list[int]:
        """Versions in MLflow's stage, ascending."""
        query = self._store._get_query(self.session, SqlModelVersion).filter(
            SqlModelVersion.name == self.name, SqlModelVersion.current_stage == get_canonical_stage(stage)
        )
        return sorted(row.version for row in query)

    def place(self, version: int, stage: str) -> None:
        """Put a version into a stage and archive every other version there."""
        if self.holders(stage) != [version]:
            stage = get_canonical_stage(stage)
            self.plain.transition_model_version_stage(self.name, version, stage, stage in ACTIVE_STAGES)

    def aliases(self) -> list[str]:
        """Every alias of the model."""
        row = self._store._get_registered_model(self.session, self.name)
        return sorted(alias.alias for alias in row.registered_model_aliases)

    def point(self, alias: str, version: int | None) -> None:
        """Point an alias to a version, or remove it."""
        if version is None:
            self.plain.delete_registered_model_alias(self.name, alias)
        else:
            self.plain.set_registered_model_alias(self.name, alias, version)

    def show(self, version: int, key: str, value: str) -> None:
        """Set a tag of a version, for people."""
        self.plain.set_model_version_tag(self.name, version, ModelVersionTag(key, value))

    def hide(self, version: int, key: str) -> None:
        """Remove a tag of a version, if it is there."""
        self.plain.delete_model_version_tag(self.name, version, key)

    def read(self, version: int) -> ModelVersion:
        """The version as MLflow answers with it, with everything that this transaction wrote."""
        self.session.flush()
        self.session.expire_all()
        return self.plain.get_model_version(self.name, version)
