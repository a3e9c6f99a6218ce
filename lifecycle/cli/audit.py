"""``lifecycle audit verify|export``."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lifecycle.cli.database import guarded_database, store_option
from lifecycle.cli.output import console, json_option, print_json, print_table
from lifecycle.errors import IntegrityError, NotFound, Unavailable

if TYPE_CHECKING:
    from lifecycle.promotion.audit.findings import AuditIssue, AuditReport
    from lifecycle.promotion.audit.verify import Progress

_MOST_SHOWN = 50
_PATIENCE_S = 2.0


@click.group()
def audit() -> None:
    """Verify and export the ledger of promotions.

    It records each promotion, refusal, approval and rollback: who, when, why and on what evidence.
    """


@audit.command()
@click.argument("model", required=False)
@store_option
@click.option(
    "--against",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="An earlier export (jsonl) to compare with: today's ledger has to begin with it.",
)
@json_option
@click.pass_obj
def verify(config: Path | None, model: str | None, uri: str | None, against: Path | None, as_json: bool) -> None:
    """Verify that ledger, evidence and stages are unchanged.

    The hash chain, the signatures and MLflow's own stages are compared. MODEL restricts it to one model. A
    ledger that was rewritten from its beginning shows only against an earlier export: keep one where the
    database's administrators cannot write, and give it with --against.

    \b
    Exit codes: 0 unchanged, 2 wrong usage, 5 no database, 7 it does not answer,
    8 something was changed (every finding is listed).

    \b
    Examples:
      lifecycle audit verify
      lifecycle audit verify flights-delay --registry-store-uri postgresql://mlflow@db/mlflow
      lifecycle audit verify --against /safe/ledger-2026-05.jsonl
    """  # noqa: D301  click reads \b
    from lifecycle.config.load import load_config
    from lifecycle.promotion.audit import audit as audited
    from lifecycle.promotion.audit.export import read_export
    from lifecycle.promotion.database import shown
    from lifecycle.signing.local_key import trust_store

    settings = load_config(os.environ, Path.cwd(), config)
    earlier = read_export(against) if against else None
    trust = trust_store(settings.home, os.environ)
    with guarded_database(uri, settings.home) as connection, _progress() as progress:
        report = audited(connection, trust, settings.policies, model, earlier, progress)
        database = shown(connection.engine.url)
    policy = str(settings.file or "the built-in policy")
    if as_json:
        print_json({"database": database, "policy": policy, **report.as_dict()})
    else:
        click.echo(f"{database}, its stages compared with {policy}")
        _print(report)
    if not report.whole:
        raise IntegrityError(_summary(report.breaks))


@audit.command()
@click.argument("model", required=False)
@store_option
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write, replaced in one step at the end. Default: standard output.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "csv"]),
    default="jsonl",
    show_default=True,
    help="jsonl, for audit verify --against, or csv, for a spreadsheet.",
)
@click.option("--with-evidence", is_flag=True, help="Include the evidence records, decoded; jsonl only.")
@click.pass_obj
def export(
    config: Path | None, model: str | None, uri: str | None, output: Path | None, form: str, with_evidence: bool
) -> None:
    """Write the whole ledger to a file.

    Entries of deleted models are included. MODEL restricts it to one model.

    Exit codes: 0 written, 2 wrong usage, 5 no database or no entries of MODEL, 7 not readable or not writable.

    \b
    Examples:
      lifecycle audit export -o ledger.jsonl --with-evidence
      lifecycle audit export flights-delay --format csv -o flights.csv
    """  # noqa: D301  click reads \b
    from lifecycle.config.load import load_config
    from lifecycle.promotion.audit.export import as_csv, as_jsonl, records

    if with_evidence and form == "csv":
        raise click.UsageError("--with-evidence needs --format jsonl: a CSV table has no column for it")
    home = load_config(os.environ, Path.cwd(), config).home
    with guarded_database(uri, home) as connection:
        lines = records(connection, model, with_evidence=with_evidence)
        first = next(lines, None)
        if first is None and model is not None:  # then its name is wrong
            raise NotFound(f"the ledger has no entries of a model {model[:80]!r}")
        lines = chain([] if first is None else [first], lines)
        _write(as_csv(lines) if form == "csv" else as_jsonl(lines), output)


def _write(chunks: Iterable[bytes], output: Path | None) -> None:
    from lifecycle.durable import writing_durably

    if output is None:
        for chunk in chunks:
            sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
        return
    try:
        with console(stderr=True).status("Writing the ledger …"), writing_durably(output) as file:
            for chunk in chunks:
                file.write(chunk)
    except OSError as exc:
        raise Unavailable(f"{output}: cannot be written ({exc.strerror}); the file is unchanged") from exc
    click.echo(f"Written: {output}", err=True)


def _print(report: AuditReport) -> None:
    found = report.as_dict()
    if report.ledgers:
        print_table(
            ["Model", "Entries", "Newest entry's hash"],
            [(ledger.model, ledger.entries, ledger.head) for ledger in report.ledgers],
        )
    for note in report.notes:
        click.echo(f"Note: {note.message}.")
    if report.breaks:
        print_table(
            ["Model", "Entry", "What", "Found"],
            [(f.model or f.model_uid[:12], f.sequence, f.what, f.message) for f in report.breaks[:_MOST_SHOWN]],
        )
        if len(report.breaks) > _MOST_SHOWN:
            click.echo(f"… and {len(report.breaks) - _MOST_SHOWN} more; --json shows all.")
        return
    click.echo(f"Unchanged: {found['entries']} entries and {found['evidence']} records of evidence.")


def _summary(breaks: Iterable[AuditIssue]) -> str:
    first, *more = breaks
    where = f"entry {first.sequence} of {first.model}" if first.sequence else first.model or first.model_uid[:12]
    others = f" (and {len(more)} more)" if more else ""
    return f"changed since it was written: {where}: {first.message.partition(' Run: ')[0]}{others}"


@contextmanager
def _progress() -> Iterator[Progress]:
    """A progress bar in a terminal, shown after two seconds."""
    from rich.progress import Progress as Bar

    began = time.monotonic()
    bar = Bar(console=console(stderr=True), transient=True, disable=not console(stderr=True).is_terminal)
    task = bar.add_task("Reading the ledger …", total=None)

    def show(done: int, total: int) -> None:
        if time.monotonic() - began > _PATIENCE_S:
            bar.start()
        bar.update(task, completed=done, total=total)

    try:
        yield show
    finally:
        bar.stop()
