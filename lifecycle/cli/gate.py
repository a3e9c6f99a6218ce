"""``lifecycle gate run|show|list``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lifecycle.cli.output import console, json_option, print_evidence, print_json, print_table

if TYPE_CHECKING:
    from lifecycle.domain.evidence import Evidence
    from lifecycle.domain.verdict import Outcome

EXIT_CODES = {"PASSED": 0, "FAILED": 1, "INCONCLUSIVE": 3, "ERROR": 4}


@click.group()
def gate() -> None:
    """Check a version before it may move on."""


@gate.command("run")
@click.argument("model_uri")
@click.option("--stage", required=True, help="The stage of the policy to judge for, such as production.")
@click.option("--current", metavar="FILE", help="The rows of today: a Parquet or CSV file.")
@json_option
@click.pass_obj
def run_command(config: Path | None, model_uri: str, stage: str, current: str | None, as_json: bool) -> int:
    """Run a stage's gates on a version and record the evidence.

    Exits with 0 when every gate PASSED, 1 when one FAILED, 3 when one was INCONCLUSIVE, 4 when one broke.

    Example: lifecycle gate run models:/flights-delay/1 --stage production --current july.parquet
    """
    from lifecycle.assembly import assemble
    from lifecycle.domain.model_ref import ModelRef
    from lifecycle.gates.progress import Progress

    ref = ModelRef.parse(model_uri)
    with console(stderr=True).status("Loading the version …") as spinner:
        progress = Progress(on_start=lambda name: spinner.update(f"Running gate {name} …"))
        evidence = assemble(config).checker(progress).check(ref, stage, current).evidence
    if as_json:
        print_json(_as_dict(evidence))
    else:
        print_evidence(evidence)
        click.echo(_what_next(evidence))
    return EXIT_CODES[evidence.outcome]


@gate.command("show")
@click.argument("model_uri")
@json_option
@click.pass_obj
def show_command(config: Path | None, model_uri: str, as_json: bool) -> None:
    """Show the newest verdicts on record for a version, stage by stage.

    Example: lifecycle gate show models:/flights-delay/1
    """
    from lifecycle.assembly import assemble
    from lifecycle.domain.model_ref import ModelRef

    registry = assemble(config).registry
    evidence = registry.evidence(registry.get(ModelRef.parse(model_uri)))
    if as_json:
        print_json([_as_dict(e) for e in evidence])
    for record in [] if as_json else evidence:
        print_evidence(record)
    if not as_json and not evidence:
        click.echo(f"No gate has been run on {model_uri}. Run: lifecycle gate run {model_uri} --stage staging")


@gate.command("list")
@json_option
@click.pass_obj
def list_command(config: Path | None, as_json: bool) -> None:
    """List the gates that there are, and which stage demands them.

    Example: lifecycle gate list
    """
    from lifecycle.assembly import load_settings
    from lifecycle.gates.discovery import gate_class, gate_names

    settings = load_settings(config)
    book = settings.policies
    demands = [
        {"model": model, "stage": stage.name, "gate": spec.name, "options": dict(spec.options)}
        for model, policy in [*book.models.items(), ("(every other model)", book.default)]
        for stage in policy.stages
        for spec in stage.gates
    ]
    if as_json:
        print_json({"gates": list(gate_names()), "demands": demands})
        return
    print_table(
        ["Gate", "Judges", "Options"],
        [(n, _summary(gate_class(n)), ", ".join(gate_class(n).Options.model_fields)) for n in gate_names()],
    )
    print_table(
        ["Model", "Stage", "Gate", "Options"],
        [(d["model"], d["stage"], d["gate"], json.dumps(d["options"]) if d["options"] else "") for d in demands],
        title=f"Demanded by {settings.file or 'the built-in policy'}",
    )


def _as_dict(evidence: Evidence) -> dict[str, object]:
    return {"outcome": str(evidence.outcome), **json.loads(evidence.to_json())}


def _what_next(evidence: Evidence) -> str:
    uri = f"models:/{evidence.model}/{evidence.version}"
    outcome: Outcome = evidence.outcome
    if outcome == "PASSED":
        return f"Next: lifecycle promote {uri} --stage {evidence.stage}"
    return f"{uri} stays where it is. The reports are in MLflow run {evidence.run_id}."


def _summary(gate_type: type) -> str:
    return (gate_type.__doc__ or "").strip().splitlines()[0]
