"""The gates' table stands in a description beside a person's words, once per stage."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from lifecycle.domain.evidence import Evidence
from lifecycle.domain.verdict import Outcome, Verdict
from lifecycle.registry.description import described

NOW = datetime(2026, 11, 21, tzinfo=UTC)
EVIDENCE = Evidence(
    "wine", 1, "staging", "d" * 64, "p" * 64, (Verdict("drift", Outcome.PASSED, "drift.ok", "fine"),), NOW, NOW
)
WORDS = "My best model.\n\nSee | the notes."


def test_a_persons_words_stay():
    assert described(WORDS, EVIDENCE).startswith(f"{WORDS}\n\n<!-- lifecycle:staging -->")
    assert "| drift | PASSED | fine |" in described(WORDS, EVIDENCE)
    assert described("", EVIDENCE).startswith("<!-- lifecycle:staging -->")


def test_the_table_is_replaced_where_it_stood():
    with_words_after = described(WORDS, EVIDENCE) + "\n\nAdded later."
    failed = replace(EVIDENCE, verdicts=(Verdict("drift", Outcome.FAILED, "drift.x", "too much"),))
    again = described(with_words_after, failed)
    assert again.startswith(WORDS)
    assert again.endswith("Added later.")
    assert "PASSED" not in again
    assert described(again, failed) == again


def test_each_stage_has_its_own():
    both = described(described("", EVIDENCE), replace(EVIDENCE, stage="production"))
    assert both.count("<!-- lifecycle:") == 2


def test_messages_cannot_break_the_table_or_start_markup():
    message = "a | b\n--> <script>alert(1)</script> [x](javascript:1)"
    text = described("", replace(EVIDENCE, verdicts=(Verdict("drift", Outcome.PASSED, "r", message),)))
    assert text.count("-->") == 2  # those of the two markers
    assert r"a \| b --\> \<script\>" in text
    assert "<script>" not in text
    assert "[x](" not in text


def test_words_that_leave_no_room_stay_alone():
    assert described("x" * 4990, EVIDENCE) == "x" * 4990
