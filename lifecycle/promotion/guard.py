"""What the registry does when somebody wants to move a version, whoever asks and however.

Knows SQLAlchemy sessions and nothing of MLflow: a registry store lends it a :class:`LockedModel`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from sqlalchemy.orm import Session

from lifecycle.domain.ledger import LedgerEntry
from lifecycle.domain.policy import ModelPolicy, PolicyBook, StagePolicy
from lifecycle.domain.promotion import PromotionRequest, attempt_of
from lifecycle.errors import PromotionRefused
from lifecycle.promotion.evidence import ModelEvidence
from lifecycle.promotion.ledger import ModelLedger
from lifecycle.promotion.wire import read_evidence, read_request
from lifecycle.registry.ruling import Standing, demotion, rule
from lifecycle.registry.tags import HISTORY, evidence_key, history_value, summary, summary_key


class LockedModel(Protocol):
    """A registered model inside one transaction that nobody else can write this model in.

    Every method raises the store's own error for a version that does not exist.
    """

    @property
    def name(self) -> str:
        """As the database spells it."""
        ...

    @property
    def uid(self) -> str:
        """See :func:`lifecycle.promotion.tables.model_uid`."""
        ...

    @property
    def session(self) -> Session:
        """The open transaction."""
        ...

    def stage_of(self, version: int) -> str:
        """MLflow's stage of a version."""
        ...

    def holders(self, stage: str) -> Sequence[int]:
        """Versions in MLflow's stage, ascending."""
        ...

    def place(self, version: int, stage: str) -> None:
        """Put a version into a stage and archive every other version there."""
        ...

    def aliases(self) -> Sequence[str]:
        """Every alias of the model."""
        ...

    def point(self, alias: str, version: int | None) -> None:
        """Point an alias to a version, or remove it."""
        ...

    def show(self, version: int, key: str, value: str) -> None:
        """Set a tag of a version, for people."""
        ...


@dataclass(frozen=True, slots=True)
class Guard:
    """The rules of one registry.

    Attributes:
        policies: What each stage demands.
        clock: UTC now, on the side that decides.
    """

    policies: PolicyBook
    clock: Callable[[], datetime]

    def take_request(self, model: LockedModel, version: int, text: str, actor: str) -> LedgerEntry:
        """Answer a promotion request that came as a tag.

        Raises:
            UsageError, NotFound: it is no request for this version, or names no stage.
            Conflict: see :func:`lifecycle.registry.ruling.rule`.
        """
        return self.promote(model, read_request(text, model.name, version), actor)

    def promote(self, model: LockedModel, request: PromotionRequest, actor: str) -> LedgerEntry:
        """Move a version, or record why not. The caller commits either way, then tells who asked.

        Returns:
            The ledger entry that says what happened; a REFUSED one moved nothing.

        Raises:
            Conflict: nothing happened and nothing was recorded.
        """
        policy = self._policy(model).stage(request.stage)
        model.stage_of(request.version)
        ledger = ModelLedger(model.session, model.uid)
        standing = Standing(
            evidence=ModelEvidence(model.session, model.uid).of(request.version, policy.name),
            ledger=ledger.entries(),
            holder=_holder(model, policy),
        )
        ruling = rule(request, policy, standing, actor, self.clock())
        if ruling.places:
            model.place(request.version, policy.stage)
            self._align_aliases(model)
        if ruling.is_new:
            self._append(model, ledger, ruling.entry)
        return ruling.entry

    def left(self, model: LockedModel, version: int, stage: str, actor: str) -> None:
        """Record that a version has left MLflow's ``stage``, and take the stage's alias with it."""
        policy = self._policy(model).guarding_stage(stage)
        if policy is None or model.stage_of(version) == stage:
            return
        self._align_aliases(model)
        ledger = ModelLedger(model.session, model.uid)
        now = self.clock()
        self._append(model, ledger, demotion(model.name, version, policy, ledger.entries(), actor, now))

    def take_evidence(self, model: LockedModel, version: int, stage: str, text: str, actor: str) -> None:
        """Record evidence that came as a tag, and show it.

        Raises:
            UsageError, NotFound: it is no evidence for this version and stage, or there is no such stage.
        """
        policy = self._policy(model).stage(stage)
        model.stage_of(version)
        evidence = read_evidence(text, model.name, version, policy.name)
        recorded = ModelEvidence(model.session, model.uid)
        recorded.record(evidence, actor)
        attempt = attempt_of(evidence, recorded.of(version, policy.name))
        model.show(version, evidence_key(policy.name), text)
        model.show(version, summary_key(policy.name), summary(replace(evidence, attempt=attempt)))

    def check_version_free(self, model: LockedModel, version: int) -> None:
        """Refuse to delete a version that holds a guarded stage. Raises PromotionRefused."""
        for stage, holder in _held(model, self._policy(model)):
            if holder == version:
                raise PromotionRefused(
                    _archive_first(f"Version {version} of {model.name}", "deleted", stage, holder)
                )

    def check_model_free(self, model: LockedModel) -> None:
        """Refuse to delete a model with a version in a guarded stage. Raises PromotionRefused."""
        for stage, holder in _held(model, self._policy(model)):
            raise PromotionRefused(_archive_first(model.name, "deleted", stage, holder))

    def check_rename(self, model: LockedModel, new_name: str) -> None:
        """Refuse a new name that escapes the old policy, or carries something unchecked into the new one.

        Raises:
            PromotionRefused: a version holds a stage, or bears an alias, that is guarded under either name.
        """
        new_policy = self.policies.of(new_name)
        for policy in (self._policy(model), new_policy):
            for stage, holder in _held(model, policy):
                raise PromotionRefused(_archive_first(model.name, "renamed", stage, holder))
        for alias in model.aliases():
            if new_policy.guarding_alias(alias):
                raise PromotionRefused(
                    f"{model.name} may not be renamed: alias {alias} is guarded under the name {new_name}. "
                    f"Delete the alias first"
                )

    def check_alias_free(self, model: LockedModel, alias: str) -> None:
        """Refuse to take the alias of a stage away from the version that holds the stage.

        Raises:
            PromotionRefused: some version holds the stage.
        """
        policy = self._policy(model).guarding_alias(alias)
        if policy is None or policy.alias != alias:
            return
        holder = _holder(model, policy)
        if holder is not None:
            raise PromotionRefused(
                f"alias {alias} of {model.name} moves together with {policy.stage}, which version {holder} "
                f"holds; it may not be deleted. Move version {holder} to Archived instead"
            )

    def _policy(self, model: LockedModel) -> ModelPolicy:
        return self.policies.of(model.name)

    def _align_aliases(self, model: LockedModel) -> None:
        """Each guarded stage's alias points to the version in the stage, or to none."""
        for policy in self._policy(model).stages:
            if policy.alias:
                model.point(policy.alias, _holder(model, policy))

    def _append(self, model: LockedModel, ledger: ModelLedger, entry: LedgerEntry) -> None:
        ledger.append(entry)
        model.show(entry.version, HISTORY, history_value(ledger.entries(), entry.version))


def _holder(model: LockedModel, policy: StagePolicy) -> int | None:
    """The version in the stage; the newest where a time before the guard left several."""
    return max(model.holders(policy.stage), default=None)


def _held(model: LockedModel, policy: ModelPolicy) -> Iterator[tuple[str, int]]:
    """MLflow's guarded stages and the versions in them."""
    for stage in policy.stages:
        for version in model.holders(stage.stage):
            yield stage.stage, version


def _archive_first(subject: str, what: str, stage: str, holder: int) -> str:
    return (
        f"{subject} may not be {what}: version {holder} is in {stage}, which is guarded. "
        f"Move version {holder} to Archived first"
    )
