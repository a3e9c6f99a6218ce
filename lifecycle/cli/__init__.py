"""The ``lifecycle`` command: parse, call, print.

Exit codes (:mod:`lifecycle.errors`): 0 done, 1 failed or refused, 2 usage, 3 inconclusive, 4 a check broke,
5 not found, 6 conflict, 7 unavailable, 8 integrity, 9 deployment failed, 70 internal error, 130 interrupted.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import click

from lifecycle.cli.audit import audit
from lifecycle.cli.database import db
from lifecycle.cli.demo import demo
from lifecycle.cli.deployments import deployments
from lifecycle.cli.gate import gate
from lifecycle.cli.keys import keys
from lifecycle.cli.promotion import approve, history, promote, rollback
from lifecycle.cli.serve import serve
from lifecycle.cli.stack import down, follow, status, up, worker
from lifecycle.errors import LifecycleError

EXIT_BUG = 70
EXIT_INTERRUPTED = 130
_GARBAGE_THRESHOLD = 10_000
"""Objects between garbage collections: at 700, Python spends a quarter of importing MLflow on them."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mlflow-lifecycle")
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The lifecycle.yaml to use; put it before the command. Default: LIFECYCLE_CONFIG, else the nearest one "
    "from here upward.",
)
@click.option("--debug", is_flag=True, help="Show tracebacks and debug logs; put it before the command.")
@click.pass_context
def cli(context: click.Context, config: Path | None, debug: bool) -> None:
    """Check, promote and deploy model versions of an MLflow registry.

    \b
    A version's way to production:
      lifecycle gate run models:/flights-delay/1 --stage production --current july.parquet
      lifecycle promote models:/flights-delay/1 --stage production --reason "July looks good"
      lifecycle serve models:/flights-delay/Production
      mlflow deployments create -t lifecycle:/rest --name flights -m models:/flights-delay/Production
      lifecycle rollback flights-delay --reason "complaints"

    See it all at work, on real data: lifecycle demo

    \b
    Exit codes: 0 done, 1 failed or refused, 2 wrong usage or configuration, 3 a gate
    could not judge, 4 a gate broke, 5 not found, 6 conflict, 7 a service does not answer,
    8 something was changed, 9 deployment failed, 70 internal error, 130 interrupted.
    """  # noqa: D301  click reads \b
    context.obj = config
    if debug:
        import logging

        logging.basicConfig(level=logging.DEBUG)


for command in (gate, approve, promote, rollback, history, audit, keys, db):
    cli.add_command(command)
for command in (deployments, serve, status, up, down, follow, worker, demo):
    cli.add_command(command)


def main() -> None:
    """Run the command line and exit with one of the documented codes."""
    gc.set_threshold(_GARBAGE_THRESHOLD)
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code. Errors are one line unless ``--debug`` is given."""
    try:
        result = cli.main(arguments, prog_name="lifecycle", standalone_mode=False)
    except click.ClickException as exc:
        exc.show()
        return exc.exit_code
    except click.Abort:
        click.echo("Interrupted.", err=True)
        return EXIT_INTERRUPTED
    except LifecycleError as exc:
        _print_traceback(arguments)
        click.echo(f"Error: {exc}", err=True)
        return exc.exit_code
    except Exception as exc:
        _print_traceback(arguments)
        click.echo(
            f"Internal error ({type(exc).__name__}). "
            "Run it again as: lifecycle --debug …, and report what that shows.",
            err=True,
        )
        return EXIT_BUG
    return result if isinstance(result, int) else 0


def _print_traceback(arguments: list[str]) -> None:
    if "--debug" in arguments:
        import traceback

        traceback.print_exc()
