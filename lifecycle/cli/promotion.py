"""``lifecycle promote|approve|rollback``."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lifecycle.cli.output import console, json_option, print_json

if TYPE_CHECKING:
    from lifecycle.domain.ledger import LedgerEntry


@click.command()
@click.argument("model_uri")
@click.option("--stage", required=True, help="Where to: a stage of the policy, such as production.")
@click.option("--reason", default="", help="Why; it goes into the history. An override needs one.")
@click.option("--override", is_flag=True, help="Break the glass: without gates, with a key that may. Loud.")
@click.option(
    "--hours",
    type=click.FloatRange(min=0, min_open=True, max=168),
    default=24,
    show_default=True,
    help="How long an override holds; by then gates have to confirm it.",
)
@json_option
@click.pass_obj
def promote(config: Path | None, /, model_uri: str, stage: str, reason: str, as_json: bool, **glass: Any) -> None:
    """Promote a version to a stage, on the evidence that its gates left.

    \b
    Examples:
      lifecycle promote models:/flights-delay/1 --stage production --reason "July looks good"
      lifecycle promote models:/flights-delay/2 --stage production --override --hours 4 --reason "INC-4711"
    """  # noqa: D301  click reads \b
    from lifecycle.assembly import assemble
    from lifecycle.domain.model_ref import ModelRef

    ref = ModelRef.parse(model_uri)
    if glass["override"] and not reason.strip():
        raise click.UsageError("an override needs a --reason")
    with console(stderr=True).status("Promoting …"):
        promoter = assemble(config).promoter
        if glass["override"]:
            entry = promoter.override(ref, stage, reason, timedelta(hours=glass["hours"]))
        else:
            entry = promoter.promote(ref, stage, reason)
    _print_moved(entry, as_json)


@click.command()
@click.argument("model_uri")
@click.option("--stage", required=True, help="The stage that you approve it for, such as production.")
@click.option("--reason", required=True, help="Why; it goes into the history.")
@json_option
@click.pass_obj
def approve(config: Path | None, model_uri: str, stage: str, reason: str, as_json: bool) -> None:
    """Approve a version for a stage, as the user that you sign in to MLflow as.

    It counts for the files that its gates have judged, and not if you registered the version yourself.

    Example: lifecycle approve models:/flights-delay/1 --stage production --reason "read the report"
    """
    from lifecycle.assembly import assemble
    from lifecycle.domain.model_ref import ModelRef

    registry = assemble(config).registry
    entry = registry.approve(registry.get(ModelRef.parse(model_uri)), stage, reason)
    if as_json:
        print_json(entry.as_dict())
    else:
        click.echo(f"{entry.actor} approved version {entry.version} of {entry.model} for {entry.stage}.")


@click.command()
@click.argument("model")
@click.option("--stage", default="production", show_default=True, help="Which stage to give back.")
@click.option("--to", type=click.IntRange(min=1), help="The version; default: the one before the current one.")
@click.option("--reason", required=True, help="Why; it goes into the history.")
@json_option
@click.pass_obj
def rollback(config: Path | None, model: str, stage: str, to: int | None, reason: str, as_json: bool) -> None:
    """Give a stage back to a version that held it before, without new gates.

    The version's files must be the ones that were judged, and must load, before anything moves.

    Example: lifecycle rollback flights-delay --reason "complaints since this morning"
    """
    from lifecycle.assembly import assemble
    from lifecycle.domain.model_ref import check_model_name

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
        click.echo(f"WITHOUT ITS GATES, until {end}. Before that: lifecycle gate run, then lifecycle promote.")
