"""Consistency check behind ``lifecycle status``: stages, ledger and trusted keys of deployed models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from lifecycle.domain.deployment import Deployment
from lifecycle.errors import IntegrityError, NotFound, NotPromoted, NotTrusted, Unavailable
from lifecycle.promotion.consistency import Inconsistency, Mismatch, inconsistencies
from lifecycle.promotion.promoter import Promoter


@dataclass(frozen=True, slots=True)
class StatusCheck:
    """Result of the consistency check.

    Attributes:
        models: Number of models that were compared.
        unavailable: Why the registry could not be read; then nothing was compared.
    """

    models: int
    findings: Sequence[Inconsistency]
    unavailable: str = ""


def check_status(promoter: Promoter, deployments: Iterable[Deployment]) -> StatusCheck:
    """Compare the models that are deployed here, and up to a hundred others."""
    deployed = dict.fromkeys(d.ref.name for d in deployments if d.version)
    try:
        models = list(dict.fromkeys([*deployed, *promoter.registry.models()]))
        found = [one for model in models for one in _of_model(promoter, model, model in deployed)]
    except Unavailable as exc:
        return StatusCheck(0, (), str(exc))
    return StatusCheck(len(models), found)


def _of_model(promoter: Promoter, model: str, deployed: bool) -> list[Inconsistency]:
    """The findings of two checks in a row: a promotion may happen between two requests of one check."""
    found = list(_differences(promoter, model, deployed))
    again = list(_differences(promoter, model, deployed)) if found else []
    return [one for one in found if one in again]


def _differences(promoter: Promoter, model: str, deployed: bool) -> Iterator[Inconsistency]:
    """Differences from the ledger; and whether a deployed version's promotion is signed by a key trusted here."""
    policies = promoter.policies.of(model)
    try:
        state = promoter.registry.state(model)
    except NotFound:  # deployed from another registry
        return
    except IntegrityError as exc:
        yield Inconsistency(model, Mismatch.HISTORY, f"{model}: {exc}", "Run: lifecycle audit verify")
        return
    yield from inconsistencies(state, policies, promoter.clock())
    for policy in policies.stages if deployed else ():
        try:
            promoter.held_in(state, policy)
        except NotTrusted as exc:
            message, _, mend = str(exc).partition(". ")
            yield Inconsistency(model, Mismatch.UNPROVEN, message, mend)
        except (NotFound, NotPromoted):
            continue
