"""``lifecycle history``: what has happened to a model, and what held its stages at some time."""

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
    from lifecycle.domain.tenure import Period, Tenure
    from lifecycle.registry.contract import ModelRegistry


@click.command()
@click.argument("model")
@click.option("--stage", help="Only this stage of the policy, such as production.")
@click.option(
    "--at",
    metavar="TIME",
    help="What held each stage then, on whose word and on what evidence: a day (2026-05-03) or a moment "
    "(2026-05-03T12:00); UTC, unless it says otherwise (2026-05-03T12:00+02:00).",
)
@json_option
@click.pass_obj
def history(config: Path | None, model: str, stage: str | None, at: str | None, as_json: bool) -> None:
    """Show who moved which version where, when, why and on what evidence. All times are UTC.

    It is what the registry shows: of refusals the newest, and of versions that were deleted nothing. The whole
    ledger comes out of lifecycle audit export.

    \b
    Examples:
      lifecycle history flights-delay
      lifecycle history flights-delay --stage production --at 2026-05-03
    """  # noqa: D301  click reads \b
    from lifecycle.assembly import assemble
    from lifecycle.domain.model_ref import check_model_name
    from lifecycle.domain.tenure import Period, tenures

    period = Period.parse(at) if at else None
    product = assemble(config)
    entries = product.registry.history(check_model_name(model))
    stages = _stages(entries, product.config.policies.of(model), stage)
    if period is None:
        _print_entries([entry for entry in entries if entry.stage in stages], model, as_json)
        return
    touching = [tenure for tenure in tenures(entries) if tenure.touches(period)]
    held = {name: [tenure for tenure in touching if tenure.entry.stage == name] for name in stages}
    evidence = _evidence(product.registry, model, touching)
    if as_json:
        print_json({"model": model, **period.as_dict(), "stages": _as_dicts(held, evidence, period)})
    else:
        _print_held(held, evidence, period, title=f"{model} on {at}, times in UTC")


def _stages(entries: Sequence[LedgerEntry], policy: ModelPolicy, wanted: str | None) -> list[str]:
    """The stages that the policy or the ledger knows, or the one that is meant."""
    known = list(dict.fromkeys([*(stage.name for stage in policy.stages), *(entry.stage for entry in entries)]))
    if wanted is None or wanted in known:
        return known if wanted is None else [wanted]
    meant = [stage.name for stage in policy.stages if wanted.lower() in (stage.name.lower(), stage.stage.lower())]
    if not meant:
        raise NotFound(unknown("stage", wanted, known))
    return meant


def _evidence(registry: ModelRegistry, model: str, held: Sequence[Tenure]) -> dict[str, Evidence]:
    """What the registry still shows of the evidence, by its id: of each version and stage the newest."""
    from lifecycle.domain.model_ref import ModelRef

    found = {}
    for version in {tenure.entry.version for tenure in held}:
        try:
            records = registry.evidence(registry.get(ModelRef(model, version=version)))
        except LifecycleError:  # the version was deleted, or somebody wrote something else into its tag
            continue
        found.update({record.evidence_id: record for record in records})
    return found


def _print_entries(entries: Sequence[LedgerEntry], model: str, as_json: bool) -> None:
    if as_json:
        print_json([entry.as_dict() for entry in entries])
    elif entries:
        print_history(entries)
    else:
        click.echo(f"Nothing has happened to {model} yet.")


def _print_held(
    held: Mapping[str, Sequence[Tenure]], evidence: Mapping[str, Evidence], period: Period, title: str
) -> None:
    said = {key: ", ".join(f"{v.gate} {v.outcome}" for v in record.verdicts) for key, record in evidence.items()}
    print_table(HELD_COLUMNS, held_rows(held, said), title)
    for tenures in held.values():
        for tenure in tenures:
            if problem := tenure.why_not_served(period.start):
                click.echo(
                    f"Version {tenure.entry.version} was in {tenure.entry.stage} and not served: {problem}."
                )


def _as_dicts(
    held: Mapping[str, Sequence[Tenure]], evidence: Mapping[str, Evidence], period: Period
) -> list[dict[str, Any]]:
    return [
        {"stage": stage, "held": [_as_dict(tenure, evidence, period) for tenure in tenures]}
        for stage, tenures in held.items()
    ]


def _as_dict(tenure: Tenure, evidence: Mapping[str, Evidence], period: Period) -> dict[str, Any]:
    entry = tenure.entry.as_dict()
    known = evidence.get(tenure.entry.evidence_id or "")
    return {
        "version": entry["version"],
        "digest": entry["digest"],
        "since": entry["at"],
        "until": tenure.ended_by and tenure.ended_by.as_dict()["at"],
        "served": not tenure.why_not_served(period.start),
        "verdicts": [verdict.as_dict() for verdict in known.verdicts] if known else None,
        "approvals": [approval.as_dict() for approval in tenure.approvals],
        "entry": entry,
    }
