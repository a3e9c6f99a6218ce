"""What CI servers read: a JUnit file, a Markdown summary and JSON, all well-formed whatever names the data has."""

from __future__ import annotations

import json
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from markdown_it import MarkdownIt

from lifecycle.domain.text import printable
from lifecycle.domain.verdict import Outcome, Verdict
from lifecycle.gates.report import render_junit, render_markdown, verdict_documents

# Jenkins' junit-10.xsd, which the other readers share: what an element may hold, and which attributes it may have.
CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"properties", "testcase", "system-out", "system-err"},
    "properties": {"property"},
    "property": set(),
    "testcase": {"skipped", "error", "failure", "system-out", "system-err"},
    "error": set(),
    "failure": set(),
    "system-out": set(),
}
ATTRIBUTES = {
    "testsuites": {"name", "time", "tests", "failures", "disabled", "errors"},
    "testsuite": {
        "name",
        "tests",
        "failures",
        "errors",
        "time",
        "skipped",
        "timestamp",
        "hostname",
        "id",
        "package",
    },
    "properties": set(),
    "property": {"name", "value"},
    "testcase": {"name", "assertions", "time", "classname", "status"},
    "error": {"type", "message"},
    "failure": {"type", "message"},
    "system-out": set(),
}
REQUIRED = {"testsuite": {"name", "tests"}, "testcase": {"name", "classname"}, "property": {"name", "value"}}


def junit(evidence) -> ET.Element:
    return ET.fromstring(render_junit(evidence).encode("utf-8"))


def conforms(element: ET.Element) -> None:
    assert set(element.attrib) <= ATTRIBUTES[element.tag]
    assert set(element.attrib) >= REQUIRED.get(element.tag, set())
    assert {child.tag for child in element} <= CHILDREN[element.tag]
    for child in element:
        conforms(child)


def shown(markdown: str) -> tuple[str, set[str]]:
    """The text of a summary and its kinds of elements, to a renderer that lets everything through."""
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(markdown)
    inline = [child for token in tokens for child in token.children or ()]
    text = " ".join(
        token.content for token in [*inline, *tokens] if token.type in {"text", "fence", "text_special"}
    )
    return text, {token.type for token in [*tokens, *inline]}


def test_junit_has_a_suite_a_stage_and_a_case_a_gate(evidence):
    (suite,) = junit(evidence)
    assert suite.get("name") == "lifecycle.production"
    assert [(case.get("name"), case.get("time")) for case in suite.iter("testcase")] == [
        (verdict.gate, f"{verdict.seconds:.3f}") for verdict in evidence.verdicts
    ]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("5", "1", "2")


def test_junit_conforms_to_what_the_readers_take(evidence, hostile):
    conforms(junit(evidence))
    conforms(junit(hostile.evidence))


@pytest.mark.parametrize(
    ("outcome", "found"),
    [
        (Outcome.PASSED, []),
        (Outcome.FAILED, [("failure", "drift.x")]),
        (Outcome.ERROR, [("error", "drift.x")]),
        (Outcome.INCONCLUSIVE, [("error", "inconclusive")]),
    ],
)
def test_nothing_but_passed_is_green_in_junit(of, outcome, found):
    (case,) = junit(of(Verdict("drift", outcome, "drift.x", "Why."))).iter("testcase")
    assert [(child.tag, child.get("type")) for child in case if child.tag != "system-out"] == found


def test_a_gate_run_without_gates_is_not_green_in_junit(of):
    (suite,) = junit(of())
    assert suite.get("errors") == "1"


def test_junit_says_why_and_how_much(evidence):
    drift = next(case for case in junit(evidence).iter("testcase") if case.get("name") == "drift")
    assert "1 of 2 columns has drifted" in drift.find("failure").get("message")
    assert "rows: 123,456" in drift.find("system-out").text


def test_junit_says_what_was_judged_and_which_attempt_it_was(evidence):
    properties = {p.get("name"): p.get("value") for p in junit(evidence).iter("property")}
    assert properties["snapshot"] == "d" * 64
    assert properties["attempt"] == "3"


def test_words_of_others_are_words_in_junit(hostile, harm):
    (case,) = junit(hostile.evidence).iter("testcase")
    assert case.get("name") == printable(harm)
    assert case.find("failure").get("message") == printable(harm)


def test_markdown_has_a_row_a_gate_and_says_what_to_do(evidence):
    markdown = render_markdown(evidence)
    assert [line.split(" | ")[1] for line in markdown.splitlines() if line.startswith("| ")][2:] == [
        f"**{verdict.outcome}**" for verdict in evidence.verdicts
    ]
    assert markdown.startswith("### models:/flights-delay/3 for production: FAILED\n")
    assert "attempt 3 · 2026-11-21 10:03 UTC · by ada" in markdown
    assert "\nlifecycle gate run models:/flights-delay/3 --stage production\n" in markdown


def test_words_of_others_are_words_in_markdown(hostile, harm):
    text, kinds = shown(render_markdown(hostile.evidence))
    assert not kinds & {"html_inline", "html_block", "link_open", "image", "code_inline", "em_open", "s_open"}
    assert kinds >= {"table_open", "fence"}
    assert "".join(printable(harm).split()) in "".join(text.split())


def test_a_row_of_markdown_stays_one_row(hostile):
    rows = [line for line in render_markdown(hostile.evidence).splitlines() if line.startswith("|")]
    assert len(rows) == 3


def test_json_holds_every_verdict_in_plain_types(evidence):
    assert json.loads(verdict_documents(evidence)["verdicts.json"])[0] == {
        "gate": "signature",
        "outcome": "PASSED",
        "reason": "signature.passed",
        "message": "All good.",
        "figures": {"inputs": 7, "old": True},
        "seconds": 0.123,
    }


def test_times_are_those_of_the_gate_run(evidence):
    assert next(iter(junit(replace(evidence, attempt=1)))).get("timestamp") == "2026-11-21T10:03:00"
