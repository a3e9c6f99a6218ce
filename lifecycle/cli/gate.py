"""``lifecycle gate run|show|list``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lifecycle.cli.output import json_option, print_evidence, print_json, print_table
from lifecycle.cli.suite import suite
from lifecycle.durable import write_durably

if TYPE_CHECKING:
    from lifecycle.domain.evidence import Evidence
    from lifecycle.gates.report import GateReport

EXIT_CODES = {"PASSED": 0, "FAILED": 1, "INCONCLUSIVE": 3, "ERROR": 4}
_DATA = "a Parquet or CSV file, a directory or glob of them, or 'URL::SELECT ...'"
_FILE = click.Path(path_type=Path, dir_okay=False, writable=True)


def _in_a_folder(_context: click.Context, _parameter: click.Parameter, file: Path | None) -> Path | None:
    """Said before the gates run, and not after minutes of work."""
    if file is not None and not file.absolute().parent.is_dir():
        raise click.BadParameter(f"{file.parent}: no such folder")
    return file


@click.group()
def gate() -> None:
    """Check a version before it may move on."""


gate.add_command(suite)


@gate.command("run")
@click.argument("model_uri")
@click.option("--stage", required=True, help="The stage of the policy to judge for, such as production.")
@click.option("--current", metavar="DATA", help=f"The rows of today: {_DATA}.")
@click.option("--reference", metavar="DATA", help="Rows to compare with, instead of those that the run tracked.")
@click.option("--only", metavar="GATE", multiple=True, help="Only this gate, as a look: no evidence. Repeatable.")
@click.option(
    "--junit",
    metavar="FILE",
    type=_FILE,
    callback=_in_a_folder,
    help="Also write the verdicts as JUnit XML, for CI.",
)
@click.option(
    "--markdown",
    metavar="FILE",
    type=_FILE,
    callback=_in_a_folder,
    help="Also write a summary as Markdown, for CI.",
)
@json_option
@click.pass_obj
def run_command(config: Path | None, /, model_uri: str, stage: str, as_json: bool, **options: Any) -> int:
    """Run a stage's gates on a version and record the evidence.

    \b
    Exits with 0 when every gate PASSED, 1 when one FAILED, 2 for wrong usage,
    3 when one was INCONCLUSIVE, 4 when one broke.

    \b
    Examples:
      lifecycle gate run models:/flights-delay/1 --stage production --current july.parquet
      lifecycle gate run models:/flights-delay/1 --stage production --current "data/2013-*.csv" --only drift
      lifecycle gate run models:/flights-delay/1 --stage production --junit gates.xml --markdown gates.md
    """  # noqa: D301  click reads \b
    from lifecycle.assembly import assemble
    from lifecycle.display import gate_progress
    from lifecycle.domain.model_ref import ModelRef

    ref, only = ModelRef.parse(model_uri), options["only"]
    with gate_progress() as progress:
        checker = assemble(config).checker(progress)
        report = checker.check(ref, stage, options["current"], options["reference"], only)
    _write(report, options["junit"], options["markdown"])
    if as_json:
        print_json(_as_dict(report.evidence))
    else:
        print_evidence(report.evidence)
        click.echo(_what_next(report.evidence, only))
    return EXIT_CODES[report.outcome]


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


def _write(report: GateReport, junit: Path | None, markdown: Path | None) -> None:
    from lifecycle.gates.report import render_junit, render_markdown

    for file, render in ((junit, render_junit), (markdown, render_markdown)):
        if file is not None:
            write_durably(file, render(report.evidence).encode())


def _what_next(evidence: Evidence, only: Sequence[str]) -> str:
    from lifecycle.gates.report import next_step

    if only:
        return "A look, and no evidence. For evidence run it without --only."
    sentence, command = next_step(evidence)
    reports = "" if evidence.outcome == "PASSED" else f"The reports are in MLflow run {evidence.run_id}. "
    return f"{reports}{sentence} {command}"


def _summary(gate_type: type) -> str:
    return (gate_type.__doc__ or "").strip().splitlines()[0]
