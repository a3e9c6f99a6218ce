"""``lifecycle deployments``: the commands of ``mlflow deployments``, with ``--json``, progress and exit codes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lifecycle.cli.output import (
    assembled,
    console,
    deployment_as_dict,
    json_option,
    parse_pairs,
    print_deployments,
    print_json,
)

if TYPE_CHECKING:
    from lifecycle.domain.deployment import Deployment

target_option = click.option(
    "-t",
    "--target",
    default="rest",
    show_default=True,
    help="Kind of place: rest, batch or edge. lifecycle:/rest is the same as rest.",
)
name_option = click.option("--name", required=True, help="Name of the deployment.")
config_option = click.option(
    "-C",
    "--config",
    "pairs",
    multiple=True,
    metavar="KEY=VALUE",
    help="Option of the target, such as port=8080. Repeatable. lifecycle deployments help lists them.",
)


@click.group()
def deployments() -> None:
    """Deploy promoted versions to REST, batch or edge."""


@deployments.command()
@target_option
@name_option
@click.option(
    "-m", "--model-uri", required=True, help="models:/NAME/VERSION, models:/NAME/STAGE or models:/NAME@ALIAS."
)
@config_option
@json_option
@click.pass_obj
def create(
    config: Path | None, target: str, name: str, model_uri: str, pairs: tuple[str, ...], as_json: bool
) -> None:
    """Deploy a promoted version.

    Given a stage or alias, the deployment follows later promotions. A version number is deployed as it is and
    stays. Only rest deployments follow; a batch output or an edge bundle is written once.

    \b
    Exit codes: 0 it answers or is written, 1 the version is not promoted, 2 wrong usage or
    option, 5 unknown version or target, 6 the name is taken, 7 MLflow does not answer,
    8 its files have changed, 9 it did not come up (nothing is left behind).

    Example: lifecycle deployments create -t rest --name flights -m models:/flights-delay/Production
    """  # noqa: D301  click reads \b
    with console(stderr=True).status(f"Deploying {model_uri} …"):
        deployment = assembled(config).deploy(_kind(target), name, model_uri, parse_pairs(pairs))
    _print_one(deployment, as_json)


@deployments.command()
@target_option
@name_option
@click.option("-m", "--model-uri", help="Other version, stage or alias. Default: as deployed.")
@config_option
@json_option
@click.pass_obj
def update(
    config: Path | None, target: str, name: str, model_uri: str | None, pairs: tuple[str, ...], as_json: bool
) -> None:
    """Change a deployment's version or options. A server switches without losing a request.

    \b
    Exit codes: 0 changed, 1 the version is not promoted, 2 wrong usage or option, 5 unknown
    deployment or version, 7 MLflow does not answer, 9 failed (the old version still answers).

    Example: lifecycle deployments update -t rest --name flights -m models:/flights-delay/2
    """  # noqa: D301  click reads \b
    with console(stderr=True).status(f"Updating {name} …"):
        deployment = assembled(config).redeploy(_kind(target), name, model_uri, parse_pairs(pairs))
    _print_one(deployment, as_json)


@deployments.command()
@target_option
@name_option
@click.pass_obj
def delete(config: Path | None, target: str, name: str) -> None:
    """Stop and remove a deployment. A name that is not deployed is not an error.

    Exit codes: 0 done, 2 wrong usage, 5 unknown target.

    Example: lifecycle deployments delete -t rest --name flights
    """
    assembled(config).target(_kind(target)).undeploy(name)
    click.echo(f"{name} is not deployed.")


@deployments.command("list")
@click.option("-t", "--target", help="Only deployments of this target: rest, batch or edge.")
@json_option
@click.pass_obj
def list_command(config: Path | None, target: str | None, as_json: bool) -> None:
    """List deployments with their version, status and address.

    Exit codes: 0 done, 5 unknown target.

    Example: lifecycle deployments list --json
    """
    found = assembled(config).deployments(_kind(target) if target else None)
    if as_json:
        print_json([deployment_as_dict(d) for d in found])
    elif found:
        print_deployments(found)
    else:
        click.echo("Nothing is deployed.")


@deployments.command()
@target_option
@name_option
@json_option
@click.pass_obj
def get(config: Path | None, target: str, name: str, as_json: bool) -> None:
    """Show one deployment: version, digest, status, address, options and figures.

    Exit codes: 0 done, 5 unknown deployment or target.

    Example: lifecycle deployments get -t rest --name flights
    """
    _print_one(assembled(config).target(_kind(target)).describe(name), as_json)


@deployments.command()
@target_option
@name_option
@click.option("-I", "--input-path", required=True, help="Rows to score: a Parquet or CSV file.")
@click.option(
    "-O",
    "--output-path",
    type=click.Path(path_type=Path),
    help="File for the predictions. Default: standard output.",
)
@click.pass_obj
def predict(config: Path | None, target: str, name: str, input_path: str, output_path: Path | None) -> None:
    """Score the rows of a file with a deployment; writes JSON.

    Exit codes: 0 done, 2 the rows do not fit, 5 unknown deployment or file, 7 it does not answer.

    Example: lifecycle deployments predict -t rest --name flights -I july.parquet
    """
    from lifecycle.data.read import read_dataset
    from lifecycle.scoring.payload import encode

    rows = read_dataset(input_path, label=None).whole()
    body = encode(assembled(config).predict(_kind(target), name, rows))
    if output_path is None:
        sys.stdout.write(body.decode() + "\n")
    else:
        output_path.write_bytes(body)


@deployments.command("help")
@target_option
def help_command(target: str) -> None:
    """Explain a target and each of its options.

    Exit codes: 0 done, 5 unknown target.

    Example: lifecycle deployments help -t batch
    """
    from lifecycle.targets.contract import TARGETS

    click.echo(TARGETS.load(_kind(target)).help)


def _kind(target: str) -> str:
    """The target's name: ``rest`` from ``rest`` or ``lifecycle:/rest``."""
    return target.removeprefix("lifecycle:").strip("/")


def _print_one(deployment: Deployment, as_json: bool) -> None:
    fields: dict[str, Any] = deployment_as_dict(deployment)
    if as_json:
        print_json(fields)
        return
    for key, value in fields.items():
        shown = json.dumps(value) if isinstance(value, dict | list) else value
        if value not in ("", {}, []):
            click.echo(f"{key + ':':9} {shown}")
