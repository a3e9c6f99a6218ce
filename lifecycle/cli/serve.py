"""``lifecycle serve``."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lifecycle.cli.output import console, parse_pairs
from lifecycle.errors import OptionError, UsageError

if TYPE_CHECKING:
    from lifecycle.domain.deployment import DeploymentSpec

_PORT = 8080


@click.command()
@click.argument("model_uris", nargs=-1, required=True, metavar="MODEL_URI...")
@click.option("--host", metavar="ADDRESS", help="Address to listen on. Default: 127.0.0.1, for this machine only.")
@click.option("--port", type=click.IntRange(0, 65535), help=f"Default: {_PORT}, or any free one if that is taken.")
@click.option(
    "-C",
    "--config",
    "pairs",
    multiple=True,
    metavar="KEY=VALUE",
    help="An option of the rest target or of every target; lifecycle deployments help -t rest lists them.",
)
@click.pass_obj
def serve(
    config: Path | None, model_uris: tuple[str, ...], host: str | None, port: int | None, pairs: tuple[str, ...]
) -> None:
    """Answer predictions over HTTP in the foreground, until Ctrl-C.

    MODEL_URI is models:/NAME/VERSION, models:/NAME/STAGE or models:/NAME@ALIAS. A version is served only if it is
    promoted to its stage, from the very files that were judged. Of several models, the first answers at
    /invocations, and each at /models/NAME/invocations.

    Nothing is deployed or followed: it serves what is promoted now, and once it is ready it needs no registry.
    For a server that outlives the command, use lifecycle deployments create.

    \b
    Examples:
      lifecycle serve models:/flights-delay@champion
      lifecycle serve models:/flights-delay/3 models:/wine@champion --port 8080 -C workers=2
      lifecycle serve models:/flights-delay/3 -C promote=true -C current=july.parquet
    """  # noqa: D301  click reads \b
    from lifecycle.assembly import assemble
    from lifecycle.targets.rest.servers import lay_out

    options = _options(pairs, host, port)
    product = assemble(config)
    specs: list[DeploymentSpec] = []
    for model_uri, name in zip(model_uris, _names(model_uris), strict=True):
        with console(stderr=True).status(f"Checking, fetching and compiling {model_uri} …"):
            specs.append(product.resolve("rest", name, model_uri, options))
    ports = [_PORT, 0] if "port" not in options else [int(options["port"])]
    folder = lay_out(product.config.home, specs, ports)
    # A process of its own accord: this one holds MLflow and the compilers, and nobody needs them any more.
    arguments = [sys.executable, "-P", "-m", "lifecycle.cli.foreground", str(folder)]
    os.execv(sys.executable, arguments)  # noqa: S606  an argument list, no shell


def _options(pairs: Sequence[str], host: str | None, port: int | None) -> Mapping[str, str]:
    options = parse_pairs(pairs)
    if "server" in options:
        raise OptionError("'server' is for deployments; name several models instead")
    given = {"host": host, "port": None if port is None else str(port)}
    return {**options, **{key: value for key, value in given.items() if value is not None}}


def _names(model_uris: Sequence[str]) -> Sequence[str]:
    """What the models are called in URLs: their own names, as far as a URL may hold them."""
    from lifecycle.domain.model_ref import ModelRef

    names = [re.sub(r"[^A-Za-z0-9_.\-]+", "-", ModelRef.parse(uri).name).strip("-_.")[:64] for uri in model_uris]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"{twice[0]!r} is named twice; a server answers with one version of a model")
    return names
