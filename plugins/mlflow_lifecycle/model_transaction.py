"""A registered model of MLflow's store, for the guard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlflow.entities.model_registry import ModelVersion
from mlflow.entities.model_registry.model_version_stages import (
    DEFAULT_STAGES_FOR_GET_LATEST_VERSIONS as ACTIVE_STAGES,
)
from mlflow.entities.model_registry.model_version_stages import (
    STAGE_ARCHIVED,
    STAGE_DELETED_INTERNAL,
    get_canonical_stage,
)
from mlflow.store.model_registry.dbmodels.models import (
    SqlModelVersion,
    SqlModelVersionTag,
    SqlRegisteredModel,
    SqlRegisteredModelAlias,
)
from mlflow.utils.time import get_current_time_millis
from mlflow.utils.validation import _validate_model_version_tag
from sqlalchemy import BindParameter, ColumnElement, Executable, Table, bindparam, delete, insert, select, update
from sqlalchemy.orm import Session

from lifecycle.promotion.database import model_uid

_PROMPT_SOURCES = frozenset({"dummy-source", "prompt-template"})  # mlflow.prompt.constants

_MODELS: Table = SqlRegisteredModel.__table__
_VERSIONS: Table = SqlModelVersion.__table__
_ALIASES: Table = SqlRegisteredModelAlias.__table__
_TAGS: Table = SqlModelVersionTag.__table__


def _own(table: Table, *columns: str) -> tuple[ColumnElement[bool], ...]:
    """Condition for rows of a model in which these columns have the given values."""
    return tuple(table.c[column] == bindparam(f"the_{column}") for column in ("workspace", "name", *columns))


# building a statement takes several times as long as executing it, so each is built once
_FIND_MODEL = select(_MODELS.c.name, _MODELS.c.creation_time).where(*_own(_MODELS))
_FIND_VERSION = select(_VERSIONS.c.current_stage, _VERSIONS.c.source).where(
    *_own(_VERSIONS, "version"), _VERSIONS.c.current_stage != STAGE_DELETED_INTERNAL
)
_FIND_HOLDERS = select(_VERSIONS.c.version).where(*_own(_VERSIONS, "current_stage")).order_by(_VERSIONS.c.version)
_FIND_ALIAS = select(_ALIASES.c.version).where(*_own(_ALIASES, "alias"))
_FIND_ALIASES = select(_ALIASES.c.alias, _ALIASES.c.version).where(*_own(_ALIASES)).order_by(_ALIASES.c.alias)
_FIND_STAGED = (
    select(_VERSIONS.c.version, _VERSIONS.c.current_stage)
    .where(*_own(_VERSIONS), _VERSIONS.c.current_stage.in_(ACTIVE_STAGES))
    .order_by(_VERSIONS.c.version)
)
_NOW: BindParameter[int] = bindparam("the_last_updated_time")
_ARCHIVE = (
    update(_VERSIONS)
    .where(*_own(_VERSIONS, "current_stage"))
    .values(current_stage=STAGE_ARCHIVED, last_updated_time=_NOW)
)
_PLACE = (
    update(_VERSIONS)
    .where(*_own(_VERSIONS, "version"))
    .values(current_stage=bindparam("the_new_stage"), last_updated_time=_NOW)
)
_FIND_DESCRIPTION = select(_VERSIONS.c.description).where(*_own(_VERSIONS, "version"))
_DESCRIBE = (
    update(_VERSIONS)
    .where(*_own(_VERSIONS, "version"))
    .values(description=bindparam("the_description"), last_updated_time=_NOW)
)
_TOUCH = update(_MODELS).where(*_own(_MODELS)).values(last_updated_time=_NOW)
_CHANGE_TAG = update(_TAGS).where(*_own(_TAGS, "version", "key")).values(value=bindparam("the_value"))
_ADD_TAG = insert(_TAGS).values({c.name: bindparam(f"the_{c.name}") for c in _TAGS.c})
_DROP_TAG = delete(_TAGS).where(*_own(_TAGS, "version", "key"))


class SqlModelTransaction:
    """Implements :class:`lifecycle.promotion.guard.ModelTransaction`.

    Reads columns instead of MLflow's objects, which take many times as long. MLflow reports missing rows.
    """

    def __init__(self, store: Any, plain: Any, session: Session, name: str) -> None:
        self._store = store
        self.plain = plain
        """MLflow's own methods, without the guard, in this transaction."""
        self.session = session
        self._own = {"the_workspace": store._get_active_workspace(), "the_name": name}
        row = self._ask(_FIND_MODEL).first() or store._get_registered_model(session, name)
        self.name: str = row.name
        self._own["the_name"] = row.name
        self.uid = model_uid(self._own["the_workspace"], row.name, row.creation_time)

    def stage_of(self, version: int) -> str:
        """MLflow's stage of a version."""
        stage: str = self._row(version).current_stage
        return stage

    def is_prompt(self, version: int) -> bool:
        """Whether the version is a prompt's, by its source, which cannot be changed."""
        return self._row(version).source in _PROMPT_SOURCES

    def staged(self) -> list[tuple[int, str]]:
        """Versions that are in one of MLflow's active stages, with that stage."""
        return [(row.version, row.current_stage) for row in self._ask(_FIND_STAGED)]

    def place(self, version: int, stage: str) -> None:
        """Put a version into a stage and archive every other version there."""
        stage = get_canonical_stage(stage)
        if list(self._ask(_FIND_HOLDERS, current_stage=stage).scalars()) == [version]:
            return
        now = get_current_time_millis()
        if stage in ACTIVE_STAGES:
            self._ask(_ARCHIVE, current_stage=stage, last_updated_time=now)
        self._ask(_PLACE, version=version, new_stage=stage, last_updated_time=now)
        self._ask(_TOUCH, last_updated_time=now)

    def aliases(self) -> dict[str, int]:
        """Where every alias of the model points."""
        return {row.alias: row.version for row in self._ask(_FIND_ALIASES)}

    def point(self, alias: str, version: int | None) -> None:
        """Point an alias to a version, or remove it."""
        if self._ask(_FIND_ALIAS, alias=alias).scalar() == version:
            return
        if version is None:
            self.plain.delete_registered_model_alias(self.name, alias)
        else:
            self.plain.set_registered_model_alias(self.name, alias, version)

    def show(self, version: int, key: str, value: str) -> None:
        """Set a tag of a version, for people."""
        _validate_model_version_tag(key, value)
        if self._ask(_CHANGE_TAG, version=version, key=key, value=value).rowcount == 0:
            self._ask(_ADD_TAG, version=version, key=key, value=value)

    def hide(self, version: int, key: str) -> None:
        """Remove a tag of a version, if it is there."""
        self._ask(_DROP_TAG, version=version, key=key)

    def describe(self, version: int, change: Callable[[str], str]) -> None:
        """Change a version's description."""
        before = self._ask(_FIND_DESCRIPTION, version=version).scalar() or ""
        if (after := change(before)) != before:
            now = get_current_time_millis()
            self._ask(_DESCRIBE, version=version, description=after, last_updated_time=now)

    def read(self, version: int) -> ModelVersion:
        """The version as MLflow returns it, with the changes of this transaction."""
        self.session.flush()
        self.session.expire_all()
        return self.plain.get_model_version(self.name, version)

    def _row(self, version: int) -> Any:
        """The columns of a version."""
        found = self._ask(_FIND_VERSION, version=version).first()
        return found or self._store._get_sql_model_version(self.session, self.name, version)

    def _ask(self, statement: Executable, **the: Any) -> Any:
        """Execute a statement about this model, after flushing MLflow's own changed objects."""
        self.session.flush()
        return self.session.execute(statement, self._own | {f"the_{key}": value for key, value in the.items()})
