"""``lifecycle up|down|status|follow|worker``: the local server, the follower, and queued gate runs."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lifecycle.cli.output import assembled, console, deployment_as_dict, json_option, print_deployments, print_json
from lifecycle.errors import CheckBroke, IntegrityError

if TYPE_CHECKING:
    from lifecycle.controller.gate_worker import Done
    from lifecycle.controller.status_check import StatusCheck

_IDLE_ROUNDS = 5
_NAME = re.compile(r"[A-Za-z0-9_.@\-]{1,60}")


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True, help="Port on 127.0.0.1.")
@click.pass_obj
def up(config: Path | None, port: int) -> None:
    """Start a guarded MLflow server on this machine.

    Its data is in LIFECYCLE_HOME. The server keeps the lifecycle.yaml that it was started with: after a change,
    run lifecycle down and then lifecycle up. Deployments that follow a stage or alias are followed again.

    Exit codes: 0 it answers, 2 lifecycle.yaml is wrong, 6 the port is taken, 7 it did not start.

    Example: lifecycle up --port 5000
    """
    from lifecycle.stack import start_server

    product = assembled(config)
    with console(stderr=True).status("Starting the guarded MLflow server …"):
        server = start_server(product.config.home, product.config.file, port)
        product.keep_following(server.as_environment())
    click.echo(f"MLflow answers at {server.url} and checks every promotion. For MLflow's own commands:")
    click.echo(f"  export MLFLOW_TRACKING_URI={server.url}")


@click.command()
@click.pass_obj
def down(config: Path | None) -> None:
    """Stop the local MLflow server and the follower. Deployments keep running, and nothing is deleted.

    Exit codes: 0 stopped, or nothing was running.

    Example: lifecycle down
    """
    from lifecycle.assembly import load_settings
    from lifecycle.controller.follower import stop_follower
    from lifecycle.stack import stop_server

    home = load_settings(config).home
    stopped = [what for what, was in (("follower", stop_follower(home)), ("server", stop_server(home))) if was]
    click.echo(f"Stopped: {', '.join(stopped) or 'nothing was running'}.")


@click.command()
@json_option
@click.pass_obj
def status(config: Path | None, as_json: bool) -> int:
    """Show what runs, and changes that bypassed the guard.

    It lists server, follower and deployments, and compares stages and aliases with the ledger: for the models that
    are deployed here and for up to a hundred others of the registry.

    Exit codes: 0 no such change (or the registry does not answer, which is shown), 8 there is one.

    Example: lifecycle status --json
    """
    from lifecycle.controller.follower import running_follower
    from lifecycle.stack import running_server

    product = assembled(config)
    home, deployed = product.config.home, product.deployments()
    server, follower = running_server(home), running_follower(home)
    if server and not any(variable in os.environ for variable in server.as_environment()):
        os.environ.update(server.as_environment())
    inspection = product.check_status(deployed)
    if as_json:
        print_json(
            {
                "home": str(home),
                "config": str(product.config.file) if product.config.file else None,
                "server": server and {"url": server.url, "pid": server.process.pid},
                "follower": follower and {"pid": follower.pid},
                "deployments": [deployment_as_dict(d) for d in deployed],
                "registry": {"models": inspection.models, "unavailable": inspection.unavailable or None},
                "findings": None if inspection.unavailable else [one.as_dict() for one in inspection.findings],
            }
        )
    else:
        click.echo(f"home:     {home}")
        click.echo(f"config:   {product.config.file or 'none; the built-in policy applies'}")
        click.echo(f"server:   {server.url if server else 'not running (lifecycle up starts one)'}")
        click.echo(f"follower: {f'pid {follower.pid}' if follower else 'not running'}")
        click.echo(f"registry: {_compared(inspection)}")
        for one in inspection.findings:
            click.secho(f"  {one.message}.", fg="red", bold=True)
            click.echo(f"    {one.mend}")
        if deployed:
            print_deployments(deployed)
    return IntegrityError.exit_code if inspection.findings else 0


def _compared(inspection: StatusCheck) -> str:
    if inspection.unavailable:
        return f"not compared: {inspection.unavailable}"
    models = f"{inspection.models} model{'' if inspection.models == 1 else 's'} compared"
    found = len(inspection.findings)
    return f"{models}, {f'{found} found' if found else 'none'} changed past the guard"


@click.command()
@click.option(
    "--every", type=click.FloatRange(min=0.1), default=1.0, show_default=True, help="Seconds between two checks."
)
@click.option("--until-idle", is_flag=True, help="Exit when no deployment follows a stage or alias any more.")
@click.pass_obj
def follow(config: Path | None, every: float, until_idle: bool) -> None:
    """Update deployments when their stage or alias moves.

    It runs in the foreground.
    lifecycle deployments create starts this in the background by itself. Only one runs at a time; others wait.

    Exit codes: 0 stopped, or nothing left with --until-idle, 2 lifecycle.yaml is wrong.

    Example: lifecycle follow --every 2
    """
    import logging

    from lifecycle.controller.follower import being_the_follower
    from lifecycle.processes.process import watch_owner

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    watch_owner(lambda: os.kill(os.getpid(), signal.SIGTERM))
    product = assembled(config)
    while not stopping.is_set():
        with being_the_follower(product.config.home):
            idle = 0
            try:
                while not stopping.wait(every) and not (until_idle and idle >= _IDLE_ROUNDS):
                    idle = 0 if product.reconciler.step() else idle + 1
            finally:
                product.reconciler.close()
        if not product.reconciler.following():
            return  # otherwise a deployment has just been made and relies on this follower


def _machine_name() -> str:
    import socket

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
    import logging

    from lifecycle.processes.process import watch_owner

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")

    def report(done: Done) -> None:
        if as_json:
            click.echo(json.dumps(done.as_dict(), allow_nan=False))
        else:
            logging.getLogger(__name__).log(logging.WARNING if done.broke else logging.INFO, "%s", done)

    product = assembled(config).worker(name, report)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: product.stop())
    watch_owner(lambda: os.kill(os.getpid(), signal.SIGTERM))
    if not once:
        product.serve(every)
    elif not product.drain():
        raise CheckBroke("some gate runs could not be started; the version's tag lifecycle.queue.<stage> says why")
