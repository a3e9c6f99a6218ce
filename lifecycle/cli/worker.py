"""``lifecycle worker``: runs queued gate runs."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lifecycle.cli.output import json_option
from lifecycle.errors import CheckBroke

if TYPE_CHECKING:
    from lifecycle.controller.gate_worker import Done

_LOG = logging.getLogger(__name__)
_NAME = re.compile(r"[A-Za-z0-9_.@\-]{1,60}")


def _machine_name() -> str:
    return re.sub(r"[^A-Za-z0-9_.@\-]", "-", socket.gethostname())[:60] or "worker"


def _valid_name(_context: click.Context, _parameter: click.Parameter, name: str) -> str:
    if not _NAME.fullmatch(name):
        raise click.BadParameter("1 to 60 letters, digits and . _ @ -")
    return name


@click.command()
@click.option(
    "--every",
    type=click.FloatRange(min=0.1),
    default=5.0,
    show_default=True,
    help="Seconds between two reads of the queue.",
)
@click.option("--once", is_flag=True, help="Exit when everything that is queued now has been run.")
@click.option(
    "--name",
    metavar="NAME",
    default=_machine_name,
    callback=_valid_name,
    help="Name shown on the version while its gates run. Default: this machine's name.",
)
@json_option
@click.pass_obj
def worker(config: Path | None, every: float, once: bool, name: str, as_json: bool) -> None:
    """Run queued gate runs, one version at a time.

    A promotion that was refused for want of evidence queues one under on_missing: enqueue. A worker needs the
    lifecycle.yaml of the registry's server, access to the data that it names, and a signing key that the server
    trusts. Any number of workers may run.

    Exit codes: 0 stopped, 4 some gate runs could not be started (with --once), 7 MLflow does not answer.

    \b
    Examples:
      lifecycle worker
      lifecycle worker --once --json
    """  # noqa: D301  click reads \b
    from lifecycle.assembly import assemble
    from lifecycle.processes.process import watch_owner

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    product = assemble(config).worker(name, _print_as_json if as_json else _log_done)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: product.stop())
    watch_owner(lambda: os.kill(os.getpid(), signal.SIGTERM))
    if not once:
        product.serve(every)
    elif not product.drain():
        raise CheckBroke("some gate runs could not be started; the version's tag lifecycle.queue.<stage> says why")


def _log_done(done: Done) -> None:
    _LOG.log(logging.WARNING if done.broke else logging.INFO, "%s", done)


def _print_as_json(done: Done) -> None:
    click.echo(json.dumps(done.as_dict(), allow_nan=False))
