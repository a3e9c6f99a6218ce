"""MLflow's own registry store with the guard inside: ``lifecycle+sqlite:///path`` and the like.

Every way into the registry (UI, REST, ``ajax-api``, any client, basic-auth or not) ends in these methods,
so this is where promotions are refused. What isn't about a guarded stage, a guarded alias or a reserved
tag goes to MLflow's code unchanged. A test holds the list of every public method and what it does here.

MLflow's client retries 5xx for minutes, so a refusal is always a 4xx.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import Any

import flask
from mlflow.entities.model_registry import ModelVersion, ModelVersionTag, RegisteredModel, RegisteredModelTag
from mlflow.entities.model_registry.model_version_stages import get_canonical_stage
from mlflow.environment_variables import MLFLOW_ENABLE_WORKSPACES
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    INVALID_PARAMETER_VALUE,
    PERMISSION_DENIED,
    RESOURCE_CONFLICT,
    RESOURCE_DOES_NOT_EXIST,
)
from mlflow.store.model_registry.dbmodels.models import SqlRegisteredModel
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
from mlflow.store.model_registry.sqlalchemy_workspace_store import WorkspaceAwareSqlAlchemyStore
from mlflow.utils.validation import _validate_model_version
from sqlalchemy import update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from lifecycle.domain.ledger import Action, LedgerEntry
from lifecycle.domain.policy import PolicyBook
from lifecycle.domain.promotion import PromotionRequest
from lifecycle.errors import Conflict, LifecycleError, NotFound, PromotionRefused, UsageError
from lifecycle.promotion.guard import Guard
from lifecycle.promotion.tables import create_tables
from lifecycle.registry.ruling import UNAUTHENTICATED
from lifecycle.registry.tags import GUARD_SAYS, PROMOTION, is_reserved, stage_of_evidence_key
from mlflow_lifecycle.locked_model import LockedModel

_SCHEME = "lifecycle+"
_READ_REPLICA = "_MLFLOW_SERVER_READ_REPLICA_BACKEND_STORE"  # mlflow.server.constants
_AUTH_APP = "mlflow.server.auth"
_CODES = {
    PromotionRefused: PERMISSION_DENIED,
    Conflict: RESOURCE_CONFLICT,
    NotFound: RESOURCE_DOES_NOT_EXIST,
    UsageError: INVALID_PARAMETER_VALUE,
}


def GuardedRegistryStore(store_uri: str) -> SqlAlchemyStore:  # noqa: N802 - the entry point's name
    """The entry point ``mlflow.model_registry_store``: MLflow calls it with ``lifecycle+<dialect>://…``.

    The policies are those of this process's configuration, read once, now.
    """
    from lifecycle.assembly import load_policies

    return guarded_store(store_uri, load_policies())


def guarded_store(
    store_uri: str, policies: PolicyBook, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> SqlAlchemyStore:
    """A guarded store over the database that ``store_uri`` names, with or without ``lifecycle+``."""
    kind = GuardedWorkspaceStore if MLFLOW_ENABLE_WORKSPACES.get() else GuardedStore
    return kind(store_uri.removeprefix(_SCHEME), os.environ.get(_READ_REPLICA), Guard(policies, clock))


class GuardedStore(SqlAlchemyStore):  # type: ignore[misc]
    """MLflow's store with the guard in front."""

    ManagedSessionMaker: Callable[..., AbstractContextManager[Session]]

    def __init__(self, db_uri: str, read_db_uri: str | None, guard: Guard) -> None:
        super().__init__(db_uri, read_db_uri=read_db_uri)
        create_tables(self.engine)
        self._guard = guard
        self._own = threading.local()
        self._new_session = self.ManagedSessionMaker
        self.ManagedSessionMaker = self._session

    # Stages and aliases

    def transition_model_version_stage(
        self, name: str, version: str | int, stage: str, archive_existing_versions: bool
    ) -> ModelVersion:
        """Into a guarded stage: a promotion, whatever letter case. Out of one: recorded."""
        stage, number, entry = get_canonical_stage(stage), _number(version), None
        with self._locked(name) as model:
            policy = self._guard.policies.of(model.name).guarding_stage(stage)
            if policy:
                request = PromotionRequest(model.name, number, policy.name)
                entry = self._guard.promote(model, request, _actor())
            else:
                before = model.stage_of(number)
                model.plain.transition_model_version_stage(name, number, stage, archive_existing_versions)
                self._guard.left(model, number, before, _actor())
            answer = model.read(number)
        _raise_refusal(entry)
        return answer

    def set_registered_model_alias(self, name: str, alias: str, version: str | int) -> None:
        """A guarded alias: a promotion to its stage."""
        number, entry = _number(version), None
        with self._locked(name) as model:
            policy = self._guard.policies.of(model.name).guarding_alias(alias)
            if policy is None or model.is_prompt(number):
                model.plain.set_registered_model_alias(name, alias, number)
            elif policy.alias != alias:
                raise PromotionRefused(
                    f"alias {alias} looks like {policy.alias}, which is guarded; use that spelling"
                )
            else:
                request = PromotionRequest(model.name, number, policy.name)
                entry = self._guard.promote(model, request, _actor())
        _raise_refusal(entry)

    def delete_registered_model_alias(self, name: str, alias: str) -> None:
        """Refused while a version holds the stage that the alias belongs to."""
        with self._locked(name) as model:
            self._guard.check_alias_free(model, alias)
            model.plain.delete_registered_model_alias(name, alias)

    # Taking away what a stage holds

    def delete_model_version(self, name: str, version: str | int) -> None:
        """Refused while the version holds a guarded stage."""
        number = _number(version)
        with self._locked(name) as model:
            self._guard.check_version_free(model, number)
            model.plain.delete_model_version(name, number)

    def delete_registered_model(self, name: str) -> None:
        """Refused while any version holds a guarded stage."""
        with self._locked(name) as model:
            self._guard.check_model_free(model)
            model.plain.delete_registered_model(name)

    def rename_registered_model(self, name: str, new_name: str) -> RegisteredModel:
        """Refused while any version holds a stage or alias that is guarded under the old name or the new."""
        with self._locked(name) as model:
            self._guard.check_rename(model, new_name)
            return model.plain.rename_registered_model(name, new_name)

    # Tags

    def set_model_version_tag(self, name: str, version: str | int, tag: ModelVersionTag) -> None:
        """Evidence and promotion requests arrive here; any other reserved tag is refused."""
        stage, number = stage_of_evidence_key(tag.key), _number(version)
        if stage is not None:
            with self._locked(name) as model:
                self._guard.take_evidence(model, number, stage, tag.value, _actor())
        elif tag.key == PROMOTION:
            with self._locked(name) as model:
                entry = self._guard.take_request(model, number, tag.value, _actor())
            _raise_refusal(entry)
        else:
            _check_unreserved([tag.key])
            super().set_model_version_tag(name, version, tag)

    def delete_model_version_tag(self, name: str, version: str | int, key: str) -> None:
        """Reserved tags stay."""
        _check_unreserved([key])
        super().delete_model_version_tag(name, version, key)

    def set_registered_model_tag(self, name: str, tag: RegisteredModelTag) -> None:
        """Reserved tags are nobody's to write."""
        _check_unreserved([tag.key])
        super().set_registered_model_tag(name, tag)

    def delete_registered_model_tag(self, name: str, key: str) -> None:
        """Reserved tags stay."""
        _check_unreserved([key])
        super().delete_registered_model_tag(name, key)

    def create_registered_model(
        self, name: str, tags: Sequence[RegisteredModelTag] | None = None, *args: Any, **kwargs: Any
    ) -> RegisteredModel:
        """No reserved tags from the start either."""
        _check_unreserved([tag.key for tag in tags or []])
        return super().create_registered_model(name, tags, *args, **kwargs)

    def create_model_version(
        self,
        name: str,
        source: str,
        run_id: str | None = None,
        tags: Sequence[ModelVersionTag] | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> ModelVersion:
        """No reserved tags from the start; a copy of another version leaves that one's behind."""
        if source.startswith("models:/"):  # the UI's "Promote model" sends all tags of the original along
            tags = [tag for tag in tags or [] if not is_reserved(tag.key)]
        _check_unreserved([tag.key for tag in tags or []])
        return super().create_model_version(name, source, run_id, tags, *args, **kwargs)

    # Transactions

    @contextmanager
    def _session(self, read_only: bool = True) -> Iterator[Session]:
        """MLflow's session; inside :meth:`_locked` the open one, so that MLflow's methods join its transaction."""
        joined = getattr(self._own, "session", None)
        if joined is not None:
            yield joined
        else:
            with self._new_session(read_only=read_only) as session:
                yield session

    @contextmanager
    def _locked(self, name: str) -> Iterator[LockedModel]:
        """One transaction around a registered model, in which nobody else can write it.

        MLflow reads, then writes, so two of its promotions can both succeed. Here the first statement
        is a write: it takes the row's lock (the file's on SQLite), and what is read afterwards stays true.
        """
        with self._new_session(read_only=False) as session:
            lock = (
                update(SqlRegisteredModel)
                .where(
                    SqlRegisteredModel.workspace == self._get_active_workspace(),
                    SqlRegisteredModel.name == name,
                )
                .values(last_updated_time=SqlRegisteredModel.last_updated_time)
                .execution_options(synchronize_session=False)
            )
            try:
                session.execute(lock)
            except OperationalError as exc:  # busy for 20 s; a 5xx would have the client wait that long again
                raise MlflowException(str(exc).splitlines()[0], RESOURCE_CONFLICT) from exc
            self._own.session = session
            try:
                yield LockedModel(self, super(), session, name)
            except LifecycleError as exc:
                raise _as_mlflow(exc) from exc
            finally:
                self._own.session = None


class GuardedWorkspaceStore(GuardedStore, WorkspaceAwareSqlAlchemyStore):  # type: ignore[misc]
    """The same over MLflow's store with workspaces."""


def _check_unreserved(keys: Sequence[str]) -> None:
    for key in keys:
        if is_reserved(key):
            raise MlflowException(
                f"tag {key!r} {GUARD_SAYS}; use lifecycle gate run and lifecycle promote",
                PERMISSION_DENIED,
            )


def _raise_refusal(entry: LedgerEntry | None) -> None:
    """Tell who asked; by now the refusal is in the ledger."""
    if entry is not None and entry.action is Action.REFUSED:
        raise MlflowException(entry.detail, PERMISSION_DENIED)


def _as_mlflow(error: LifecycleError) -> MlflowException:
    code = next((code for kind, code in _CODES.items() if isinstance(error, kind)), INVALID_PARAMETER_VALUE)
    return MlflowException(str(error), code)


def _number(version: str | int) -> int:
    number: int = _validate_model_version(version)
    return number


def _actor() -> str:
    """Who is asking, as MLflow's auth app found out.

    Without that app an Authorization header is only a claim, so it is not looked at.
    """
    if not flask.has_request_context():
        return UNAUTHENTICATED
    hooks = flask.current_app.before_request_funcs.get(None, [])
    if not any(getattr(hook, "__module__", "") == _AUTH_APP for hook in hooks):
        return UNAUTHENTICATED
    claimed = flask.request.authorization
    return flask.g.get("mlflow_authenticated_user") or (claimed and claimed.username) or UNAUTHENTICATED
