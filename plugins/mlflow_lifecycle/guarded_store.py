"""MLflow's own registry store with the guard inside: ``lifecycle+sqlite:///path`` and the like.

Every way into the registry (UI, REST, ``ajax-api``, any client, basic-auth or not) ends in these methods,
so promotions are refused here. Everything that does not concern a guarded stage, a guarded alias or a reserved
tag goes to MLflow's code unchanged. A test lists every public method and what it does here.

MLflow's client retries 5xx for minutes, so a refusal is always a 4xx.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import flask
from mlflow.entities.model_registry import ModelVersion, ModelVersionTag, RegisteredModel, RegisteredModelTag
from mlflow.entities.model_registry.model_version_stages import get_canonical_stage
from mlflow.environment_variables import MLFLOW_ENABLE_WORKSPACES
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED
from mlflow.store.artifact.utils.models import _parse_model_uri
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
from mlflow.store.model_registry.sqlalchemy_workspace_store import WorkspaceAwareSqlAlchemyStore
from mlflow.utils.validation import _validate_model_version

from lifecycle.domain.deployment import apply_lease
from lifecycle.domain.ledger import UNAUTHENTICATED
from lifecycle.domain.policy import ModelPolicy, StagePolicy
from lifecycle.domain.promotion.request import PromotionRequest, RequestKind
from lifecycle.errors import LifecycleError, PromotionRefused
from lifecycle.promotion.database import create_tables
from lifecycle.promotion.guard import (
    Guard,
    alias_to_leave,
    check_claimed,
    check_model_free,
    check_rename,
    check_version_free,
)
from lifecycle.promotion.records import record_author
from lifecycle.registry import tags as names
from mlflow_lifecycle.errors import as_refusal
from mlflow_lifecycle.guarded_session import JoiningStore

_SCHEME = "lifecycle+"
_READ_REPLICA = "_MLFLOW_SERVER_READ_REPLICA_BACKEND_STORE"  # mlflow.server.constants


def guarded_store(store_uri: str, guard: Guard, digest_of: Callable[[str], str]) -> SqlAlchemyStore:
    """A guarded store on the database of ``store_uri``, with or without ``lifecycle+``.

    Args:
        digest_of: Gives the digest of the files below a URI.
    """
    kind = GuardedWorkspaceStore if MLFLOW_ENABLE_WORKSPACES.get() else GuardedStore
    return kind(store_uri.removeprefix(_SCHEME), os.environ.get(_READ_REPLICA), guard, digest_of)


class GuardedStore(JoiningStore):
    """MLflow's store with the guard in front."""

    def __init__(
        self, db_uri: str, read_db_uri: str | None, guard: Guard, digest_of: Callable[[str], str]
    ) -> None:
        super().__init__(db_uri, read_db_uri)
        create_tables(self.engine)
        self._guard = guard
        self._digest_of = digest_of

    # Stages and aliases

    def transition_model_version_stage(
        self, name: str, version: str | int, stage: str, archive_existing_versions: bool
    ) -> ModelVersion:
        """Into a guarded stage: a promotion, in any letter case. Out of one: recorded."""
        policy, number = self._policy(name).guarding_stage(get_canonical_stage(stage)), _number(version)
        if policy:
            return self._promote(name, number, policy, PromotionRequest(self._spelled(name), number, policy.name))
        with self._locked(name) as model:
            before = model.stage_of(number)
            model.plain.transition_model_version_stage(name, number, stage, archive_existing_versions)
            self._guard.leave(model, number, before, actor())
            return model.read(number)

    def set_registered_model_alias(self, name: str, alias: str, version: str | int) -> None:
        """A guarded alias: a promotion to its stage."""
        policy = self._policy(name).guarding_alias(alias or "")
        if policy is None or self._is_prompt(name, _number(version)):
            super().set_registered_model_alias(name, alias, version)
        elif policy.alias != alias:
            raise as_refusal(
                PromotionRefused(f"alias {alias} looks like {policy.alias}, which is guarded; use that spelling")
            )
        else:
            number = _number(version)
            self._promote(name, number, policy, PromotionRequest(self._spelled(name), number, policy.name))

    def delete_registered_model_alias(self, name: str, alias: str) -> None:
        """Refused while a version holds the stage of MLflow's that it belongs to; recorded where it is a stage."""
        with self._locked(name) as model:
            left = alias_to_leave(model, self._guard.policies.of(model.name), alias)
            if left:
                self._guard.delete_alias(model, *left, actor())
            else:
                model.plain.delete_registered_model_alias(name, alias)

    # deleting or renaming what a stage holds

    def delete_model_version(self, name: str, version: str | int) -> None:
        """Refused while the version holds a guarded stage."""
        number = _number(version)
        with self._locked(name) as model:
            check_version_free(model, self._guard.policies.of(model.name), number)
            model.plain.delete_model_version(name, number)

    def delete_registered_model(self, name: str) -> None:
        """Refused while any version holds a guarded stage."""
        with self._locked(name) as model:
            check_model_free(model, self._guard.policies.of(model.name))
            model.plain.delete_registered_model(name)

    def rename_registered_model(self, name: str, new_name: str) -> RegisteredModel:
        """Refused while any version holds a stage or alias that is guarded under the old name or the new."""
        with self._locked(name) as model:
            check_rename(model, self._guard.policies, new_name)
            return model.plain.rename_registered_model(name, new_name)

    # Tags

    def set_model_version_tag(self, name: str, version: str | int, tag: ModelVersionTag) -> None:
        """Evidence, requests, approvals and claims arrive here; any other reserved tag is refused."""
        if not _is_reserved(tag.key):
            super().set_model_version_tag(name, version, tag)
            return
        number = _number(version)
        if tag.key == names.PROMOTION:
            self._take_request(name, number, tag.value)
        elif (stage := names.end_of(tag.key, names.EVIDENCE)) is not None:
            self._take_evidence(name, number, stage, tag.value)
        elif (stage := names.end_of(tag.key, names.APPROVE)) is not None:
            with self._locked(name) as model:
                self._guard.approve(model, number, stage, tag.value, actor())
        elif (stage := names.end_of(tag.key, names.CLAIM)) is not None:
            self._take_claim(name, number, stage, tag.value)
        else:
            _check_unreserved([tag.key])

    def delete_model_version_tag(self, name: str, version: str | int, key: str) -> None:
        """Refused for reserved tags."""
        _check_unreserved([key])
        super().delete_model_version_tag(name, version, key)

    def set_registered_model_tag(self, name: str, tag: RegisteredModelTag) -> None:
        """A follower's lease arrives here; any other reserved tag is refused."""
        if names.end_of(tag.key or "", names.FOLLOWER) is not None:
            self._take_lease(name, tag)
            return
        _check_unreserved([tag.key])
        super().set_registered_model_tag(name, tag)

    def delete_registered_model_tag(self, name: str, key: str) -> None:
        """Refused for reserved tags."""
        _check_unreserved([key])
        super().delete_registered_model_tag(name, key)

    # creating models and versions

    def create_registered_model(
        self, name: str, tags: Sequence[RegisteredModelTag] | None = None, *args: Any, **kwargs: Any
    ) -> RegisteredModel:
        """Refused with reserved tags."""
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
        """In an environment model: a promotion. Refused with reserved tags; a copy loses them."""
        if source.startswith("models:/"):  # the UI's "Promote model" sends all tags of the original
            tags = [tag for tag in tags or [] if not _is_reserved(tag.key)]
        _check_unreserved([tag.key for tag in tags or []])
        if self._policy(name).environment:
            return self._copy_into(name, source, run_id, tags, *args, **kwargs)
        with self._joined() as session:
            created = super().create_model_version(name, source, run_id, tags, *args, **kwargs)
            record_author(session, self._model(session, name).uid, int(created.version), actor())
            return created

    def _copy_into(self, name: str, source: str, *args: Any, **kwargs: Any) -> ModelVersion:
        environment = self._policy(name).environment or ""
        with self._joined(read_only=True):
            origin, number = copied_version(name, environment, source)
            policy = self._policy(origin).stage(environment)
        digest = self._files_now(origin, number, policy)
        with self._locked(origin) as model:
            answer = self._guard.admit_copy(model, number, name, actor(), digest)
            if not answer.refused:
                self._lock(model.session, name)
                created = model.plain.create_model_version(name, source, *args, **kwargs)
                copy = self._model(model.session, name)
                self._guard.receive_copy(copy, int(created.version), source, answer.entry, model)
                return copy.read(int(created.version))
        raise as_refusal(PromotionRefused(answer.entry.detail))

    # What arrives in tags

    def _take_request(self, name: str, version: int, text: str) -> None:
        with self._joined(read_only=True):
            request = self._guard.read_request(self._spelled(name), version, text)
            policy = self._policy(name).stage(request.stage)
        self._promote(name, version, policy, request)

    def _take_evidence(self, name: str, version: int, stage: str, text: str) -> None:
        with self._joined(read_only=True):
            self._guard.check_evidence(self._spelled(name), version, stage, text)
            digest = self._digest(name, version)
        with self._locked(name) as model:
            self._guard.take_evidence(model, version, stage, text, actor(), digest)

    def _take_lease(self, name: str, tag: RegisteredModelTag) -> None:
        with self._locked(name) as model:
            kept = model.plain.get_registered_model(name).tags.get(tag.key, "")
            after = apply_lease(kept, tag.value or "", self._guard.clock())
            if after:
                model.plain.set_registered_model_tag(name, RegisteredModelTag(tag.key, after))
            elif kept:
                model.plain.delete_registered_model_tag(name, tag.key)

    def _take_claim(self, name: str, version: int, stage: str, worker: str) -> None:
        with self._locked(name) as model:
            claimed = self._guard.claim(model, version, stage, worker)
        try:
            check_claimed(claimed, version, stage)
        except LifecycleError as exc:
            raise as_refusal(exc) from exc

    # Promoting

    def _promote(self, name: str, version: int, policy: StagePolicy, request: PromotionRequest) -> ModelVersion:
        digest = self._files_now(name, version, policy, request.kind)
        with self._locked(name) as model:
            found = self._guard.promote(model, request, actor(), digest)
            answer = model.read(version)
        if found.refused:  # by now the refusal is in the ledger
            raise MlflowException(found.entry.detail, PERMISSION_DENIED)
        return answer

    def _files_now(
        self, name: str, version: int, policy: StagePolicy, kind: RequestKind = RequestKind.PROMOTE
    ) -> str | None:
        """The digest of the version's files, read before the lock is taken, as it takes time.

        None if it is not needed: a rollback uses the ledger, and without evidence the promotion is refused.
        """
        if kind is RequestKind.ROLLBACK:
            return None
        with self._joined(read_only=True) as session:
            model = self._model(session, name)
            model.stage_of(version)
            if kind is RequestKind.PROMOTE and not self._guard.has_evidence(model, version, policy.name):
                return None
            return self._digest(name, version)

    def _digest(self, name: str, version: int) -> str:
        return self._digest_of(super().get_model_version_download_uri(name, version))

    def _policy(self, name: str) -> ModelPolicy:
        return self._guard.policies.of(self._spelled(name))

    def _is_prompt(self, name: str, version: int) -> bool:
        with self._joined(read_only=True) as session:
            return self._model(session, name).is_prompt(version)


class GuardedWorkspaceStore(GuardedStore, WorkspaceAwareSqlAlchemyStore):  # type: ignore[misc]
    """The guarded store on MLflow's store with workspaces."""


def _is_reserved(key: Any) -> bool:
    """Whether a key is reserved; MLflow itself reports a key that is not text."""
    return isinstance(key, str) and names.is_reserved(key)


def _check_unreserved(keys: Sequence[str]) -> None:
    for key in keys:
        if _is_reserved(key):
            raise MlflowException(
                f"tag {key!r} {names.GUARD_SAYS}; use lifecycle gate run, lifecycle approve and lifecycle promote",
                PERMISSION_DENIED,
            )


def _number(version: str | int) -> int:
    number: int = _validate_model_version(version)
    return number


def copied_version(into: str, environment: str, source: str) -> tuple[str, int]:
    """The original of a copy, from a source such as ``models:/flights-delay/3``.

    Raises:
        PromotionRefused: it is not a copy of a version; an environment accepts nothing else.
    """
    try:
        parsed = _parse_model_uri(source)
    except MlflowException:
        parsed = None
    if parsed is None or not parsed.name or not parsed.version:
        raise PromotionRefused(
            f"{into} is the environment {environment}, which takes nothing but copies of versions that passed its "
            f"gates. Register the model under a name of its own, run lifecycle gate run models:/NAME/VERSION "
            f'--stage {environment}, then promote that version with MLflow\'s "Promote model" or '
            f"MlflowClient.copy_model_version"
        )
    return parsed.name, int(parsed.version)


_AUTH_APP = "mlflow.server.auth"


def actor() -> str:
    """The authenticated user of the request, or ``unauthenticated``.

    Without MLflow's auth app an Authorization header is only a claim, so it is ignored.
    """
    if not flask.has_request_context():
        return UNAUTHENTICATED
    hooks = flask.current_app.before_request_funcs.get(None, [])
    if not any(getattr(hook, "__module__", "") == _AUTH_APP for hook in hooks):
        return UNAUTHENTICATED
    claimed = flask.request.authorization
    return flask.g.get("mlflow_authenticated_user") or (claimed and claimed.username) or UNAUTHENTICATED
