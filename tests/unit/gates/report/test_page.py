"""The page that people look at: all of it is there, and nothing of it runs or loads anything."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from lifecycle.domain.charts import Bar, BarChart
from lifecycle.domain.text import printable
from lifecycle.domain.verdict import Outcome, Verdict
from lifecycle.gates.report import GateReport, render_html
from lifecycle.gates.report.html import render_progress

LARGEST_BYTES = 2_000_000
TAGS = {"html", "head", "meta", "title", "style", "body", "main", "header", "section", "footer", "div", "span"}
TAGS |= {"h1", "h2", "p", "a", "bdi", "code", "strong", "table", "tr", "td", "th", "dl", "dt", "dd", "ul", "li"}
TAGS |= {"details", "summary", "figure", "figcaption", "svg", "path", "text"}


class Parsed(HTMLParser):
    """What a browser would make of it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def values(self, tag, name):
        return [value for t, n, value in self.attributes if (t, n) == (tag, name)]


@pytest.fixture(scope="session", params=["page", "notebook"])
def rendered(request):
    """The two forms that a browser shows."""
    if request.param == "page":
        return lambda report: render_html(report.evidence, report.explanations)
    return GateReport._repr_html_


@pytest.fixture(scope="session")
def hostile_page(rendered, hostile):
    """Either form, of words that were written to do harm."""
    return rendered(hostile)


def test_it_says_what_was_judged_by_whom_when_and_which_attempt_it_was(rendered, report):
    text = Parsed(rendered(report)).text
    for words in ("flights-delay", "production", "FAILED", "attempt 3", "2026-11-21 10:03 UTC", "by ada"):
        assert words in text


def test_it_says_of_each_gate_what_came_of_it_and_why(rendered, report):
    text = Parsed(rendered(report)).text
    for verdict in report.verdicts:
        for words in (verdict.gate, verdict.outcome, verdict.message, verdict.reason):
            assert words in text
    assert "rows 123,456" in text
    assert "old yes" in text


def test_it_says_what_the_evidence_is_bound_to(evidence):
    parsed = Parsed(render_html(evidence))
    assert {"d" * 64, "b" * 64, "a" * 64, "c" * 64} <= set(parsed.values("code", "title"))


@pytest.mark.parametrize(
    ("outcome", "command"),
    [
        (Outcome.PASSED, "lifecycle promote models:/flights-delay/3 --stage production"),
        (Outcome.FAILED, "lifecycle gate run models:/flights-delay/3 --stage production"),
    ],
)
def test_it_says_what_to_do_next(rendered, of, outcome, command):
    assert command in Parsed(rendered(GateReport(of(Verdict("drift", outcome, "drift.x", ""))))).text


def test_a_command_to_copy_holds_a_name_with_blanks_and_quotes_together(of):
    evidence = replace(of(), model="my 'own' model; rm -rf .")
    assert """'models:/my '"'"'own'"'"' model; rm -rf ./3'""" in Parsed(render_html(evidence)).text


def test_without_any_gate_it_says_that_nothing_was_checked(of):
    assert "nothing was checked" in Parsed(render_html(of())).text


def test_columns_that_moved_come_first_and_the_picture_shows_both_sides(rendered, report):
    page = rendered(report)
    assert page.index('aria-label="Shares of the rows by dep_delay') < page.index("Shares of the rows by origin")
    assert "var(--lc-reference)" in page.partition("Shares of the rows by dep_delay")[2]
    assert "var(--lc-current)" in page.partition("Shares of the rows by dep_delay")[2]


def test_it_shows_the_metric_against_threshold_champion_and_slices(rendered, report):
    parsed = Parsed(rendered(report))
    for words in ("limit 0.7", "champion", "carrier = OO", "0.6100", "fails the gate"):
        assert words in parsed.text


def test_it_shows_a_dozen_columns_and_says_how_many_more_there_are(showing, moved):
    many = [replace(moved, column=f"column {n}", moved=n % 2 == 1) for n in range(30)]
    text = Parsed(showing(*many).pages()["report.html"]).text
    assert text.count("Shares of the rows by") == 12
    assert "column 23" in text  # the twelfth that moved
    assert "18 more pictures are not shown" in text


def test_a_picture_that_cannot_be_drawn_costs_nothing_else(rendered, showing):
    beyond = BarChart("loss", (Bar("a", 1.7e308), Bar("b", -1.7e308)), None)
    text = Parsed(rendered(showing(beyond))).text
    assert "could not be drawn" in text
    assert "Too much." in text


def test_it_says_why_charts_are_missing(rendered, showing):
    text = Parsed(rendered(showing(note="The charts took longer than 60 s and were left out."))).text
    assert "longer than 60 s" in text
    assert "FAILED" in text


def test_the_other_tools_pages_are_linked_by_the_names_they_are_kept_under(report):
    pages = report.pages()
    links = [link for link in Parsed(pages["report.html"]).values("a", "href") if not link.startswith("#")]
    assert links == ["evidently.html", "great_expectations.html"]
    assert set(links) < set(pages)


def test_words_of_others_stay_words(hostile_page, harm):
    parsed = Parsed(hostile_page)
    assert parsed.tags <= TAGS
    assert not [name for _, name, _ in parsed.attributes if name.startswith("on")]
    assert printable(harm) in parsed.text


def test_nothing_is_loaded_from_elsewhere(hostile_page):
    parsed = Parsed(hostile_page)
    assert not {"src", "srcset", "action", "xlink:href", "data"} & {name for _, name, _ in parsed.attributes}
    assert all(re.fullmatch(r"#gate-\d+|[\w-]+\.html", link) for link in parsed.values("a", "href"))
    assert not re.search(r"url\(|@import", hostile_page)


def test_the_page_forbids_itself_everything_but_its_styles(evidence):
    (policy,) = [value for value in Parsed(render_html(evidence)).values("meta", "content") if "-src" in value]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def test_it_can_be_written_whatever_the_words_hold(hostile_page):
    assert hostile_page.encode("utf-8")
    assert "\0" not in hostile_page


def test_the_styles_of_a_notebooks_output_touch_nothing_else_in_the_notebook(report, evidence):
    for page in (report._repr_html_(), render_progress(evidence.verdicts, "drift")):
        styles = "".join(re.findall(r"<style>(.*?)</style>", page, re.DOTALL))
        rules = re.findall(r"([^{}]+)\{", re.sub(r"/\*.*?\*/", "", styles, flags=re.DOTALL))
        selectors = [part.strip() for rule in rules for part in rule.split(",")]
        others = [s for s in selectors if not re.search(r"\.lc-(report|notebook|progress)\b", s)]
        assert len(selectors) > 20
        assert set(others) <= {"@property --lc-seconds", "@keyframes lc-seconds", "to"}


def test_a_notebook_of_many_gate_runs_stays_small_enough_for_git(report):
    assert len(report._repr_html_()) < 30_000


def test_the_page_stays_small_with_all_the_pictures_there_can_be(showing, moved, slices):
    many = BarChart("by carrier", tuple(replace(slices.bars[0], label=f"carrier {n}") for n in range(50)), 0.7)
    page = showing(*(moved,) * 20, *(many,) * 5).pages()["report.html"]
    assert len(page.encode()) < LARGEST_BYTES / 10  # gates


def test_what_runs_now_is_shown_with_what_is_done(evidence):
    text = Parsed(render_progress(evidence.verdicts[:2], "Running gate <b>performance</b> …")).text
    assert "PASSED signature 0.1 s FAILED drift 3.2 s" in text
    assert "Running gate <b>performance</b> …" in text
