"""``lifecycle promote|approve|rollback``, and ``lifecycle history``: past moves, and what held a stage when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lifecycle.cli.output import assembled, console, json_option, print_json, print_table
from lifecycle.errors import LifecycleError, NotFound, unknown

if TYPE_CHECKING:
    from lifecycle.domain.ledger import LedgerEntry
    from lifecycle.domain.policy import ModelPolicy
    from lifecycle.domain.stage_history import StageAssignment, TimeRange
    from lifecycle.domain.verdict import Evidence
    from lifecycle.registry.contract import ModelRegistry


@click.command()
@click.argument("model_uri")
@click.option("--stage", required=True, help="Stage of the policy to promote to, such as production.")
@click.option("--reason", default="", help="Why; recorded in the history. An override needs one.")
@click.option(
    "--override",
    is_flag=True,
    help="Emergency: promote without gate evidence. Needs a key with the override permission; recorded in the "
    "ledger as OVERRIDDEN.",
)
@click.option(
    "--hours",
    type=click.FloatRange(min=0, min_open=True, max=168),
    default=24,
    show_default=True,
    help="With --override: hours until the gates must have confirmed it.",
)
@json_option
@click.pass_obj
def promote(  # noqa: PLR0913  one argument for each option
    config: Path | None, model_uri: str, *, stage: str, reason: str, override: bool, hours: float, as_json: bool
) -> None:
    """Promote a version to a stage. Its gates have to have PASSED, on these very files and under today's policy.

    The version that held the stage is archived, and the stage's alias moves along.

    \b
    Exit codes: 0 promoted, 1 refused (the message names the missing gates), 2 wrong usage,
    5 unknown version or stage, 6 another promotion was first, 7 MLflow does not answer.

    \b
    Examples:
      lifecycle promote models:/flights-delay/1 --stage production --reason "July looks good"
      lifecycle promote models:/flights-delay/2 --stage production --override --hours 4 --reason "INC-4711"
    """  # noqa: D301  click reads \b
    from lifecycle.domain.model import ModelRef

    ref = ModelRef.parse(model_uri)
    if override and not reason.strip():
        raise click.UsageError("an override needs a --reason")
    with console(stderr=True).status("Promoting …"):
        promoter = assembled(config).promoter
        if override:
            entry = promoter.override(ref, stage, reason, timedelta(hours=hours))
        else:
            entry = promoter.promote(ref, stage, reason)
    _print_moved(entry, as_json)


@click.command()
@click.argument("model_uri")
@click.option("--stage", required=True, help="Stage to approve it for, such as production.")
@click.option("--reason", required=True, help="Why; recorded in the history.")
@json_option
@click.pass_obj
def approve(config: Path | None, model_uri: str, stage: str, reason: str, as_json: bool) -> None:
    """Approve a version for a stage.

    You approve as the user that you are signed in to MLflow as. The approval holds for the files that the gates
    have judged, so run the gates first. It does not count if you registered the version yourself.

    \b
    Exit codes: 0 approved, 1 refused (no evidence yet, or not signed in), 5 unknown version
    or stage, 7 MLflow does not answer.

    Example: lifecycle approve models:/flights-delay/1 --stage production --reason "read the report"
    """  # noqa: D301  click reads \b
    from lifecycle.domain.model import ModelRef

    registry = assembled(config).registry
    entry = registry.approve(registry.get(ModelRef.parse(model_uri)), stage, reason)
    if as_json:
        print_json(entry.as_dict())
    else:
        click.echo(f"{entry.actor} approved version {entry.version} of {entry.model} for {entry.stage}.")


@click.command()
@click.argument("model")
@click.option("--stage", default="production", show_default=True, help="Stage to roll back.")
@click.option(
    "--to", type=click.IntRange(min=1), help="Version to return to. Default: the one before the current one."
)
@click.option("--reason", required=True, help="Why; recorded in the history.")
@json_option
@click.pass_obj
def rollback(config: Path | None, model: str, stage: str, to: int | None, reason: str, as_json: bool) -> None:
    """Return a stage to a version that held it before.

    No gates are run. First the version's files are compared with those that were judged, and loaded; only then
    does anything move.

    \b
    Exit codes: 0 rolled back, 1 refused, 2 wrong usage, 5 no earlier version,
    6 another promotion was first, 7 MLflow does not answer, 8 its files have changed.

    Example: lifecycle rollback flights-delay --reason "complaints since this morning"
    """  # noqa: D301  click reads \b
    from lifecycle.domain.model import check_model_name

    with console(stderr=True).status("Checking that the earlier version still loads …"):
        entry = assembled(config).promoter.rollback(check_model_name(model), stage, to, reason)
    _print_moved(entry, as_json)


def _print_moved(entry: LedgerEntry, as_json: bool) -> None:
    if as_json:
        print_json(entry.as_dict())
        return
    instead = f" in place of version {entry.previous}" if entry.previous else ""
    click.echo(f"Version {entry.version} of {entry.model} is now in {entry.stage}{instead}.")
    if entry.until is not None:
        end = f"{entry.until:%Y-%m-%d %H:%M} UTC"
        click.echo(f"WITHOUT GATE EVIDENCE, until {end}. Before that: lifecycle gate run, then lifecycle promote.")


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
    from lifecycle.display import HISTORY_COLUMNS, history_rows
    from lifecycle.domain.model import check_model_name
    from lifecycle.domain.stage_history import TimeRange, stage_assignments

    period = TimeRange.parse(at) if at else None
    product = assembled(config)
    entries = product.registry.history(check_model_name(model))
    stages = _stages(entries, product.config.policies.of(model), stage)
    if period is None:
        shown = [entry for entry in entries if entry.stage in stages]
        if as_json:
            print_json([entry.as_dict() for entry in shown])
        elif shown:
            print_table(HISTORY_COLUMNS, history_rows(shown))
        else:
            click.echo(f"The history of {model} is empty.")
        return
    assignments = stage_assignments(entries, product.config.policies.of(model).aliases_alone)
    touching = [assignment for assignment in assignments if assignment.touches(period)]
    held = {name: [assignment for assignment in touching if assignment.entry.stage == name] for name in stages}
    evidence = _evidence(product.registry, model, touching)
    if as_json:
        shown_stages = [
            {"stage": name, "held": [_as_dict(assignment, evidence, period) for assignment in assigned]}
            for name, assigned in held.items()
        ]
        print_json({"model": model, **period.as_dict(), "stages": shown_stages})
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


def _print_held(
    held: Mapping[str, Sequence[StageAssignment]], evidence: Mapping[str, Evidence], period: TimeRange, title: str
) -> None:
    from lifecycle.display import HELD_COLUMNS, held_rows

    said = {key: ", ".join(f"{v.gate} {v.outcome}" for v in record.verdicts) for key, record in evidence.items()}
    print_table(HELD_COLUMNS, held_rows(held, said), title)
    for assignments in held.values():
        for assignment in assignments:
            if problem := assignment.why_not_served(period.start):
                version, stage = assignment.entry.version, assignment.entry.stage
                click.echo(f"Version {version} was in {stage} but could not be deployed: {problem}.")


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
