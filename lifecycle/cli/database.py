"""``lifecycle db upgrade|downgrade``, and which registry database a command reads when none is named."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lifecycle.cli.output import console, json_option, print_json, print_table
from lifecycle.errors import NotFound, UsageError

if TYPE_CHECKING:
    from sqlalchemy import Connection


_SERVER_VARIABLES = ("MLFLOW_REGISTRY_STORE_URI", "MLFLOW_BACKEND_STORE_URI")  # as ``mlflow server`` reads them
_CLIENT_VARIABLES = ("MLFLOW_REGISTRY_URI", "MLFLOW_TRACKING_URI")
_OPTION = "--registry-store-uri"
_ADOPTED = (
    "These versions held a guarded stage before. They stay there; to be deployed they have to pass its gates:"
)
_BEHIND = "These versions hold a guarded stage without an entry in the ledger: they were moved past the guard."

store_option = click.option(
    _OPTION,
    "uri",
    metavar="URI",
    help="The registry's database, such as postgresql://mlflow@db/mlflow. Default: the one that MLflow's "
    "environment variables name, else ./mlflow.db, else that of lifecycle up.",
)

_uri = click.argument("uri", envvar=_SERVER_VARIABLES)


@click.group()
def db() -> None:
    """Add or remove the guard's tables in a database."""


@db.command()
@_uri
@json_option
@click.pass_obj
def upgrade(config: Path | None, uri: str, as_json: bool) -> None:
    """Create or upgrade the guard's tables.

    Running it again changes nothing. URI is the database, such as sqlite:///mlflow.db. Versions that hold a
    guarded stage already are recorded as ADOPTED: they stay there, and can be deployed once they have passed the
    stage's gates.

    Exit codes: 0 done, 2 URI or lifecycle.yaml is wrong, 5 MLflow has no tables there, 7 it does not answer.

    Example: lifecycle db upgrade sqlite:///mlflow.db
    """
    from lifecycle.assembly import local_user
    from lifecycle.config.load import load_config
    from lifecycle.promotion.database import REVISION, check_mlflow, open_database, parse_uri, shown
    from lifecycle.promotion.install import upgrade_registry
    from lifecycle.registry.location import check_mlflow_schema

    settings = load_config(os.environ, Path.cwd(), config)
    with console(stderr=True).status("Upgrading …"), open_database(uri) as engine:
        with engine.connect() as connection:
            check_mlflow(connection)
        check_mlflow_schema(engine)
        found = upgrade_registry(engine, settings.policies, local_user(), datetime.now(UTC))
    database = shown(parse_uri(uri))
    if as_json:
        print_json({"database": database, "revision": REVISION, "found": [asdict(f) for f in found]})
        return
    click.echo(f"The guard's tables are in {database}, at revision {REVISION}.")
    for adopted, words in ((True, _ADOPTED), (False, _BEHIND)):
        rows = [
            (f.model, f.version, f.stage, f"lifecycle gate run {shlex.quote(f.uri)} --stage {f.stage}")
            for f in found
            if f.adopted is adopted
        ]
        if rows:
            click.echo(words)
            print_table(["Model", "Version", "Stage", "Run, then promote it"], rows)
    click.echo(
        f"Serve it with: mlflow server --backend-store-uri {database} --registry-store-uri lifecycle+{database}"
    )


@db.command()
@_uri
@click.option(
    "--export",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File for the ledger before it is removed. Default: lifecycle-ledger-<now>.jsonl in this folder.",
)
@click.option("--yes", is_flag=True, help="Do it. Without --yes the command only says what it would do.")
@json_option
def downgrade(uri: str, export: Path | None, yes: bool, as_json: bool) -> None:
    """Remove the guard's tables. Stop the servers first.

    Ledger and evidence are written to a file and synced to disk before anything is removed. MLflow's own tables
    are not changed, and a plain mlflow server works on the database.

    \b
    Exit codes: 0 done, 2 wrong usage or no --yes, 5 no guard there, 6 the file exists,
    7 the database does not answer or the file cannot be written.

    Example: lifecycle db downgrade sqlite:///mlflow.db --export ledger.jsonl --yes
    """  # noqa: D301  click reads \b
    from lifecycle.promotion.database import open_database, parse_uri, shown
    from lifecycle.promotion.install import remove_guard

    database = shown(parse_uri(uri))
    file = export or Path(f"lifecycle-ledger-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.jsonl")
    if not yes:
        raise click.UsageError(
            f"this writes the ledger and evidence of {database} to {file}, then removes them with all tables "
            f"lifecycle_*. Stop the servers that use the database, then repeat the command with --yes"
        )
    with console(stderr=True).status("Writing the ledger, then removing it …"), open_database(uri) as engine:
        counts = remove_guard(engine, file)
    if as_json:
        print_json({"database": database, "export": str(file), "removed": counts})
        return
    entries, evidence = counts.get("entry", 0), counts.get("evidence", 0)
    click.echo(f"Written: {entries} entries and {evidence} records of evidence, to {file}. Keep it.")
    click.echo(
        f"{database} is a plain registry again. Serve it with: mlflow server --backend-store-uri {database}"
    )


@contextmanager
def guarded_database(uri: str | None, home: Path) -> Iterator[Connection]:
    """One consistent read of a guarded registry's database.

    Raises:
        NotFound, UsageError, ConfigError, Unavailable: there is no database, or it is not a guarded registry's.
    """
    from lifecycle.promotion.database import check_mlflow, one_moment, open_database
    from lifecycle.promotion.migrations.upgrade import check_current

    with (
        open_database(uri or default_uri(os.environ, Path.cwd(), home)) as engine,
        one_moment(engine) as connection,
    ):
        check_mlflow(connection)
        check_current(connection)
        yield connection


def default_uri(environ: Mapping[str, str], cwd: Path, home: Path) -> str:
    """The database to read when no URI is given: the environment's, else ./mlflow.db, else the local stack's.

    Raises:
        UsageError: the environment names an MLflow server, whose database cannot be read through it.
        NotFound: there is no database in any of these places.
    """
    variable = next((name for name in (*_SERVER_VARIABLES, *_CLIENT_VARIABLES) if environ.get(name)), None)
    local = home / "mlflow.db"
    if variable is None:
        found = next((file for file in (cwd / "mlflow.db", local) if file.is_file()), None)
        if found is None:
            raise NotFound(f"there is no mlflow.db here and no local stack; name the database with {_OPTION}")
        return f"sqlite:///{found}"
    named = environ[variable]
    if not named.startswith(("http://", "https://")):
        return named
    from lifecycle.stack import running_server

    server = running_server(home)
    if server is None or server.url.rstrip("/") != named.rstrip("/"):
        raise UsageError(
            f"the ledger is read from the registry's database, and {variable} names an MLflow server. "
            f"Run this where the database can be reached, and name it with {_OPTION}"
        )
    return f"sqlite:///{local}"
