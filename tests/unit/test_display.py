"""What people see while gates run."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lifecycle.display import gate_progress
from lifecycle.domain.verdict import Outcome, Verdict

PASSED = Verdict("signature", Outcome.PASSED, "signature.passed", "", {}, 0.12)
FAILED = Verdict("drift", Outcome.FAILED, "drift.x", "", {}, 3.21)

IN_A_TERMINAL = """
import os, pty, sys
status = pty.spawn([sys.executable, "-c", sys.argv[1]])
sys.exit(os.waitstatus_to_exitcode(status))
"""
RUN = """
from lifecycle.display import gate_progress
from lifecycle.domain.verdict import Outcome, Verdict
with gate_progress() as progress:
    for name, outcome in (("signature", Outcome.PASSED), ("drift", Outcome.FAILED)):
        progress.on_start(name)
        progress.on_verdict(Verdict(name, outcome, "x.y", "", {}, 1.5))
"""


def test_in_a_pipe_there_is_a_plain_line_for_each_gate_on_stderr(capsys):
    with gate_progress() as progress:
        for verdict in (PASSED, FAILED):
            progress.on_start(verdict.gate)
            progress.on_verdict(verdict)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == ["PASSED        signature  0.1 s", "FAILED        drift  3.2 s"]


def test_where_no_gate_gets_to_run_nothing_is_said(capsys):
    with pytest.raises(ZeroDivisionError), gate_progress():
        _ = 1 / 0
    assert capsys.readouterr() == ("", "")


def test_names_of_gates_are_text(capsys):
    with gate_progress() as progress:
        progress.on_verdict(Verdict("[red]a[/red]\x1b[2J", Outcome.ERROR, "x.y", ""))
    assert "[red]a[/red]\N{REPLACEMENT CHARACTER}[2J" in capsys.readouterr().err


def test_a_terminal_shows_what_runs_and_keeps_a_line_of_what_has_run():
    shown = subprocess.run(
        [sys.executable, "-c", IN_A_TERMINAL, RUN],
        capture_output=True,
        text=True,
        check=True,
        env={"TERM": "xterm-256color", "COLUMNS": "100", "PATH": ""},
    ).stdout
    assert "Running gate drift" in shown
    lines = [line for line in shown.splitlines() if "1.5 s" in line]
    assert ["signature" in lines[0], "drift" in lines[1], len(lines)] == [True, True, 2]
    assert "\x1b[32mPASSED" in lines[0]
    assert "\x1b[31mFAILED" in lines[1]
