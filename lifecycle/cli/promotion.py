"""``lifecycle promote|rollback|history``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lifecycle.cli.output import console, json_option, print_history, print_json

if TYPE_CHECKING:
    from lifecycle.domain.ledger import LedgerEntry


@click.command()
@click.argument("model_uri")
@click.option("--stage", required=True, help="Where to: a stage of the policy, such as production.")
@click.option("--reason", default="", help="Why; it goes into the history.")
@json_option
@click.pass_obj
def promote(config: Path | None, model_uri: str, stage: str, reason: str, as_json: bool) -> None:
    """Promote a version to a stage, on the evidence that its gates left.

    Example: lifecycle promote models:/flights-delay/1 --stage production --reason "July looks good"
    """
    from lifecycle.assembly import assemble
    from lifecycle.domain.model_ref import ModelRef

    ref = ModelRef.parse(model_uri)
    with console(stderr=True).status("Promoting …"):
        entry = assemble(config).promoter.promote(ref, stage, reason)
    _print_moved(entry, as_json)


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


@click.command()
@click.argument("model")
@json_option
@click.pass_obj
def history(config: Path | None, model: str, as_json: bool) -> None:
    """Show who moved which version where, when, why and on what evidence.

    Example: lifecycle history flights-delay
    """
    from lifecycle.assembly import assemble
    from lifecycle.domain.model_ref import check_model_name

    entries = assemble(config).registry.history(check_model_name(model))
    if as_json:
        print_json([entry.as_dict() for entry in entries])
    elif entries:
        print_history(entries)
    else:
        click.echo(f"Nothing has happened to {model} yet.")


def _print_moved(entry: LedgerEntry, as_json: bool) -> None:
    if as_json:
        print_json(entry.as_dict())
        return
    instead = f" in place of version {entry.previous}" if entry.previous else ""
    click.echo(f"Version {entry.version} of {entry.model} is now in {entry.stage}{instead}.")
