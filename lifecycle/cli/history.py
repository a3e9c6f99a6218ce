"""``lifecycle history``: the promotions of a model, and what held its stages at a given time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lifecycle.cli.output import json_option, print_history, print_json, print_table
from lifecycle.display import HELD_COLUMNS, held_rows
from lifecycle.errors import LifecycleError, NotFound, unknown

if TYPE_CHECKING:
    from lifecycle.domain.evidence import Evidence
    from lifecycle.domain.ledger import LedgerEntry
    from lifecycle.domain.policy import ModelPolicy
    from lifecycle.domain.stage_history import StageAssignment, TimeRange
    from lifecycle.registry.contract import ModelRegistry


@click.command()
@click.argument("model")
@click.option("--stage", help="Only entries of this stage, such as production.")
@click.option(
    "--at",
    metavar="TIME",
    help="Show what held each stage at that time instead, by whom and on what evidence: a day (2026-05-03) or a "
    "moment (2026-05-03T12:00 in UTC, or 2026-05-03T12:00+02:00).",
)
@json_option
@click.pass_obj
def history(config: Path | None, model: str, stage: str | None, at: str | None, as_json: bool) -> None:
    """Show who moved which version where, when and why.

    All times are UTC. The registry shows a part of the ledger: only the newest refusals, and nothing of deleted
    versions. For the whole ledger use lifecycle audit export.

    Exit codes: 0 done, 2 wrong usage, 5 unknown model or stage, 7 MLflow does not answer.

    \b
    Examples:
      lifecycle history flights-delay
      lifecycle history flights-delay --stage production --at 2026-05-03
    """  # noqa: D301  click reads \b
    from lifecycle.assembly import assemble
    from lifecycle.domain.model import check_model_name
    from lifecycle.domain.stage_history import TimeRange, stage_assignments

    period = TimeRange.parse(at) if at else None
    product = assemble(config)
    entries = product.registry.history(check_model_name(model))
    stages = _stages(entries, product.config.policies.of(model), stage)
    if period is None:
        _print_entries([entry for entry in entries if entry.stage in stages], model, as_json)
        return
    assignments = stage_assignments(entries, product.config.policies.of(model).aliases_alone)
    touching = [assignment for assignment in assignments if assignment.touches(period)]
    held = {name: [assignment for assignment in touching if assignment.entry.stage == name] for name in stages}
    evidence = _evidence(product.registry, model, touching)
    if as_json:
        print_json({"model": model, **period.as_dict(), "stages": _as_dicts(held, evidence, period)})
    else:
        _print_held(held, evidence, period, title=f"{model} on {at}, times in UTC")


def _stages(entries: Sequence[LedgerEntry], policy: ModelPolicy, wanted: str | None) -> list[str]:
    """Names of the stages in policy and ledger, or of the wanted one. Raises NotFound."""
    known = list(dict.fromkeys([*(stage.name for stage in policy.stages), *(entry.stage for entry in entries)]))
    if wanted is None or wanted in known:
        return known if wanted is None else [wanted]
    meant = [
        stage.name
        for stage in policy.stages
        if wanted.lower() in (stage.name.lower(), (stage.stage or "").lower())
    ]
    if not meant:
        raise NotFound(unknown("stage", wanted, known))
    return meant


def _evidence(registry: ModelRegistry, model: str, held: Sequence[StageAssignment]) -> dict[str, Evidence]:
    """Evidence by its id: the newest record of each version and stage, as far as the registry shows it."""
    from lifecycle.domain.model import ModelRef

    found = {}
    for version in {assignment.entry.version for assignment in held}:
        try:
            records = registry.evidence(registry.get(ModelRef(model, version=version)))
        except LifecycleError:  # the version was deleted, or its tag holds something else
            continue
        found.update({record.evidence_id: record for record in records})
    return found


def _print_entries(entries: Sequence[LedgerEntry], model: str, as_json: bool) -> None:
    if as_json:
        print_json([entry.as_dict() for entry in entries])
    elif entries:
        print_history(entries)
    else:
        click.echo(f"The history of {model} is empty.")


def _print_held(
    held: Mapping[str, Sequence[StageAssignment]], evidence: Mapping[str, Evidence], period: TimeRange, title: str
) -> None:
    said = {key: ", ".join(f"{v.gate} {v.outcome}" for v in record.verdicts) for key, record in evidence.items()}
    print_table(HELD_COLUMNS, held_rows(held, said), title)
    for assignments in held.values():
        for assignment in assignments:
            if problem := assignment.why_not_served(period.start):
                version, stage = assignment.entry.version, assignment.entry.stage
                click.echo(f"Version {version} was in {stage} but could not be deployed: {problem}.")


def _as_dicts(
    held: Mapping[str, Sequence[StageAssignment]], evidence: Mapping[str, Evidence], period: TimeRange
) -> list[dict[str, Any]]:
    return [
        {"stage": stage, "held": [_as_dict(assignment, evidence, period) for assignment in assignments]}
        for stage, assignments in held.items()
    ]


def _as_dict(assignment: StageAssignment, evidence: Mapping[str, Evidence], period: TimeRange) -> dict[str, Any]:
    entry = assignment.entry.as_dict()
    known = evidence.get(assignment.entry.evidence_id or "")
    return {
        "version": entry["version"],
        "digest": entry["digest"],
        "since": entry["at"],
        "until": assignment.ended_by and assignment.ended_by.as_dict()["at"],
        "served": not assignment.why_not_served(period.start),
        "verdicts": [verdict.as_dict() for verdict in known.verdicts] if known else None,
        "approvals": [approval.as_dict() for approval in assignment.approvals],
        "entry": entry,
    }
