"""Gate and promote a version through every stage on the way, in one go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.domain.model_ref import ModelRef
from lifecycle.domain.verdict import Outcome
from lifecycle.errors import CheckBroke, Inconclusive, LifecycleError, PromotionRefused
from lifecycle.promotion.check import Checker
from lifecycle.promotion.promoter import Promoter

if TYPE_CHECKING:
    from lifecycle.gates.report import GateReport

_ERROR: dict[Outcome, type[LifecycleError]] = {
    Outcome.FAILED: PromotionRefused,
    Outcome.INCONCLUSIVE: Inconclusive,
    Outcome.ERROR: CheckBroke,
}


def release(checker: Checker, promoter: Promoter, ref: ModelRef, stage: str, current: str | None) -> None:
    """Promote a version to ``stage``, through the stages that come before it, running each one's gates.

    Stages that the version has passed already are not repeated.

    Raises:
        PromotionRefused, Inconclusive, CheckBroke: a gate did not pass; the version stays where it got to.
    """
    policies = checker.policies.of(ref.name)
    version = checker.registry.get(ref)
    pinned = ModelRef(ref.name, version=version.version)
    passed = {e.stage for e in checker.registry.history(ref.name) if e.moved and e.version == version.version}
    *earlier, last = policies.path_to(stage)
    for policy in [p for p in earlier if p.name not in passed] + [last]:
        demand_passed(checker.check(pinned, policy.name, current))
        promoter.promote(pinned, policy.name, reason=f"released to {last.name}")


def demand_passed(report: GateReport) -> None:
    """Return when every gate passed, else raise the error that the worst verdict stands for."""
    evidence = report.evidence
    if evidence.outcome is Outcome.PASSED:
        return
    said = "; ".join(
        f"{v.gate} {v.outcome}: {v.message}" for v in evidence.verdicts if v.outcome != Outcome.PASSED
    )
    raise _ERROR[evidence.outcome](
        f"Version {evidence.version} of {evidence.model} may not go to {evidence.stage}: {said}"
    )
