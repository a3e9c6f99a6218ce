"""The decision about a promotion: fresh evidence, order of stages, approvals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from lifecycle.domain.ledger import UNAUTHENTICATED, Action, LedgerEntry
from lifecycle.domain.policy import StagePolicy
from lifecycle.domain.promotion.request import PromotionContext, PromotionRequest, RequestKind
from lifecycle.domain.text import may_be_equal
from lifecycle.domain.verdict import Evidence, Outcome
from lifecycle.errors import NotTrusted, PromotionRefused

CLOCK_TOLERANCE = timedelta(minutes=2)
"""How far the signer's clock may be ahead of the registry's."""

LONGEST_OVERRIDE = timedelta(days=7)
_OVERRIDE_IS_FRESH = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision: allowed with its evidence, or refused with the reason.

    Attributes:
        unjudged: Whether only a gate run is missing.
    """

    allowed: bool
    detail: str = ""
    digest: str = ""
    evidence_id: str | None = None
    unjudged: bool = False


def decide(request: PromotionRequest, policy: StagePolicy, context: PromotionContext, now: datetime) -> Decision:
    """Decide whether the version may go to the stage.

    Args:
        now: UTC, from the registry's clock.
    """
    case = _Case(request, policy, context, now)
    if request.kind is RequestKind.ROLLBACK:
        return case.rollback()
    return case.override() if request.kind is RequestKind.OVERRIDE else case.promotion()


def attempt_of(evidence: Evidence, on_record: Sequence[Evidence]) -> int:
    """Number of the attempt: its own claim or its place in the record, whichever is larger."""
    return max(evidence.attempt, 1 + on_record.index(evidence) if evidence in on_record else len(on_record) + 1)


def out_of_attempts(model: str, version: int, policy: StagePolicy, attempt: int) -> str:
    """The refusal when a version has used all its gate runs for a stage."""
    return (
        f"Version {version} of {model} may not go to {policy.where}: its gates have been run {attempt - 1} times "
        f"for {policy.name}, and max_attempts is {policy.max_attempts}. Register a new version"
    )


def last_move(ledger: Sequence[LedgerEntry], stage: str) -> LedgerEntry | None:
    """The newest entry that placed a version in the stage."""
    return next((e for e in reversed(ledger) if e.moved and e.stage == stage), None)


@dataclass(frozen=True, slots=True)
class _Case:
    """One request, with everything that decides it."""

    request: PromotionRequest
    policy: StagePolicy
    context: PromotionContext
    now: datetime

    def promotion(self) -> Decision:
        fresh = [e for e in self.context.evidence if self._counts(e)]
        if not fresh:
            return Decision(False, self._nothing_fresh(), unjudged=True)
        newest = fresh[-1]
        problem = (
            self._other_files(newest)
            or self._too_many_attempts(newest)
            or self._not_passed(newest)
            or self._out_of_order(newest)
            or self._not_approved(newest)
        )
        return Decision(not problem, problem, newest.digest, newest.evidence_id)

    def rollback(self) -> Decision:
        model, version = self.request.model, self.request.version
        held = _earned(self.context.ledger, self.policy.name, version)
        if held is None:
            return Decision(
                False,
                f"Version {version} of {model} was never in {self.policy.name} by its gates, so there is nothing "
                f"to roll back to. Run: lifecycle history {model}",
            )
        return Decision(True, digest=held.digest, evidence_id=held.evidence_id)

    def override(self) -> Decision:
        """The decision about an override, whose signature the caller has checked."""
        request, now = self.request, self.now
        subject = f"The override for version {request.version} of {request.model} to {self.policy.where}"
        if request.issued_at is None or request.until is None or not request.reason.strip() or not request.key:
            return Decision(False, f"{subject} says no reason, no end, or not when it was signed")
        if not now - _OVERRIDE_IS_FRESH <= request.issued_at <= now + CLOCK_TOLERANCE:
            return Decision(False, f"{subject} was not signed just now. Sign it again, and check the clocks")
        if not now < request.until <= request.issued_at + LONGEST_OVERRIDE:
            return Decision(
                False, f"{subject} may last {LONGEST_OVERRIDE.days} days at most, and has to end later"
            )
        if request.digest != self.context.digest:
            return Decision(False, f"{subject} speaks of other files than the version has now")
        return Decision(True, digest=request.digest)

    def _counts(self, evidence: Evidence) -> bool:
        request, policy, now = self.request, self.policy, self.now
        return (
            (evidence.model, evidence.version, evidence.stage) == (request.model, request.version, policy.name)
            and evidence.policy_digest == policy.digest
            and evidence.created_at <= now + CLOCK_TOLERANCE
            and now < min(evidence.expires_at, evidence.created_at + policy.max_age)
        )

    def _nothing_fresh(self) -> str:
        if not self.context.evidence:
            if self.context.distrusted:
                return self._refusal("the key that signed its evidence is not trusted (any more)")
            gates = ", ".join(g.name for g in self.policy.gates)
            return self._refusal(f"no gate has been run for it (needed: {gates})")
        newest = self.context.evidence[-1]
        if newest.policy_digest != self.policy.digest:
            return self._refusal("the policy has changed since its gates ran")
        if newest.created_at > self.now + CLOCK_TOLERANCE:
            return self._refusal("its evidence is dated in the future; check the clocks")
        return self._refusal("its evidence has expired")

    def _other_files(self, newest: Evidence) -> str:
        if self.context.digest is None:
            return self._refusal("evidence arrived during this request; retry")
        if self.context.digest != newest.digest:
            return self._refusal("its files have changed since its gates ran")
        return ""

    def _too_many_attempts(self, newest: Evidence) -> str:
        attempt = attempt_of(newest, self.context.evidence)
        if self.policy.max_attempts is None or attempt <= self.policy.max_attempts:
            return ""
        return out_of_attempts(self.request.model, self.request.version, self.policy, attempt)

    def _not_passed(self, newest: Evidence) -> str:
        """Demanded gates without a PASSED verdict, each with its outcome. One other verdict is enough."""
        said: dict[str, Outcome] = {}
        for verdict in newest.verdicts:
            if said.get(verdict.gate, Outcome.PASSED) is Outcome.PASSED:
                said[verdict.gate] = verdict.outcome
        missing = [g.name for g in self.policy.gates if said.get(g.name) is not Outcome.PASSED]
        listed = ", ".join(f"{name} ({said.get(name, 'not run')})" for name in missing)
        return self._refusal(f"not passed: {listed}") if missing else ""

    def _out_of_order(self, newest: Evidence) -> str:
        model, version, after = self.request.model, self.request.version, self.policy.after
        if not after or _earned(self.context.ledger, after, version, newest.digest):
            return ""
        return (
            f"Version {version} of {model} has not been promoted to {after} with these files, which "
            f"{self.policy.name} demands. Run: lifecycle promote models:/{model}/{version} --stage {after}"
        )

    def _not_approved(self, newest: Evidence) -> str:
        model, version, policy, context = self.request.model, self.request.version, self.policy, self.context
        needed = approvals_needed(policy, context.author)
        given = approvers_of(version, newest.digest, policy, context.ledger, context.author, self.now)
        if len(given) >= needed:
            return ""
        whose = f" ({', '.join(sorted(given))})" if given else ""
        unknown = ", one of them because its author is unknown" if needed > policy.approvals else ""
        return (
            f"Version {version} of {model} may not go to {policy.where}: it has {len(given)} of {needed} "
            f"approvals{whose}{unknown}. Someone who did not register it can run: lifecycle approve "
            f"models:/{model}/{version} --stage {policy.name} --reason …"
        )

    def _refusal(self, why: str) -> str:
        """The refusal as one short paragraph, which MLflow's UI shows unchanged."""
        model, version, policy = self.request.model, self.request.version, self.policy
        inherited = f" ({model} has no policy of its own, so the defaults apply)" if policy.inherited else ""
        return (
            f"Version {version} of {model} may not go to {policy.where}: {why}{inherited}. "
            f"Run: lifecycle gate run models:/{model}/{version} --stage {policy.name}"
        )


def _earned(
    ledger: Sequence[LedgerEntry], stage: str, version: int, digest: str | None = None
) -> LedgerEntry | None:
    """The newest entry that promoted the version (with that digest) to the stage, without overrides."""
    earning = (Action.PROMOTED, Action.ROLLED_BACK)
    own = (e for e in reversed(ledger) if e.action in earning and (e.stage, e.version) == (stage, version))
    return next((e for e in own if digest in (None, e.digest)), None)


def approvers_of(
    version: int,
    digest: str,
    policy: StagePolicy,
    ledger: Sequence[LedgerEntry],
    author: str | None,
    now: datetime,
) -> set[str]:
    """Users who have validly approved these files of the version for the stage.

    An approval is valid as long as evidence (``max_age``). Names that a database of users may take for
    the same are one person.
    """
    given: list[str] = []
    for entry in ledger:
        if (
            entry.action is Action.APPROVED
            and (entry.stage, entry.version, entry.digest) == (policy.name, version, digest)
            and entry.at > now - policy.max_age
            and _may(entry.actor, policy)
            and not any(_same_person(entry.actor, other) for other in (*given, author or ""))
        ):
            given.append(entry.actor)
    return set(given)


def approvals_needed(policy: StagePolicy, author: str | None) -> int:
    """Number of approvals that ensure ``policy.approvals`` approvers other than the author.

    If the author is unknown, one of the approvers may be the author.
    """
    return policy.approvals + 1 if policy.approvals and author is None else policy.approvals


def check_may_approve(model: str, version: int, policy: StagePolicy, actor: str, author: str | None) -> None:
    """Refuse an approval that is not valid.

    Raises:
        NotTrusted: the user is not authenticated.
        PromotionRefused: the policy does not list the user, or the user registered the version.
    """
    subject = f"version {version} of {model} for {policy.name}"
    if actor == UNAUTHENTICATED:
        raise NotTrusted(
            f"You may not approve {subject}: an approval needs a signed-in user. "
            f"Start the server with --app-name basic-auth"
        )
    if author is not None and _same_person(actor, author):
        raise PromotionRefused(
            f"{actor} may not approve {subject}: they registered it, and four eyes are demanded"
        )
    if not _may(actor, policy):
        listed = ", ".join(sorted(policy.approvers))
        raise PromotionRefused(f"{actor} may not approve {subject}: the policy lists {listed}")


def _may(actor: str, policy: StagePolicy) -> bool:
    return actor != UNAUTHENTICATED and (not policy.approvers or actor in policy.approvers)


def _same_person(one: str, other: str) -> bool:
    """Whether a database of users may find the two names equal."""
    return may_be_equal(one, other) or may_be_equal(other, one)
