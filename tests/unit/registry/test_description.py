"""The gates' table stands in a description beside a person's words, once per stage."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from lifecycle.domain.verdict import Evidence, Outcome, Verdict
from lifecycle.registry.tags import described

NOW = datetime(2026, 11, 21, tzinfo=UTC)
FINE = Verdict("drift", Outcome.PASSED, "drift.ok", "fine")
EVIDENCE = Evidence("wine", 1, "staging", "d" * 64, "p" * 64, (FINE,), NOW, NOW, attempt=2)
TOO_MUCH = replace(EVIDENCE, verdicts=(Verdict("drift", Outcome.FAILED, "drift.x", "too much"),), attempt=3)
WORDS = "My best model.\n\nSee | the notes."
MOST_CHARS = 5000


def saying(message: str) -> Evidence:
    return replace(EVIDENCE, verdicts=(replace(FINE, message=message),))


def test_a_persons_words_stay():
    assert described(WORDS, EVIDENCE).startswith(f"{WORDS}\n\nstaging: PASSED · ")
    assert "| drift&ensp; | PASSED&ensp; | fine |" in described(WORDS, EVIDENCE)


def test_it_begins_with_what_came_of_it_when_and_which_attempt_it_was():
    line = described("", TOO_MUCH).splitlines()[0]
    said = "staging: FAILED · attempt 3 · 2026-11-21 00:00 UTC · snapshot dddddddddddd"
    assert line == f"{said} <!-- lifecycle:staging -->"


def test_the_table_is_replaced_where_it_stood():
    with_words_after = described(WORDS, EVIDENCE) + "\n\nAdded later."
    again = described(with_words_after, TOO_MUCH)
    assert again.startswith(WORDS)
    assert again.endswith("Added later.")
    assert "PASSED" not in again
    assert described(again, TOO_MUCH) == again


def test_words_that_somebody_put_before_it_on_its_line_stay():
    mine = described("", EVIDENCE).replace("staging: PASSED", "Mine! staging: PASSED", 1)
    assert described(mine, TOO_MUCH).startswith("Mine! staging: FAILED · attempt 3")
    assert "PASSED" not in described(mine, TOO_MUCH)


def test_a_table_without_its_headline_is_replaced_all_the_same():
    start = described("", EVIDENCE).index("<!-- lifecycle:staging -->")
    assert described(described("", EVIDENCE)[start:], TOO_MUCH) == described("", TOO_MUCH)


def test_each_stage_has_its_own():
    both = described(described("", EVIDENCE), replace(EVIDENCE, stage="production"))
    assert both.count("<!-- lifecycle:") == 2
    assert both.count("PASSED") == 4


def test_words_between_what_is_left_of_a_table_and_the_next_one_stay():
    torn = described(WORDS, EVIDENCE).replace("<!-- /lifecycle:staging -->", "And a remark.")
    twice = described(described(torn, EVIDENCE), TOO_MUCH)
    assert "And a remark." in twice
    assert twice.count("FAILED") == 2  # the line and the row of the one table


def test_messages_cannot_break_the_table_or_start_markup():
    message = "a | b\n--> <script>alert(1)</script> ![x](http://evil.example/x.png) <!-- lifecycle:staging -->"
    text = described("", saying(message))
    assert text.count("-->") == 2  # those of the two markers
    assert r"a \| b --&gt; &lt;script&gt;" in text
    assert "://" not in text
    assert described(text, saying(message)) == text


def test_a_backslash_in_a_message_is_no_more_than_that():
    assert r"C:\\1\\g&lt;0&gt;" in described(described("", EVIDENCE), saying(r"C:\1\g<0>"))


@pytest.mark.parametrize(
    ("words", "there"),
    [
        (4000, ["| drift&ensp; | PASSED&ensp; |", "attempt 2"]),
        (4700, ["| drift&ensp; | PASSED&ensp; |", "attempt 2"]),
        (4850, ["staging: PASSED", "attempt 2"]),
    ],
)
def test_where_there_is_little_room_less_is_said(words, there):
    text = described("x" * words, saying("m" * 500))
    assert len(text) <= MOST_CHARS
    assert text.startswith("x" * words)
    for part in there:
        assert part in text


def test_words_that_leave_no_room_stay_alone():
    assert described("x" * 4990, EVIDENCE) == "x" * 4990


def test_an_older_table_does_not_outlive_its_truth():
    full = described("", EVIDENCE) + "x" * (MOST_CHARS - len(described("", EVIDENCE)))
    long = replace(TOO_MUCH, stage="staging", verdicts=TOO_MUCH.verdicts * 20, digest="e" * 64)
    text = described(full, long)
    assert "PASSED" not in text
    assert text.endswith("xxx")
    assert len(text) <= MOST_CHARS
