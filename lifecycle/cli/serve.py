"""``lifecycle serve``: a REST server in the foreground."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lifecycle.cli.output import assembled, console, parse_pairs
from lifecycle.errors import OptionError, UsageError

if TYPE_CHECKING:
    from lifecycle.domain.deployment import DeploymentSpec

_PORT = 8080


@click.command()
@click.argument("model_uris", nargs=-1, required=True, metavar="MODEL_URI...")
@click.option(
    "--host", metavar="ADDRESS", help="Address to listen on. Default: 127.0.0.1, which only this machine reaches."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help=f"Port to listen on. Default: {_PORT}, or any free port if that is taken.",
)
@click.option(
    "-C",
    "--config",
    "pairs",
    multiple=True,
    metavar="KEY=VALUE",
    help="Option of the rest target, such as workers=2. Repeatable. lifecycle deployments help lists them.",
)
@click.pass_obj
def serve(
    config: Path | None, model_uris: tuple[str, ...], host: str | None, port: int | None, pairs: tuple[str, ...]
) -> None:
    """Serve promoted versions over HTTP until Ctrl-C.

    MODEL_URI is models:/NAME/VERSION, models:/NAME/STAGE or models:/NAME@ALIAS. The version has to be promoted,
    and its files have to be the ones that were judged. With several models, the first answers at /invocations
    and each at /models/NAME/invocations.

    Later promotions are not followed, and no registry is needed once it runs. For a server that outlives the
    command and follows promotions, use lifecycle deployments create.

    \b
    Exit codes: 0 stopped, 1 a version is not promoted, 2 wrong usage or option,
    5 unknown version, 6 the port is taken, 7 MLflow does not answer,
    8 its files have changed, 9 it did not come up.

    \b
    Examples:
      lifecycle serve models:/flights-delay@champion
      lifecycle serve models:/flights-delay/3 models:/wine@champion --port 8080 -C workers=2
      lifecycle serve models:/flights-delay/3 -C promote=true -C current=july.parquet
    """  # noqa: D301  click reads \b
    from lifecycle.targets.rest.servers import lay_out

    options = _options(pairs, host, port)
    product = assembled(config)
    specs: list[DeploymentSpec] = []
    for model_uri, name in zip(model_uris, _names(model_uris), strict=True):
        with console(stderr=True).status(f"Checking, fetching and compiling {model_uri} …"):
            specs.append(product.resolve("rest", name, model_uri, options))
    ports = [_PORT, 0] if "port" not in options else [int(options["port"])]
    folder = lay_out(product.target_context(), specs, ports)
    # A new program in this process: MLflow and the compilers stay in memory otherwise, and are not needed.
    arguments = [sys.executable, "-P", "-m", "lifecycle.cli.foreground", str(folder)]
    os.execv(sys.executable, arguments)  # noqa: S606  an argument list, no shell


def _options(pairs: Sequence[str], host: str | None, port: int | None) -> Mapping[str, str]:
    options = parse_pairs(pairs)
    if "server" in options:
        raise OptionError("'server' is an option of deployments; name several models instead")
    given = {"host": host, "port": None if port is None else str(port)}
    return {**options, **{key: value for key, value in given.items() if value is not None}}


def _names(model_uris: Sequence[str]) -> Sequence[str]:
    """Names of the models in URLs: their own, other characters replaced. Raises UsageError for duplicates."""
    from lifecycle.domain.model import ModelRef

    names = [re.sub(r"[^A-Za-z0-9_.\-]+", "-", ModelRef.parse(uri).name).strip("-_.")[:64] for uri in model_uris]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"{twice[0]!r} is named twice; a server has one version of a model")
    return names
