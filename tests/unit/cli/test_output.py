"""Tables show text as it is, machines get JSON, and nothing that others wrote steers the terminal."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click
import pytest

from lifecycle.cli.output import (
    console,
    deployment_as_dict,
    parse_pairs,
    print_deployments,
    print_evidence,
    print_json,
    print_table,
)
from lifecycle.display import HISTORY_COLUMNS, history_rows
from lifecycle.domain.deployment import Deployment, Status
from lifecycle.domain.ledger import Action, LedgerEntry
from lifecycle.domain.model import ModelRef
from lifecycle.domain.verdict import Evidence, Outcome, Verdict

NOW = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)
DEPLOYMENT = Deployment(
    name="flights",
    target="rest",
    ref=ModelRef("flights-delay", stage="Production"),
    version=2,
    digest="d" * 64,
    status=Status.READY,
    address="http://127.0.0.1:8080",
    options={"port": "8080"},
    figures={"pid": 4711},
)


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch):
    """As in a pipe, and whatever the width of whoever runs the tests."""
    for variable in ("COLUMNS", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def shown(capsys):
    """What was printed since, as one line with single spaces, without the table's own lines."""

    def read() -> str:
        out = capsys.readouterr().out
        return " ".join(
            "".join(c if c.isprintable() and c not in "│┃━─┏┳┓┡╇┩└┴┘├┼┤" else " " for c in out).split()
        )

    return read


def test_cells_and_titles_are_text_and_never_markup(shown):
    print_table(["Name"], [["[bold]loud[/bold]"], ["[/nonsense]"]], title="[red]/x[/]")
    said = shown()
    for text in ("[bold]loud[/bold]", "[/nonsense]", "[red]/x[/]"):
        assert text in said


def test_control_characters_of_others_do_not_reach_the_terminal(capsys):
    print_table(["Why"], [["\x1b[2Jcleared\x07 \x9b31m"]])
    out = capsys.readouterr().out
    assert "cleared" in out
    assert not [c for c in out if not c.isprintable() and c != "\n"]


def test_nothing_is_shown_as_nothing(shown):
    print_table(["From", "To"], [[None, 0]])
    assert shown() == "From To 0"


def test_a_long_path_is_folded_and_not_cut_off(capsys):
    path = "/folder" * 60
    print_table(["Where"], [[path]])
    out = capsys.readouterr().out
    assert "".join(c for c in out if c in "/folder").count("/folder") == 60
    assert "…" not in out


def test_a_table_in_a_pipe_is_wide_enough_to_read(capsys):
    print_table(["What"], [["x" * 120]])
    assert "x" * 120 in capsys.readouterr().out


def test_progress_goes_to_stderr_and_is_silent_in_a_pipe(capsys):
    with console(stderr=True).status("Deploying …"):
        print_json({"a": 1})
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"a": 1}
    assert captured.err == ""


def test_what_json_has_no_word_for_is_not_written():
    with pytest.raises(ValueError, match="JSON"):
        print_json({"value": float("nan")})


def test_a_deployment_is_json_with_everything_in_it(capsys):
    print_json(deployment_as_dict(DEPLOYMENT))
    assert json.loads(capsys.readouterr().out) == {
        "name": "flights",
        "target": "rest",
        "model": "models:/flights-delay/Production",
        "version": 2,
        "digest": "d" * 64,
        "status": "READY",
        "address": "http://127.0.0.1:8080",
        "detail": "",
        "options": {"port": "8080"},
        "figures": {"pid": 4711},
        "variants": [],
    }


def test_deployments_are_one_line_each_with_the_reason_where_there_is_no_address(shown):
    failed = Deployment("july", "batch", DEPLOYMENT.ref, 1, "e" * 64, Status.FAILED, detail="its output is gone")
    print_deployments([DEPLOYMENT, failed])
    said = shown()
    assert "flights rest models:/flights-delay/Production 2 READY http://127.0.0.1:8080" in said
    assert "july batch models:/flights-delay/Production 1 FAILED its output is gone" in said


def test_evidence_shows_each_gate_with_outcome_and_reason(shown):
    verdicts = (
        Verdict("signature", Outcome.PASSED, "signature.ok", "The input example scores.", seconds=0.25),
        Verdict("drift", Outcome.FAILED, "drift.share_exceeded", "9 of 12 columns have drifted."),
    )
    print_evidence(Evidence("wine", 3, "production", "d" * 64, "e" * 64, verdicts, NOW, NOW))
    said = shown()
    assert "models:/wine/3" in said
    assert "production" in said
    assert "signature PASSED The input example scores. 0.2" in said
    assert "drift FAILED 9 of 12 columns have drifted." in said


def test_history_shows_who_when_from_to_why_and_on_what_evidence(shown):
    moved = LedgerEntry(
        sequence=1,
        at=NOW,
        action=Action.PROMOTED,
        model="wine",
        stage="production",
        version=2,
        previous=1,
        requested_by="ada",
        reason="looks good",
        evidence_id="0123456789abcdef",
    )
    refused = LedgerEntry(2, NOW, Action.REFUSED, "wine", "production", 3, actor="bob", detail="not passed: drift")
    print_table(HISTORY_COLUMNS, history_rows([moved, refused]))
    said = shown()
    for word in ("2026-11-21 12:30:00", "PROMOTED", "ada (unverified)", "looks good", "0123456789abcdef"):
        assert word in said
    for word in ("REFUSED", "bob", "not passed: drift"):
        assert word in said


@pytest.mark.parametrize(
    ("pairs", "parsed"),
    [
        ((), {}),
        (("port=80", "host=::1"), {"port": "80", "host": "::1"}),
        (("input=a=b.csv",), {"input": "a=b.csv"}),
        (("host=",), {"host": ""}),
    ],
)
def test_options_are_split_at_the_first_equals_sign(pairs, parsed):
    assert parse_pairs(pairs) == parsed


@pytest.mark.parametrize("pairs", [("port",), ("=80",), ("",), ("port=80", "port=80")])
def test_malformed_and_repeated_options_are_usage_errors(pairs):
    with pytest.raises(click.UsageError):
        parse_pairs(pairs)
