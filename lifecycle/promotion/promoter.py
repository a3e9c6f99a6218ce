"""Promote, roll back and release: what the command line, the notebook and the deployment plugin call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from lifecycle.domain.ledger import Action, LedgerEntry
from lifecycle.domain.model import ModelRef, ModelState, ModelVersion, Snapshot
from lifecycle.domain.policy import PolicyBook, StagePolicy
from lifecycle.domain.promotion.request import PromotionRequest, RequestKind
from lifecycle.domain.verdict import Outcome
from lifecycle.errors import CheckBroke, Inconclusive, LifecycleError, NotFound, NotPromoted, PromotionRefused
from lifecycle.promotion.consistency import standing_move
from lifecycle.promotion.gate_runner import GateRunner
from lifecycle.registry.contract import ModelRegistry, version_meant

if TYPE_CHECKING:
    from lifecycle.gates.report import GateReport


ProveLoadable = Callable[[Snapshot], None]
"""Raises an error when a snapshot cannot be served."""


@dataclass(frozen=True)
class HeldVersion:
    """What a stage holds: the version, the digest it was promoted with, and when an override ends (UTC)."""

    version: ModelVersion
    digest: str
    until: datetime | None = None


@dataclass(frozen=True)
class Promoter:
    """Promotes and rolls back through the registry, which decides.

    Attributes:
        prove_loadable: Called before a rollback or override.
        requested_by: Name of the requester.
        clock: Current time, UTC.
    """

    registry: ModelRegistry
    policies: PolicyBook
    prove_loadable: ProveLoadable
    requested_by: str
    clock: Callable[[], datetime]

    def promote(self, ref: ModelRef, stage: str, reason: str = "") -> LedgerEntry:
        """Promote a version whose gates have PASSED.

        Raises:
            NotFound: unknown model, version or stage.
            PromotionRefused: the policy does not allow it.
            Conflict: another promotion was first.
        """
        policy = self.policies.of(ref.name).stage(stage)
        state = self.registry.state(ref.name)
        version = self._meant(ref, state)
        return self.registry.promote(self._request(state, version, policy, RequestKind.PROMOTE, reason))

    def rollback(
        self, model: str, stage: str = "production", to: int | None = None, reason: str = ""
    ) -> LedgerEntry:
        """Return a stage to a version that held it before, with the same files.

        Args:
            to: The version; None for the one before the current one.

        Raises:
            NotFound: the stage never held that version, or none before the current one.
            IntegrityError: that version's files are not the ones it was promoted with.
        """
        policy = self.policies.of(model).stage(stage)
        state = self.registry.state(model)
        target = self._earlier(state, policy, to)
        version = self._meant(ModelRef(model, version=target.version), state)
        self.prove_loadable(self.registry.snapshot(version, target.digest or None))
        return self.registry.promote(self._request(state, version, policy, RequestKind.ROLLBACK, reason))

    def override(self, ref: ModelRef, stage: str, reason: str, lasts: timedelta) -> LedgerEntry:
        """Promote a version without gate evidence, for a limited time, with an override key.

        Raises:
            NotTrusted: this machine's key does not have the override permission.
            PromotionRefused: the reason is missing, or the time is too long.
        """
        policy = self.policies.of(ref.name).stage(stage)
        state = self.registry.state(ref.name)
        version = self._meant(ref, state)
        snapshot = self.registry.snapshot(version)
        self.prove_loadable(snapshot)
        now = self.clock()
        request = self._request(state, version, policy, RequestKind.OVERRIDE, reason)
        return self.registry.promote(replace(request, digest=snapshot.digest, issued_at=now, until=now + lasts))

    def held(self, model: str, policy: StagePolicy) -> HeldVersion:
        """What the stage holds, by the registry and by the ledger.

        Raises:
            NotFound: nothing is in the stage.
            NotPromoted: the stage was changed past the guard.
        """
        return self.held_in(self.registry.state(model), policy)

    def held_in(self, state: ModelState, policy: StagePolicy) -> HeldVersion:
        """What the stage holds, from a state that was read before.

        Raises:
            NotTrusted: the promotion is not signed by a key that is trusted on this machine.
        """
        model = state.model
        stage = ModelRef(model, stage=policy.name)
        version = version_meant(stage, state.versions, self.policies.of(model))
        move = standing_move(state, self.policies.of(model), policy)
        if move is None or move.version != version.version:
            raise NotPromoted(
                f"{policy.where} of {model} holds version {version.version}, which no promotion put there. "
                f"Run: lifecycle promote {version.uri} --stage {policy.name}"
            )
        if not move.stands(self.clock()):
            raise NotPromoted(
                f"the override that put version {version.version} of {model} into {policy.where} has ended. "
                f"Run: lifecycle gate run {version.uri} --stage {policy.name}, then lifecycle promote "
                f"{version.uri} --stage {policy.name}; or lifecycle rollback {model}"
            )
        self.registry.verify(version, move)
        return HeldVersion(version, move.digest, move.until)

    def _request(
        self, state: ModelState, version: ModelVersion, policy: StagePolicy, kind: RequestKind, reason: str
    ) -> PromotionRequest:
        return PromotionRequest(
            model=version.model,
            version=version.version,
            stage=policy.name,
            kind=kind,
            reason=reason,
            requested_by=self.requested_by,
            expected=self._holder(state, policy),
            key=uuid4().hex,
        )

    def _meant(self, ref: ModelRef, state: ModelState) -> ModelVersion:
        return version_meant(ref, state.versions, self.policies.of(ref.name))

    def _holder(self, state: ModelState, policy: StagePolicy) -> int:
        """The version in the stage; 0: none."""
        try:
            return self._meant(ModelRef(state.model, stage=policy.name), state).version
        except NotFound:
            return 0

    def _earlier(self, state: ModelState, policy: StagePolicy, to: int | None) -> LedgerEntry:
        model = state.model
        moves = [e for e in state.history if e.moved and e.stage == policy.name]
        if to is None:
            holder = self._holder(state, policy)
            passed = [e for e in moves if e.action is not Action.OVERRIDDEN]  # nothing has judged the others
            earlier = [e for e in _standing(passed) if e.version != holder]
        else:
            earlier = [e for e in moves if e.version == to]
        if not earlier:
            held = f"never held version {to}" if to is not None else "held no version before this one"
            raise NotFound(
                f"{policy.name} of {model} {held}, so there is nothing to roll back to. "
                f"Run: lifecycle history {model}"
            )
        return earlier[-1]


def _standing(moves: Sequence[LedgerEntry]) -> list[LedgerEntry]:
    """The moves that no later rollback undid.

    A second rollback goes further back, not forward to the version that the first one replaced.
    """
    standing: list[LedgerEntry] = []
    for move in moves:
        versions = [e.version for e in standing]
        if move.action is Action.ROLLED_BACK and move.version in versions:
            del standing[versions.index(move.version) :]
        standing.append(move)
    return standing


_ERROR: dict[Outcome, type[LifecycleError]] = {
    Outcome.FAILED: PromotionRefused,
    Outcome.INCONCLUSIVE: Inconclusive,
    Outcome.ERROR: CheckBroke,
}


def release(gate_runner: GateRunner, promoter: Promoter, ref: ModelRef, stage: str, current: str | None) -> None:
    """Promote a version to ``stage``, through the stages that come before it, running each one's gates.

    Stages that the version has passed already are not repeated.

    Raises:
        PromotionRefused, Inconclusive, CheckBroke: a gate did not pass; the version keeps the stage it reached.
    """
    policies = gate_runner.policies.of(ref.name)
    version = gate_runner.registry.get(ref)
    pinned = ModelRef(ref.name, version=version.version)
    passed = {e.stage for e in gate_runner.registry.history(ref.name) if e.moved and e.version == version.version}
    *earlier, last = policies.path_to(stage)
    for policy in [p for p in earlier if p.name not in passed] + [last]:
        demand_passed(gate_runner.run(pinned, policy.name, current))
        promoter.promote(pinned, policy.name, reason=f"released to {last.name}")


def demand_passed(report: GateReport) -> None:
    """Raise the error of the worst verdict, unless every gate passed."""
    evidence = report.evidence
    if evidence.outcome is Outcome.PASSED:
        return
    said = "; ".join(
        f"{v.gate} {v.outcome}: {v.message}" for v in evidence.verdicts if v.outcome != Outcome.PASSED
    )
    raise _ERROR[evidence.outcome](
        f"Version {evidence.version} of {evidence.model} may not go to {evidence.stage}: {said}"
    )
