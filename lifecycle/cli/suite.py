"""``lifecycle gate suite write|show|diff``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lifecycle.cli.output import json_option, print_json, print_table
from lifecycle.errors import Conflict, NotFound, UsageError

if TYPE_CHECKING:
    from lifecycle.gates.data_quality.demands import Change

_SAMPLE_ROWS = 100_000
_SEED = 0


@click.group()
def suite() -> None:
    """Derive, read and compare the expectations that the gate data_quality judges by."""


@suite.command("write")
@click.argument("data")
@click.option("-o", "--output", required=True, metavar="FILE", help="Where to write it; - for standard output.")
@click.option("--label", help="The label's column, of which nothing is expected.")
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
def write_command(data: str, output: str, label: str | None, force: bool) -> None:
    """Derive expectations from rows: a file, folder, glob or query.

    They are a Great Expectations suite, made to be edited: types, ranges with slack, categories, shares of
    nulls. Of more than 100,000 rows, as many drawn at random are looked at.

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
    _write(path, text)
    click.echo(
        f"{path}: {len(derived['expectations'])} expectations. Look at them: lifecycle gate suite show {path}"
    )


@suite.command("show")
@click.argument("suite_source", metavar="SUITE")
@json_option
@click.pass_obj
def show_command(config: Path | None, suite_source: str, as_json: bool) -> None:
    """Show what a suite demands: that of a file, or the one that was tracked with a model version.

    Example: lifecycle gate suite show models:/flights-delay/3
    """
    from lifecycle.gates.data_quality.demands import demand_of

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
    """Show what the second of two suites adds, removes and changes: files or model versions.

    Exits with 0 when both demand the same, and with 1 when they differ.

    Example: lifecycle gate suite diff models:/flights-delay/2 expectations.json
    """
    from lifecycle.gates.data_quality.demands import changes

    found = changes(*(_load(config, source)["expectations"] for source in (before, after)))
    if as_json:
        print_json([_as_dict(change) for change in found])
    elif found:
        rows = [(d["column"], d["expectation"], d["change"], d["words"]) for d in map(_as_dict, found)]
        print_table(["Column", "Expectation", "Change", "From → to"], rows)
    else:
        click.echo("Both demand the same.")
    return 1 if found else 0


def _derive(data: str, label: str | None) -> dict[str, Any]:
    from lifecycle.data.read import read_dataset
    from lifecycle.errors import unknown
    from lifecycle.gates.data_quality.expectations import derive_suite

    rows = read_dataset(data, label)
    if not rows.count:
        raise UsageError(f"{rows.source}: has no rows to derive expectations from")
    if label is not None and not rows.has_labels:
        raise UsageError(f"{rows.source}: {unknown('label column', label, rows.columns)}")
    return derive_suite(rows.sample(_SAMPLE_ROWS, _SEED)[list(rows.inputs)], count=rows.count)


def _write(path: Path, text: str) -> None:
    from lifecycle.durable import write_durably

    try:
        write_durably(path, text.encode())
    except OSError as exc:
        raise UsageError(f"{path}: cannot be written ({exc.strerror})") from exc


def _load(config: Path | None, source: str) -> dict[str, Any]:
    from lifecycle.gates.data_quality.suite import read_suite

    if not source.startswith("models:/"):
        return read_suite(Path(source))
    from lifecycle.assembly import assemble
    from lifecycle.domain.model_ref import ModelRef

    registry = assemble(config).registry
    tracked = registry.tracked(registry.get(ModelRef.parse(source)))
    if tracked is None:
        raise NotFound(f"{source}: its training run logged no expectations; lifecycle.track(reference) does")
    return read_suite(tracked.suite)


def _as_dict(change: Change) -> dict[str, Any]:
    demand = change.after or change.before
    assert demand is not None  # noqa: S101  # one of them is there
    sides = {"before": change.before, "after": change.after}
    return {
        "column": demand.subject,
        "expectation": demand.name,
        "type": demand.type,
        "change": change.kind,
        "words": change.words,
        **{side: None if one is None else dict(one.kwargs) for side, one in sides.items()},
    }
