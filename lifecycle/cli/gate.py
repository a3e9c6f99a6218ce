"""``lifecycle gate run|show|list``, and ``lifecycle gate suite`` for the expectations of ``data_quality``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lifecycle.cli.output import assembled, json_option, print_evidence, print_json, print_table
from lifecycle.errors import Conflict, NotFound, UsageError

if TYPE_CHECKING:
    from lifecycle.domain.verdict import Evidence
    from lifecycle.gates.data_quality.suite_diff import SuiteChange

EXIT_CODES = {"PASSED": 0, "FAILED": 1, "INCONCLUSIVE": 3, "ERROR": 4}
_DATA = "a Parquet or CSV file, a directory or glob of them, or 'URL::SELECT ...'"
_FILE = click.Path(path_type=Path, dir_okay=False, writable=True)
_SAMPLE_ROWS = 100_000
_SEED = 0


def _in_a_folder(_context: click.Context, _parameter: click.Parameter, file: Path | None) -> Path | None:
    """Refuse a file in a missing folder before the gates run, not after minutes of work."""
    if file is not None and not file.absolute().parent.is_dir():
        raise click.BadParameter(f"{file.parent}: no such folder")
    return file


_report_option = partial(click.option, metavar="FILE", type=_FILE, callback=_in_a_folder)


@click.group()
def gate() -> None:
    """Check a model version before it is promoted."""


@gate.command("run")
@click.argument("model_uri")
@click.option("--stage", required=True, help="Stage of the policy whose gates to run, such as production.")
@click.option("--current", metavar="DATA", help=f"Current rows: {_DATA}. Default: what lifecycle.yaml names.")
@click.option(
    "--reference", metavar="DATA", help="Rows to compare with. Default: those that lifecycle.track() logged."
)
@click.option(
    "--only",
    metavar="GATE",
    multiple=True,
    help="Run only this gate. The result is shown but not recorded, and cannot be used to promote. Repeatable.",
)
@_report_option("--junit", help="Also write the verdicts as JUnit XML, for CI.")
@_report_option("--markdown", help="Also write a summary as Markdown, for CI.")
@json_option
@click.pass_obj
def run_command(  # noqa: PLR0913  one argument for each option
    config: Path | None,
    model_uri: str,
    *,
    stage: str,
    current: str | None,
    reference: str | None,
    only: tuple[str, ...],
    junit: Path | None,
    markdown: Path | None,
    as_json: bool,
) -> int:
    """Run a stage's gates on a version.

    The signed result is recorded as evidence, which lifecycle promote asks for.

    \b
    Exit codes: 0 every gate PASSED, 1 one FAILED, 2 wrong usage, 3 one was
    INCONCLUSIVE, 4 one broke, 5 unknown version or stage, 7 MLflow does not answer.

    \b
    Examples:
      lifecycle gate run models:/flights-delay/1 --stage production --current july.parquet
      lifecycle gate run models:/flights-delay/1 --stage production --current "data/2013-*.csv" --only drift
      lifecycle gate run models:/flights-delay/1 --stage production --junit gates.xml --markdown gates.md
    """  # noqa: D301  click reads \b
    from lifecycle.gates.gate_process import start_early

    start_early()  # the gates' libraries are imported while we import ours and ask the registry
    from lifecycle.display import gate_progress
    from lifecycle.domain.model import ModelRef
    from lifecycle.durable import write_durably
    from lifecycle.gates.report import render_junit, render_markdown

    ref = ModelRef.parse(model_uri)
    with gate_progress() as progress:
        gate_runner = assembled(config).gate_runner(progress)
        report = gate_runner.judge(ref, stage, current, reference, only)
    for file, render in ((junit, render_junit), (markdown, render_markdown)):
        if file is not None:
            write_durably(file, render(report.evidence).encode())
    if as_json:
        print_json(_evidence_as_dict(report.evidence))
    else:
        print_evidence(report.evidence)
        click.echo(_what_next(report.evidence, only))
    if not only:
        gate_runner.explain(report)
    return EXIT_CODES[report.outcome]


@gate.command("show")
@click.argument("model_uri")
@json_option
@click.pass_obj
def show_command(config: Path | None, model_uri: str, as_json: bool) -> None:
    """Show the newest recorded verdicts of a version.

    Exit codes: 0 done, 5 unknown version, 7 MLflow does not answer.

    Example: lifecycle gate show models:/flights-delay/1
    """
    from lifecycle.domain.model import ModelRef

    registry = assembled(config).registry
    evidence = registry.evidence(registry.get(ModelRef.parse(model_uri)))
    if as_json:
        print_json([_evidence_as_dict(e) for e in evidence])
        return
    for record in evidence:
        print_evidence(record)
    if not evidence:
        click.echo(f"No gate has been run on {model_uri}. Run: lifecycle gate run {model_uri} --stage staging")


@gate.command("list")
@json_option
@click.pass_obj
def list_command(config: Path | None, as_json: bool) -> None:
    """List the gates, and which stage demands which.

    Exit codes: 0 done, 2 lifecycle.yaml is wrong.

    Example: lifecycle gate list
    """
    from lifecycle.assembly import load_settings
    from lifecycle.gates.contract import GATES, gate_class

    settings = load_settings(config)
    book = settings.policies
    demands = [
        {"model": model, "stage": stage.name, "gate": spec.name, "options": dict(spec.options)}
        for model, policy in [*book.models.items(), ("(every other model)", book.default)]
        for stage in policy.stages
        for spec in stage.gates
    ]
    if as_json:
        print_json({"gates": list(GATES.names()), "demands": demands})
        return
    kinds = [(name, gate_class(name)) for name in GATES.names()]
    print_table(
        ["Gate", "Judges", "Options"],
        [(n, (k.__doc__ or "").strip().partition("\n")[0], ", ".join(k.Options.model_fields)) for n, k in kinds],
    )
    print_table(
        ["Model", "Stage", "Gate", "Options"],
        [(d["model"], d["stage"], d["gate"], json.dumps(d["options"]) if d["options"] else "") for d in demands],
        title=f"Demanded by {settings.file or 'the built-in policy'}",
    )


@gate.group()
def suite() -> None:
    """Write, show and compare data_quality expectations."""


@suite.command("write")
@click.argument("data")
@click.option("-o", "--output", required=True, metavar="FILE", help="File to write; - for standard output.")
@click.option("--label", help="The label column, which gets no expectations.")
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
def write_command(data: str, output: str, label: str | None, force: bool) -> None:
    """Derive expectations from rows, as a file to edit.

    DATA is a file, folder, glob or query. The result is a Great Expectations suite with types, ranges with
    slack, categories and shares of nulls. Of more than 100,000 rows, a random sample of that size is used.

    Exit codes: 0 done, 2 the rows or the label are wrong, 5 no such file, 6 the output exists (use --force).

    Example: lifecycle gate suite write january-to-june.parquet --label late -o expectations.json
    """
    path = None if output == "-" else Path(output)
    if path is not None and path.exists() and not force:
        raise Conflict(f"{path}: exists already; replace it with --force")
    derived = _derive(data, label)
    text = json.dumps(derived, indent=2, allow_nan=False) + "\n"
    if path is None:
        click.echo(text, nl=False)
        return
    from lifecycle.durable import write_durably

    try:
        write_durably(path, text.encode())
    except OSError as exc:
        raise UsageError(f"{path}: cannot be written ({exc.strerror})") from exc
    click.echo(
        f"{path}: {len(derived['expectations'])} expectations. Look at them: lifecycle gate suite show {path}"
    )


@suite.command("show")
@click.argument("suite_source", metavar="SUITE")
@json_option
@click.pass_obj
def show_suite_command(config: Path | None, suite_source: str, as_json: bool) -> None:
    """Show a suite in plain words.

    SUITE is a file, or a version whose training run logged one.

    Exit codes: 0 done, 2 not a suite, 5 no such file or version, or it has no suite.

    Example: lifecycle gate suite show models:/flights-delay/3
    """
    from lifecycle.gates.data_quality.suite_diff import demand_of

    found = _load(config, suite_source)
    if as_json:
        print_json(found)
        return
    demands = [demand_of(expectation) for expectation in found["expectations"]]
    print_table(["Column", "Expectation", "Demand"], [(d.subject, d.name, d.words) for d in demands])


@suite.command("diff")
@click.argument("before")
@click.argument("after")
@json_option
@click.pass_obj
def diff_command(config: Path | None, before: str, after: str, as_json: bool) -> int:
    """Show what one suite demands and another does not.

    BEFORE and AFTER are files or model versions.

    Exit codes: 0 both demand the same, 1 they differ, 2 not a suite, 5 no such file or version.

    Example: lifecycle gate suite diff models:/flights-delay/2 expectations.json
    """
    from lifecycle.gates.data_quality.suite_diff import changes

    found = changes(*(_load(config, source)["expectations"] for source in (before, after)))
    if as_json:
        print_json([_change_as_dict(change) for change in found])
    elif found:
        rows = [(d["column"], d["expectation"], d["change"], d["words"]) for d in map(_change_as_dict, found)]
        print_table(["Column", "Expectation", "Change", "From → to"], rows)
    else:
        click.echo("Both demand the same.")
    return 1 if found else 0


def _evidence_as_dict(evidence: Evidence) -> dict[str, object]:
    return {"outcome": str(evidence.outcome), **json.loads(evidence.to_json())}


def _what_next(evidence: Evidence, only: Sequence[str]) -> str:
    from lifecycle.gates.report import next_step

    if only:
        return "Partial run: not recorded as evidence. To record it, run it again without --only."
    sentence, command = next_step(evidence)
    reports = "" if evidence.outcome == "PASSED" else f"The reports are in MLflow run {evidence.run_id}. "
    return f"{reports}{sentence} {command}"


def _derive(data: str, label: str | None) -> dict[str, Any]:
    from lifecycle.data.read import read_dataset
    from lifecycle.errors import unknown
    from lifecycle.gates.data_quality.profiler import derive_suite

    rows = read_dataset(data, label)
    if not rows.count:
        raise UsageError(f"{rows.source}: has no rows to derive expectations from")
    if label is not None and not rows.has_labels:
        raise UsageError(f"{rows.source}: {unknown('label column', label, rows.columns)}")
    return derive_suite(rows.sample(_SAMPLE_ROWS, _SEED)[list(rows.inputs)], count=rows.count)


def _load(config: Path | None, source: str) -> dict[str, Any]:
    from lifecycle.domain.model import ModelRef
    from lifecycle.gates.data_quality.suite import read_suite

    if not source.startswith("models:/"):
        return read_suite(Path(source))
    registry = assembled(config).registry
    tracked = registry.tracked(registry.get(ModelRef.parse(source)))
    if tracked is None:
        raise NotFound(
            f"{source}: its training run logged no expectations. "
            "Call lifecycle.track(reference) there, or name a file"
        )
    return read_suite(tracked.suite)


def _change_as_dict(change: SuiteChange) -> dict[str, Any]:
    demand = change.after or change.before
    assert demand is not None  # noqa: S101  a change has at least one side
    return {
        "column": demand.subject,
        "expectation": demand.name,
        "type": demand.type,
        "change": change.kind,
        "words": change.words,
        "before": change.before and dict(change.before.kwargs),
        "after": change.after and dict(change.after.kwargs),
    }
