"""What the pages are checked against: the two command lines, and the options of every target."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence

import click
import pytest

from lifecycle.cli.output import parse_pairs
from lifecycle.controller.deployer import DeployRequest
from lifecycle.domain.model import ModelRef
from lifecycle.targets.batch.plan import BatchOptions
from lifecycle.targets.contract import TargetOptions
from lifecycle.targets.edge import EdgeOptions
from lifecycle.targets.rest.options import RestOptions

TARGET_OPTIONS = {"rest": RestOptions, "batch": BatchOptions, "edge": EdgeOptions}
_DEPLOYING = {"create", "update", "run-local"}


@pytest.fixture(scope="session")
def target_options() -> Mapping[str, type[TargetOptions]]:
    return TARGET_OPTIONS


@pytest.fixture(scope="session")
def check_command() -> Callable[[str | Sequence[str]], None]:
    """Parses a command line as its program would, without running it.

    Raises click.ClickException or LifecycleError when the program would not take it. The bare name of a command,
    as prose mentions it, is taken too.
    """
    from mlflow.cli import cli as mlflow

    from lifecycle.cli import cli as lifecycle

    programs = {"lifecycle": lifecycle, "mlflow": mlflow}

    def check(line: str | Sequence[str]) -> None:
        program, *words = shlex.split(line, comments=True) if isinstance(line, str) else line
        context = programs[program].make_context(program, words)
        while isinstance(context.command, click.Group):
            name, command, rest = context.command.resolve_command(
                context, [*context._protected_args, *context.args]
            )
            if not rest:
                return
            context = command.make_context(name, rest, parent=context)
        if context.parent.info_name == "deployments":
            _check_deployment(context.info_name, context.params)

    return check


def _check_deployment(command: str, params: Mapping[str, object]) -> None:
    """The target exists, and takes the -C options."""
    target = str(params["target"] or "rest").removeprefix("lifecycle").strip(":/")
    if not target:  # mlflow deployments help -t lifecycle
        return
    options = TARGET_OPTIONS[target]
    if command in _DEPLOYING:
        given = params.get("pairs", params.get("config")) or ()
        pairs = given if isinstance(given, Mapping) else parse_pairs(tuple(given))
        ref = ModelRef.parse(str(params["model_uri"]))
        options.parse(DeployRequest.parse(target, str(params["name"]), ref, pairs).options)
