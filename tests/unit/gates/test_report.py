import json
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest

from lifecycle.domain.evidence import Evidence
from lifecycle.domain.verdict import Outcome, Verdict
from lifecycle.gates.report import GateReport, render_html, render_markdown

NASTY = "</td><script>alert(1)</script> | a\n| b `c` [d](javascript:e) *f*"
VERDICTS = (
    Verdict("signature", Outcome.PASSED, "signature.passed", "All good.", {"inputs": 7}, 0.123456),
    Verdict("drift", Outcome.FAILED, "drift.share_exceeded", NASTY, {}, 2.0),
)


class Parsed(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.texts.append(data)


def report(*verdicts):
    now = datetime(2026, 1, 1, tzinfo=UTC)
    evidence = Evidence("m", 1, "production", "d" * 64, "p" * 64, verdicts, now, now + timedelta(days=1))
    return GateReport(evidence)


def test_html_shows_names_from_the_data_as_text_and_runs_nothing():
    parsed = Parsed(render_html("<b>title</b>", VERDICTS))
    assert set(parsed.tags) == {"h4", "table", "thead", "tbody", "tr", "th", "td"}
    assert NASTY in parsed.texts
    assert "<b>title</b>" in parsed.texts


def test_markdown_keeps_one_row_a_gate_and_brings_in_no_html_and_no_link():
    text = render_markdown("<title>", VERDICTS)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(VERDICTS)
    assert "<" not in text
    assert r"\[d\](javascript:e)" in text
    assert r" \| a \| b " in text


def test_json_holds_everything_in_plain_types():
    assert json.loads(json.dumps(VERDICTS[0].as_dict())) == {
        "gate": "signature",
        "outcome": "PASSED",
        "reason": "signature.passed",
        "message": "All good.",
        "figures": {"inputs": 7},
        "seconds": 0.123,
    }


@pytest.mark.parametrize(
    ("verdicts", "outcome"),
    [(VERDICTS[:1], Outcome.PASSED), (VERDICTS, Outcome.FAILED), ((), Outcome.INCONCLUSIVE)],
)
def test_a_report_passes_only_when_every_gate_does_and_there_is_one(verdicts, outcome):
    assert report(*verdicts).outcome is outcome
    assert report(*verdicts).passed == (outcome is Outcome.PASSED)


def test_a_report_is_a_table_in_notebooks():
    assert "signature" in Parsed(report(*VERDICTS)._repr_html_()).texts
