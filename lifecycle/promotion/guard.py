"""What the registry does when somebody wants to move a version, whoever asks and however.

Knows SQLAlchemy sessions and nothing of MLflow: a registry store lends it a :class:`ModelTransaction`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from lifecycle.domain.gate_queue import QUEUED
from lifecycle.domain.ledger import Action, LedgerEntry
from lifecycle.domain.policy import OnMissing, PolicyBook, StagePolicy
from lifecycle.domain.promotion.decide import Decision, approvals_needed, approvers_of, attempt_of, decide
from lifecycle.domain.promotion.request import PromotionContext, PromotionRequest, RequestKind
from lifecycle.domain.promotion.transition import Transition, approval, demotion, entry_for, rule
from lifecycle.domain.verdict import Outcome
from lifecycle.errors import NotFound, NotTrusted
from lifecycle.promotion.payloads import check_reason, read_evidence, read_override, read_request
from lifecycle.promotion.records import GateQueue, ModelEvidence, ModelLedger, author_of
from lifecycle.promotion.transaction import ModelTransaction, align_aliases, holder_of
from lifecycle.registry.tags import (
    HISTORY,
    MAX_REFUSALS,
    approvals_key,
    approvals_shown,
    evidence_key,
    history_value,
    proof_key,
    queue_key,
    summary,
    summary_key,
)
from lifecycle.signing.trust import TrustStore


@dataclass(frozen=True, slots=True)
class Guard:
    """The rules of one registry.

    Attributes:
        policies: What each stage demands.
        trust: Whose signatures count.
        clock: UTC now, on the side that decides.
    """

    policies: PolicyBook
    trust: TrustStore
    clock: Callable[[], datetime]

    def read_request(self, model: str, version: int, text: str) -> PromotionRequest:
        """A promotion request that came as a tag: in the open, or signed where it goes without gates.

        Raises:
            UsageError: it is no request for this version.
            NotTrusted: no key that may override has signed it.
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
    ) -> LedgerEntry:
        """Move a version, or record why not. The caller commits either way, then tells who asked.

        Args:
            digest: Of the version's files as they are now; None where there is no evidence to compare it with.

        Returns:
            The ledger entry that says what happened; a REFUSED one moved nothing.

        Raises:
            Conflict: nothing happened and nothing was recorded.
        """
        policy = self.policies.of(model.name).stage(request.stage)
        model.stage_of(request.version)
        ruling = self._ruling(model, request, policy, actor, digest)
        if not ruling.is_new:
            return ruling.entry
        entry = self.append(model, self._queued(model, ruling, request, policy, actor))
        if entry.moved and request.signed:
            model.show(entry.version, proof_key(policy.name), request.signed)
        return entry

    def consider(
        self, model: ModelTransaction, request: PromotionRequest, actor: str, digest: str | None
    ) -> tuple[Decision, LedgerEntry]:
        """The decision about a request and the entry that would say so; nothing moves and nothing is written."""
        policy = self.policies.of(model.name).stage(request.stage)
        model.stage_of(request.version)
        context = self._context(model, policy, request.version, digest)
        now = self.clock()
        decision = decide(request, policy, context, now)
        return decision, entry_for(request, policy, decision, context, actor, now)

    def left(self, model: ModelTransaction, version: int, stage: str, actor: str) -> None:
        """Record that a version has left MLflow's ``stage``, and take the stage's alias with it."""
        policies = self.policies.of(model.name)
        policy = policies.guarding_stage(stage)
        if policy is None or model.stage_of(version) == stage:
            return
        align_aliases(model, policies)
        context = self._context(model, policy, version, None)
        self.append(model, demotion(model.name, version, policy, context, actor, self.clock()))

    def approve(self, model: ModelTransaction, version: int, stage: str, reason: str, actor: str) -> LedgerEntry:
        """Record somebody's approval.

        Raises:
            NotTrusted, PromotionRefused: see :func:`lifecycle.domain.promotion.transition.approval`.
        """
        policy = self.policies.of(model.name).stage(stage)
        model.stage_of(version)
        context = self._context(model, policy, version, None)
        request = PromotionRequest(model.name, version, policy.name, reason=check_reason(reason))
        entry = self.append(model, approval(request, policy, context, actor, self.clock()))
        self._show_approvals(model, version, policy, entry.digest)
        return entry

    def check_evidence(self, model: str, version: int, stage: str, text: str) -> None:
        """Refuse what :meth:`take_evidence` would refuse whatever the version's files are, before they are read.

        Raises:
            NotTrusted, UsageError, NotFound: as :meth:`take_evidence`.
        """
        read_evidence(text, model, version, self.policies.of(model).stage(stage).name, self.trust)

    def take_evidence(
        self, model: ModelTransaction, version: int, stage: str, text: str, actor: str, digest: str
    ) -> None:
        """Record evidence that came as a tag, show it, and complete the promotion that waited for it.

        Args:
            digest: Of the version's files as the registry reads them.

        Raises:
            NotTrusted: no key that may has signed it, or it speaks of other files.
            UsageError, NotFound: it is no evidence for this version and stage, or there is no such stage.
        """
        policy = self.policies.of(model.name).stage(stage)
        model.stage_of(version)
        evidence = read_evidence(text, model.name, version, policy.name, self.trust)
        if evidence.digest != digest:
            raise NotTrusted(
                f"this evidence speaks of other files than version {version} of {model.name} has here "
                f"(sha256 {evidence.digest[:12]}… and not {digest[:12]}…)"
            )
        recorded = ModelEvidence(model.session, model.uid, self.trust)
        recorded.record(evidence, text, actor)
        attempt = attempt_of(evidence, recorded.of(version, policy.name).trusted)
        model.show(version, evidence_key(policy.name), text)
        model.show(version, summary_key(policy.name), summary(replace(evidence, attempt=attempt)))
        self._show_approvals(model, version, policy, digest)
        self._complete(model, version, policy, evidence.outcome, digest)

    def claim(self, model: ModelTransaction, version: int, stage: str, worker: str) -> bool:
        """Give a queued gate run to a worker, or take it back. See :mod:`lifecycle.domain.gate_queue`.

        Returns:
            False where it is given up instead.
        """
        policy = self.policies.of(model.name).stage(stage)
        answer = GateQueue(model.session, model.uid).claim(version, policy.name, worker, self.clock())
        model.show(version, queue_key(policy.name), answer.shown)
        return answer.granted

    def place(self, model: ModelTransaction, version: int, policy: StagePolicy) -> None:
        """Put a version into a stage, and every alias where its stage is."""
        model.place(version, policy.stage)
        align_aliases(model, self.policies.of(model.name))

    def append(self, model: ModelTransaction, entry: LedgerEntry) -> LedgerEntry:
        """Write a ledger entry and show it."""
        sealed = self._ledger(model).append(entry)
        self._show(model, sealed)
        return sealed

    def proof(self, model: ModelTransaction, version: int, stage: str, evidence_id: str | None) -> str | None:
        """The evidence that a move rests on, as it was signed."""
        return ModelEvidence(model.session, model.uid, self.trust).signed(version, stage, evidence_id)

    def has_evidence(self, model: ModelTransaction, version: int, stage: str) -> bool:
        """Whether there is any evidence that the version's files have to be compared with."""
        return ModelEvidence(model.session, model.uid, self.trust).is_there(version, stage)

    def _ruling(
        self,
        model: ModelTransaction,
        request: PromotionRequest,
        policy: StagePolicy,
        actor: str,
        digest: str | None,
    ) -> Transition:
        """What the rule says, the version put where it says; the entry is still to be written."""
        earlier = self._ledger(model).with_key(request.key)
        context = self._context(model, policy, request.version, digest)
        ruling = rule(request, policy, context, actor, self.clock(), earlier)
        if ruling.places:
            self.place(model, request.version, policy)
            if not ruling.is_new:
                self._show(model, ruling.entry)  # somebody may have taken it away
        return ruling

    def _show(self, model: ModelTransaction, entry: LedgerEntry) -> None:
        """The version's history and, of a move, the evidence that it rests on."""
        shown = self._ledger(model).of_version(entry.version, MAX_REFUSALS)
        model.show(entry.version, HISTORY, history_value(shown, entry.version))
        proof = self.proof(model, entry.version, entry.stage, entry.evidence_id) if entry.moved else None
        if proof:
            model.show(entry.version, proof_key(entry.stage), proof)

    def _queued(
        self,
        model: ModelTransaction,
        ruling: Transition,
        request: PromotionRequest,
        policy: StagePolicy,
        actor: str,
    ) -> LedgerEntry:
        """The entry; where the policy says so, a refusal for want of a gate run queues one."""
        if not (ruling.unjudged and policy.on_missing is OnMissing.ENQUEUE):
            return ruling.entry
        if GateQueue(model.session, model.uid).add(request, policy.name, actor, self.clock()):
            model.show(request.version, queue_key(policy.name), QUEUED)
        then = "and promotes it if they pass" if policy.auto_promote else "then ask again"
        queued = f"{ruling.entry.detail}, or wait: its gates are queued, a lifecycle worker runs them, {then}"
        return replace(ruling.entry, detail=queued)

    def _complete(
        self, model: ModelTransaction, version: int, policy: StagePolicy, outcome: Outcome, digest: str
    ) -> None:
        """Close the queued gate run whose evidence this is, and promote where the policy says so.

        Evidence that does not count here, such as that of a worker with another policy, queues no further run:
        the next would end in the same way.
        """
        queued = GateQueue(model.session, model.uid).finish(version, policy.name, self.clock())
        model.hide(version, queue_key(policy.name))
        if queued is None:
            return
        if policy.auto_promote and outcome is Outcome.PASSED:
            request = replace(queued.request, kind=RequestKind.PROMOTE, expected=None, key="")
            ruling = self._ruling(model, request, policy, queued.actor, digest)
            if ruling.is_new:
                self.append(model, ruling.entry)

    def _show_approvals(self, model: ModelTransaction, version: int, policy: StagePolicy, digest: str) -> None:
        """The tag that somebody approves with is not kept, so another one says that it was heard."""
        author = author_of(model.session, model.uid, version)
        ledger = self._ledger(model).decisive()
        given = approvers_of(version, digest, policy, ledger, author, self.clock())
        if given or policy.approvals:
            shown = approvals_shown(given, approvals_needed(policy, author))
            model.show(version, approvals_key(policy.name), shown)

    def _context(
        self, model: ModelTransaction, policy: StagePolicy, version: int, digest: str | None
    ) -> PromotionContext:
        record = ModelEvidence(model.session, model.uid, self.trust).of(version, policy.name)
        return PromotionContext(
            evidence=record.trusted,
            ledger=self._ledger(model).decisive(),
            holder=holder_of(model, policy),
            digest=digest,
            author=author_of(model.session, model.uid, version),
            distrusted=record.distrusted > 0,
        )

    def _ledger(self, model: ModelTransaction) -> ModelLedger:
        return ModelLedger(model.session, model.uid, model.name)


def refused(entry: LedgerEntry) -> bool:
    """Whether an entry says no."""
    return entry.action is Action.REFUSED


def check_claimed(claimed: bool, version: int, stage: str) -> None:
    """Tell a worker that a gate run was given up, after that was committed. Raises NotFound."""
    if not claimed:
        raise NotFound(f"the gate run of version {version} for {stage} took several workers down: given up")
