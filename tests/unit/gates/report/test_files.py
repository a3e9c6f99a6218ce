"""The files of a gate run: which there are, what they are called, and the frame around other tools' pages."""

from __future__ import annotations

import re
from html import unescape

import pytest

from lifecycle.domain.charts import EmbeddedPage, Explanation
from lifecycle.domain.verdict import Outcome, Verdict
from lifecycle.gates.report import GateReport, render_html, verdict_documents
from lifecycle.gates.report.html import render_page

OURS = {"report.html", "report.md", "junit.xml", "verdicts.json"}


def pages(of, *names: str) -> list[str]:
    """The names that pages get which gates call so."""
    verdicts = (Verdict(f"gate{n}", Outcome.PASSED, "", "") for n in range(len(names)))
    report = GateReport(of(*verdicts), lambda: [Explanation((EmbeddedPage(name, name, ""),)) for name in names])
    return [name for name in report.documents() if name not in OURS]


def frame(page: str) -> dict[str, str]:
    """The attributes of the only frame in a page."""
    (attributes,) = re.findall(r"<iframe ([^>]*)>", page)
    return {name: unescape(value) for name, value in re.findall(r'(\w+)="([^"]*)"', attributes)}


def policy(page: str) -> str:
    (found,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    return found


def test_a_gate_run_leaves_these(report):
    assert set(report.documents()) == OURS | {"evidently.html", "great_expectations.html"}


def test_what_is_there_with_the_verdicts_needs_no_chart(evidence):
    def explain():
        raise AssertionError("nobody looks at a chart yet")

    assert set(verdict_documents(GateReport(evidence, explain).evidence)) == OURS - {"report.html"}


def test_the_same_gate_run_leaves_the_same(report):
    assert report.documents() == report.documents()


@pytest.mark.parametrize(
    "name", ["../../etc/cron.d/x.html", "/root/x", "a\\b", "a\0b.html", "", ".html", "..", "<b>.html", "x" * 300]
)
def test_a_page_gets_a_plain_name_in_the_same_folder(of, name):
    (given,) = pages(of, name)
    assert re.fullmatch(r"[\w-]{1,60}\.html", given, re.ASCII)


def test_no_page_takes_the_place_of_another_or_of_ours(of):
    names = pages(of, "report.html", "REPORT.html", "drift.html", "drift.html", "Drift.html")
    assert len({name.lower() for name in names} | OURS) == len(names) + len(OURS)
    assert names[2] == "drift.html"


def test_another_tools_page_is_whole_inside_a_frame_and_nowhere_outside(harm):
    text = f'<p title="{harm}">{harm}</p>'.replace("\0", "").encode("utf-8", "replace").decode()
    page = render_page(EmbeddedPage("x.html", harm, text, needs_scripts=True))
    assert frame(page)["srcdoc"] == text
    outside = page.replace(re.findall(r'srcdoc="[^"]*"', page)[0], "")
    assert "<script" not in outside
    assert "<img" not in outside


@pytest.mark.parametrize(("needs_scripts", "sandbox"), [(True, "allow-scripts"), (False, "")])
def test_the_frame_has_no_origin_and_no_network_and_runs_no_needless_scripts(needs_scripts, sandbox):
    page = render_page(EmbeddedPage("x.html", "x", "<script></script>", needs_scripts=needs_scripts))
    assert frame(page)["sandbox"] == sandbox
    assert policy(page).startswith("default-src 'none'; ")
    assert ("script-src" in policy(page)) == needs_scripts
    assert not re.search(r"https?:|\*|connect-src|frame-src|'self'|eval", policy(page))


def test_a_report_is_saved_as_files_of_which_the_page_is_named(report, tmp_path):
    saved = report.save(tmp_path / "new" / "folder")
    assert saved.read_text(encoding="utf-8") == render_html(report.evidence, report.explanations)
    assert {path.name for path in saved.parent.iterdir()} == set(report.documents())


def test_a_report_can_be_saved_whatever_the_words_hold(hostile, tmp_path):
    assert hostile.save(tmp_path).exists()


def test_a_report_is_lines_in_a_terminal(evidence):
    lines = repr(GateReport(evidence)).splitlines()
    assert lines[0].startswith("models:/flights-delay/3 for production: FAILED (attempt 3, ")
    assert lines[2] == "  drift: FAILED. 1 of 2 columns has drifted: dep_delay."


def test_a_report_steers_no_terminal(hostile):
    assert all(character.isprintable() or character == "\n" for character in repr(hostile))


@pytest.mark.parametrize(
    ("outcomes", "outcome"),
    [
        ([Outcome.PASSED], Outcome.PASSED),
        ([Outcome.PASSED, Outcome.FAILED], Outcome.FAILED),
        ([Outcome.PASSED, Outcome.INCONCLUSIVE], Outcome.INCONCLUSIVE),
        ([], Outcome.INCONCLUSIVE),
    ],
)
def test_a_report_passes_only_when_every_gate_does_and_there_is_one(of, outcomes, outcome):
    report = GateReport(of(*(Verdict("drift", given, "drift.x", "") for given in outcomes)))
    assert report.outcome is outcome
    assert report.passed == (outcome is Outcome.PASSED)
