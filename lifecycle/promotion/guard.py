"""What the registry does when a version is to be moved, deleted or renamed, whichever way the request comes in.

It uses SQLAlchemy sessions and not MLflow: a registry store gives it a :class:`ModelTransaction`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from sqlalchemy.orm import Session

from lifecycle.domain.gate_queue import QUEUED
from lifecycle.domain.ledger import LedgerEntry
from lifecycle.domain.policy import ModelPolicy, PolicyBook, StagePolicy
from lifecycle.domain.promotion.decide import approvals_needed, approvers_of, attempt_of
from lifecycle.domain.promotion.request import (
    ApprovalRequest,
    CopyArrival,
    CopyRequest,
    Demotion,
    PromotionContext,
    PromotionRequest,
    RequestKind,
    StageRequest,
)
from lifecycle.domain.promotion.transition import Transition, carry_out, complete, transition
from lifecycle.errors import NotFound, NotTrusted, PromotionRefused
from lifecycle.promotion.payloads import check_reason, read_evidence, read_override, read_request
from lifecycle.promotion.records import GateQueue, ModelEvidence, ModelLedger, author_of
from lifecycle.registry import tags
from lifecycle.registry.tags import described
from lifecycle.signing.trust import TrustStore


class ModelTransaction(Protocol):
    """A registered model inside a transaction that holds its exclusive lock.

    Every method raises the store's own error for a version that does not exist.
    """

    @property
    def name(self) -> str:
        """The model's name as the database spells it."""

    @property
    def uid(self) -> str:
        """Key of the model's evidence and ledger (:func:`lifecycle.promotion.database.model_uid`)."""

    @property
    def session(self) -> Session:
        """The open transaction."""

    def stage_of(self, version: int) -> str:
        """MLflow's stage of a version."""

    def staged(self) -> Sequence[tuple[int, str]]:
        """Versions that are in one of MLflow's active stages, with that stage."""

    def place(self, version: int, stage: str) -> None:
        """Place a version in a stage and archive the other versions there."""

    def aliases(self) -> Mapping[str, int]:
        """Where every alias of the model points."""

    def point(self, alias: str, version: int | None) -> None:
        """Point an alias to a version, or remove it."""

    def show(self, version: int, key: str, value: str) -> None:
        """Set a tag of a version, for display."""

    def hide(self, version: int, key: str) -> None:
        """Remove a tag of a version, if it exists."""

    def describe(self, version: int, change: Callable[[str], str]) -> None:
        """Change a version's description."""


@dataclass(frozen=True, slots=True)
class Guard:
    """The guard of one registry.

    Attributes:
        policies: The demands of each stage.
        trust: The trusted keys.
        clock: Current time of the registry, UTC.
    """

    policies: PolicyBook
    trust: TrustStore
    clock: Callable[[], datetime]

    def read_request(self, model: str, version: int, text: str) -> PromotionRequest:
        """Read a promotion request from a tag: plain, or signed for an override.

        Raises:
            UsageError: it is not a request for this version.
            NotTrusted: it is not signed by a key with the override permission.
        """
        if not text.startswith("{"):
            request, key = read_override(text, model, version, self.trust)
            return replace(request, requested_by=f"key {key.name}", signed=text)
        request = read_request(text, model, version)
        if request.kind is RequestKind.OVERRIDE:
            raise NotTrusted("an override needs the signature of a key that may override. See: lifecycle keys")
        return request

    def promote(
        self, model: ModelTransaction, request: PromotionRequest, actor: str, digest: str | None
    ) -> Transition:
        """Move a version, or record why not. The caller commits either way, then passes a refusal on.

        Args:
            digest: Digest of the version's files now; None without evidence to compare with.

        Raises:
            Conflict: nothing was changed or recorded.
        """
        return self._carry_out(model, request, actor, digest)

    def leave(self, model: ModelTransaction, version: int, stage: str, actor: str) -> None:
        """Record that a version has left MLflow's ``stage``, and remove the stage's alias."""
        policy = self.policies.of(model.name).guarding_stage(stage)
        if policy and model.stage_of(version) != stage:
            self._carry_out(model, Demotion(model.name, version, policy.name), actor)

    def delete_alias(self, model: ModelTransaction, policy: StagePolicy, version: int, actor: str) -> None:
        """Take a version out of a stage that is an alias alone, by deleting the alias; recorded."""
        self._carry_out(model, Demotion(model.name, version, policy.name), actor)

    def approve(self, model: ModelTransaction, version: int, stage: str, reason: str, actor: str) -> None:
        """Record an approval. Raises NotTrusted, PromotionRefused if it would not count."""
        policy = self.policies.of(model.name).stage(stage)
        request = ApprovalRequest(model.name, version, policy.name, check_reason(reason))
        entry = self._carry_out(model, request, actor).entry
        self._show_approvals(model, version, policy, entry.digest)

    def admit_copy(
        self, model: ModelTransaction, version: int, into: str, actor: str, digest: str | None
    ) -> Transition:
        """Whether a version may be copied into the environment ``into``; a refusal is in the version's ledger.

        Raises:
            NotFound: the version's model has no such stage.
        """
        environment = self.policies.of(into).environment or ""
        return self._carry_out(model, CopyRequest(model.name, version, environment, into), actor, digest)

    def receive_copy(
        self, copy: ModelTransaction, version: int, source: str, admitted: LedgerEntry, origin: ModelTransaction
    ) -> None:
        """Put a copy, which is there now, into the environment's stage, and record the promotion.

        Args:
            admitted: What :meth:`admit_copy` said of the version that it is a copy of, in ``origin``.
        """
        environment = self.policies.of(copy.name).environment or ""
        evidence = ModelEvidence(origin.session, origin.uid, self.trust)
        signed = evidence.signed(admitted.version, admitted.stage, admitted.evidence_id)
        arrival = CopyArrival(
            copy.name, version, environment, source, admitted.digest, admitted.evidence_id, signed or ""
        )
        self._carry_out(copy, arrival, admitted.actor)

    def check_evidence(self, model: str, version: int, stage: str, text: str) -> None:
        """Refuse evidence that :meth:`take_evidence` would refuse for any files, before they are read.

        Raises:
            NotTrusted, UsageError, NotFound: as :meth:`take_evidence`.
        """
        read_evidence(text, model, version, self.policies.of(model).stage(stage).name, self.trust)

    def take_evidence(
        self, model: ModelTransaction, version: int, stage: str, text: str, actor: str, digest: str
    ) -> None:
        """Record evidence from a tag, show it, and complete the promotion that waits for it.

        Args:
            digest: Digest of the version's files as the registry reads them.

        Raises:
            NotTrusted: it is not signed by a key with that permission, or is about other files.
            UsageError, NotFound: it is not evidence for this version and stage, or there is no such stage.
        """
        policies = self.policies.of(model.name)
        policy = policies.stage(stage)
        model.stage_of(version)
        evidence = read_evidence(text, model.name, version, policy.name, self.trust)
        if evidence.digest != digest:
            raise NotTrusted(
                f"{tags.OTHER_FILES} than version {version} of {model.name} has here "
                f"(sha256 {evidence.digest[:12]}… and not {digest[:12]}…)"
            )
        recorded = ModelEvidence(model.session, model.uid, self.trust)
        recorded.record(evidence, text, actor)
        attempt = attempt_of(evidence, recorded.of(version, policy.name).trusted)
        model.show(version, tags.EVIDENCE + policy.name, text)
        model.show(version, tags.SUMMARY + policy.name, tags.summary(replace(evidence, attempt=attempt)))
        model.describe(version, lambda text: described(text, replace(evidence, attempt=attempt)))
        self._show_approvals(model, version, policy, digest)
        waiting = GateQueue(model.session, model.uid).finish(version, policy.name, self.clock())
        model.hide(version, tags.QUEUE + policy.name)
        if waiting:
            context = self._context(model, waiting.request, policies, digest)
            found = complete(context, waiting, evidence.outcome, policies, self.clock())
            if found:
                carry_out(found, _SqlExecutor(self, model))

    def claim(self, model: ModelTransaction, version: int, stage: str, worker: str) -> bool:
        """Apply a worker's report to a queued gate run, as :mod:`lifecycle.domain.gate_queue` says.

        Returns:
            False when it was given up.
        """
        policy = self.policies.of(model.name).stage(stage)
        result = GateQueue(model.session, model.uid).claim(version, policy.name, worker, self.clock())
        model.show(version, tags.QUEUE + policy.name, result.shown)
        return result.granted

    def has_evidence(self, model: ModelTransaction, version: int, stage: str) -> bool:
        """Whether there is evidence to compare the version's files with."""
        return ModelEvidence(model.session, model.uid, self.trust).is_there(version, stage)

    def _carry_out(
        self, model: ModelTransaction, request: StageRequest, actor: str, digest: str | None = None
    ) -> Transition:
        """Decide about a request and write its effects; the answer has the entry as the ledger has it."""
        policies = self.policies.of(model.name)
        model.stage_of(request.version)
        context = self._context(model, request, policies, digest)
        found = transition(context, request, policies, actor, self.clock())
        return replace(found, entry=carry_out(found, _SqlExecutor(self, model)))

    def _context(
        self, model: ModelTransaction, request: StageRequest, policies: ModelPolicy, digest: str | None
    ) -> PromotionContext:
        stage = policies.stage(request.stage).name
        record = ModelEvidence(model.session, model.uid, self.trust).of(request.version, stage)
        ledger = ModelLedger(model.session, model.uid, model.name)
        aliases = model.aliases()
        return PromotionContext(
            evidence=record.trusted,
            ledger=ledger.decisive(),
            holders=policies.holders(model.staged(), aliases),
            aliases=aliases,
            digest=digest,
            author=author_of(model.session, model.uid, request.version),
            distrusted=record.distrusted > 0,
            earlier=ledger.with_key(request.key) if isinstance(request, PromotionRequest) else None,
        )

    def _show_approvals(self, model: ModelTransaction, version: int, policy: StagePolicy, digest: str) -> None:
        """The tag that carries an approval is not kept, so another one shows that it was recorded."""
        author = author_of(model.session, model.uid, version)
        ledger = ModelLedger(model.session, model.uid, model.name).decisive()
        given = approvers_of(version, digest, policy, ledger, author, self.clock())
        if given or policy.approvals:
            shown = tags.approvals_shown(given, approvals_needed(policy, author))
            model.show(version, tags.APPROVALS + policy.name, shown)


@dataclass(frozen=True, slots=True)
class _SqlExecutor:
    """Writes a transition's effects in the model's transaction."""

    guard: Guard
    model: ModelTransaction

    def place(self, version: int, stage: str) -> None:
        self.model.place(version, stage)

    def point(self, alias: str, version: int | None) -> None:
        self.model.point(alias, version)

    def enqueue(self, request: PromotionRequest, actor: str) -> None:
        stage = self.guard.policies.of(self.model.name).stage(request.stage).name
        queue = GateQueue(self.model.session, self.model.uid)
        if queue.add(request, stage, actor, self.guard.clock()):
            self.model.show(request.version, tags.QUEUE + stage, QUEUED)

    def append(self, entry: LedgerEntry) -> LedgerEntry:
        return self._ledger().append(entry)

    def show(self, entry: LedgerEntry, signed: str) -> None:
        shown = self._ledger().of_version(entry.version, tags.MAX_REFUSALS)
        self.model.show(entry.version, tags.HISTORY, tags.history_value(shown, entry.version))
        if entry.moved and not signed:
            evidence = ModelEvidence(self.model.session, self.model.uid, self.guard.trust)
            signed = evidence.signed(entry.version, entry.stage, entry.evidence_id) or ""
        if entry.moved and signed:
            self.model.show(entry.version, tags.PROOF + entry.stage, signed)

    def _ledger(self) -> ModelLedger:
        return ModelLedger(self.model.session, self.model.uid, self.model.name)


def check_claimed(claimed: bool, version: int, stage: str) -> None:
    """Pass on to a worker that a gate run was given up, after that was committed. Raises NotFound."""
    if not claimed:
        raise NotFound(f"the gate run of version {version} for {stage} took several workers down: given up")


def check_version_free(model: ModelTransaction, policy: ModelPolicy, version: int) -> None:
    """Refuse to delete a version that holds a guarded stage. Raises PromotionRefused."""
    for stage, holder in _held(model, policy):
        if holder == version:
            raise PromotionRefused(_leave_first(f"Version {version} of {model.name}", "deleted", stage, holder))


def check_model_free(model: ModelTransaction, policy: ModelPolicy) -> None:
    """Refuse to delete a model with a version in a guarded stage. Raises PromotionRefused."""
    for stage, holder in _held(model, policy):
        raise PromotionRefused(_leave_first(model.name, "deleted", stage, holder))


def check_rename(model: ModelTransaction, policies: PolicyBook, new_name: str) -> None:
    """Refuse a rename that escapes the old policy or brings unchecked versions under the new one.

    Raises:
        PromotionRefused: a version holds a stage or alias that is guarded under either name, or
            one of the names is that of an environment.
    """
    new_policy = policies.of(new_name)
    for name, policy in ((model.name, policies.of(model.name)), (new_name, new_policy)):
        if policy.environment:
            raise PromotionRefused(
                f"{model.name} may not be renamed to {new_name}: {name} is the environment "
                f"{policy.environment}, whose versions come in by promotion alone"
            )
        for stage, holder in _held(model, policy):
            raise PromotionRefused(_leave_first(model.name, "renamed", stage, holder))
    for alias in model.aliases():
        if new_policy.guarding_alias(alias):
            raise PromotionRefused(
                f"{model.name} may not be renamed: alias {alias} is guarded under the name {new_name}. "
                f"Delete the alias first"
            )


def alias_to_leave(model: ModelTransaction, policy: ModelPolicy, alias: str) -> tuple[StagePolicy, int] | None:
    """The stage that deleting an alias empties, and its version, where the stage is an alias alone.

    Raises:
        PromotionRefused: the alias belongs to a stage of MLflow's that a version holds.
    """
    stage = policy.guarding_alias(alias)
    if stage is None or (stage.alias != alias and alias in model.aliases()):
        return None  # not guarded, or another spelling that is an alias of its own
    holder = max((version for held, version in _held(model, policy) if held == stage), default=None)
    if holder is None:
        return None
    if stage.is_alias_alone:
        return stage, holder
    raise PromotionRefused(
        f"alias {alias} of {model.name} moves together with {stage.stage}, which version {holder} "
        f"holds; it may not be deleted. Move version {holder} to Archived instead"
    )


def _held(model: ModelTransaction, policy: ModelPolicy) -> Iterator[tuple[StagePolicy, int]]:
    """The guarded stages and the versions in them."""
    holders = policy.holders(model.staged(), model.aliases())
    for stage in policy.stages:
        for version in holders[stage.name]:
            yield stage, version


def _leave_first(subject: str, what: str, stage: StagePolicy, holder: int) -> str:
    leave = f"Move version {holder} to Archived first" if stage.stage else f"Delete the alias {stage.alias} first"
    return f"{subject} may not be {what}: version {holder} is in {stage.where}, which is guarded. {leave}"
