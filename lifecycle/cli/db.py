"""``lifecycle db upgrade|downgrade``: from a plain MLflow registry to a guarded one, and back."""

from __future__ import annotations

import getpass
import os
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lifecycle.cli.database import SERVER_VARIABLES
from lifecycle.cli.output import console, json_option, print_json, print_table

if TYPE_CHECKING:
    from lifecycle.promotion.adoption import Found

_ADOPTED = "Held a guarded stage before the guard came. They stay, and are served when they have passed its gates:"
_BEHIND = "Hold a guarded stage, and the ledger does not say so: somebody put them there behind the guard."

_uri = click.argument("uri", envvar=SERVER_VARIABLES)


@click.group()
def db() -> None:
    """Give an MLflow registry's database the guard, or take it away."""


@db.command()
@_uri
@json_option
@click.pass_obj
def upgrade(config: Path | None, uri: str, as_json: bool) -> None:
    """Make or upgrade the guard's tables in a registry's database.

    What guarded stages hold already goes into the ledger as ADOPTED: it stays where it is, and is served when it
    has passed its gates. Running it again changes nothing.

    Example: lifecycle db upgrade sqlite:///mlflow.db
    """
    from lifecycle.config.load import load_config
    from lifecycle.promotion.adoption import upgrade_registry
    from lifecycle.promotion.database import open_database, parse_uri, shown
    from lifecycle.promotion.mlflow_tables import check_mlflow
    from lifecycle.promotion.tables import REVISION
    from lifecycle.registry.mlflow_schema import check_mlflow_schema

    settings = load_config(os.environ, Path.cwd(), config)
    with console(stderr=True).status("Upgrading …"), open_database(uri) as engine:
        with engine.connect() as connection:
            check_mlflow(connection)
        check_mlflow_schema(engine)
        found = upgrade_registry(engine, settings.policies, _user(), datetime.now(UTC))
    database = shown(parse_uri(uri))
    if as_json:
        print_json({"database": database, "revision": REVISION, "found": [_as_dict(f) for f in found]})
        return
    click.echo(f"The guard's tables are in {database}, at revision {REVISION}.")
    _print_found(found)
    click.echo(
        f"Serve it so: mlflow server --backend-store-uri {database} --registry-store-uri lifecycle+{database}"
    )


@db.command()
@_uri
@click.option(
    "--export",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where the ledger goes before it is removed. Default: lifecycle-ledger-<now>.jsonl, here.",
)
@click.option("--yes", is_flag=True, help="Do it. Without this it only says what it would do.")
@json_option
def downgrade(uri: str, export: Path | None, yes: bool, as_json: bool) -> None:
    """Take the guard's tables out of a registry's database. Stop its servers first.

    Ledger and evidence go into a file, which is on the disk before anything is removed. MLflow's own tables stay
    as they are, and a plain mlflow server works on them.

    Example: lifecycle db downgrade sqlite:///mlflow.db --export ledger.jsonl --yes
    """
    from lifecycle.promotion.database import open_database, parse_uri, shown
    from lifecycle.promotion.removal import remove_guard

    database = shown(parse_uri(uri))
    file = export or Path(f"lifecycle-ledger-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.jsonl")
    if not yes:
        raise click.UsageError(
            f"this writes ledger and evidence of {database} to {file} and then removes them, with every table "
            f"lifecycle_*. Stop the servers that use it, then say --yes"
        )
    with console(stderr=True).status("Writing the ledger, then removing it …"), open_database(uri) as engine:
        counts = remove_guard(engine, file).counts
    if as_json:
        print_json({"database": database, "export": str(file), "removed": counts})
        return
    entries, evidence = counts.get("entry", 0), counts.get("evidence", 0)
    click.echo(f"Written: {entries} entries and {evidence} records of evidence, to {file}. Keep it.")
    click.echo(f"{database} is a plain registry again. Serve it so: mlflow server --backend-store-uri {database}")


def _print_found(found: Sequence[Found]) -> None:
    for adopted, words in ((True, _ADOPTED), (False, _BEHIND)):
        some = [f for f in found if f.adopted is adopted]
        if some:
            click.echo(words)
            print_table(["Model", "Version", "Stage", "Run, then promote it"], [_row(f) for f in some])


def _row(found: Found) -> tuple[object, ...]:
    uri = shlex.quote(f"models:/{found.model}/{found.version}")
    command = f"lifecycle gate run {uri} --stage {found.stage}"
    return found.model, found.version, found.stage, command


def _as_dict(found: Found) -> dict[str, object]:
    return {
        "workspace": found.workspace,
        "model": found.model,
        "version": found.version,
        "stage": found.stage,
        "adopted": found.adopted,
    }


def _user() -> str:
    try:
        return getpass.getuser()
    except OSError:  # a container may run under a user id without a name
        return f"uid {os.getuid()}"
