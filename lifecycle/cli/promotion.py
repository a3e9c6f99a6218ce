"""``lifecycle promote|approve|rollback``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lifecycle.cli.output import as_one_argument, console, json_option, print_json

if TYPE_CHECKING:
    from lifecycle.domain.ledger import LedgerEntry


@dataclass(frozen=True, slots=True)
class OverrideOptions:
    """Whether to promote without gate evidence, and for how long."""

    override: bool
    hours: float


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
@as_one_argument(OverrideOptions)
def promote(
    config: Path | None, model_uri: str, stage: str, reason: str, as_json: bool, options: OverrideOptions
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
    from lifecycle.assembly import assemble
    from lifecycle.domain.model import ModelRef

    ref = ModelRef.parse(model_uri)
    if options.override and not reason.strip():
        raise click.UsageError("an override needs a --reason")
    with console(stderr=True).status("Promoting …"):
        promoter = assemble(config).promoter
        if options.override:
            entry = promoter.override(ref, stage, reason, timedelta(hours=options.hours))
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
    from lifecycle.assembly import assemble
    from lifecycle.domain.model import ModelRef

    registry = assemble(config).registry
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
    from lifecycle.assembly import assemble
    from lifecycle.domain.model import check_model_name

    with console(stderr=True).status("Checking that the earlier version still loads …"):
        entry = assemble(config).promoter.rollback(check_model_name(model), stage, to, reason)
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
