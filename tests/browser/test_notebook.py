"""``lifecycle.check`` in a notebook: what a data scientist gets to see."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.notebooks import executed

pytestmark = pytest.mark.slow

LARGEST_BYTES = 100_000
PAGE = """<!doctype html><meta charset="utf-8"><title>notebook</title>
<body data-jp-theme-light="{light}" style="margin:16px;background:{ground};font:13px sans-serif">
<p id="before" style="color:#888">In [2]: lifecycle.check("models:/flights-delay/1", …)</p>
<table id="theirs"><tr><td>a table of the notebook's own</td></tr></table>{output}</body>"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The notebook in which somebody checks a version against flights of August that were shifted."""
    return executed(tmp_path_factory, "01_first_promotion.ipynb")


@pytest.fixture(scope="module")
def outputs(ran):
    """What the notebook shows of that check."""
    return ran.shown


@pytest.fixture(scope="module")
def output(outputs):
    (shown,) = [o.data["text/html"] for o in outputs if o.output_type == "execute_result"]
    return shown


def brightness(locator, of: str) -> float:
    """0 for black to 255 for white."""
    colour = locator.evaluate("(element, of) => getComputedStyle(element)[of]", of)
    return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3


@pytest.fixture
def notebook(output, tmp_path):
    """The address of the output in a page, as a notebook puts it."""

    def place(*, dark=False):
        page = tmp_path / "notebook.html"
        light, ground = ("false", "#111111") if dark else ("true", "#ffffff")
        page.write_text(PAGE.format(light=light, ground=ground, output=output), encoding="utf-8")
        return page.as_uri()

    return place


def test_it_shows_each_gate_and_the_columns_that_moved(visit, notebook):
    seen = visit(notebook(), width=1000)
    for gate in ("signature", "safety", "data_quality", "drift", "performance", "parity", "latency"):
        expect(seen.page.get_by_text(gate, exact=True).first).to_be_visible()
    expect(seen.page.locator('svg[aria-label*="by distance"], svg[aria-label*="by hour"]').first).to_be_visible()
    seen.picture("notebook-light")
    assert seen.left == seen.console == []


def test_what_passed_opens_when_asked_to(visit, notebook):
    page = visit(notebook()).page
    picture = page.locator('svg[aria-label^="roc_auc"]').first
    gate = page.locator("details.lc-gate", has=picture)
    if not gate.evaluate("element => element.open"):
        gate.locator("summary").first.click()
    expect(picture).to_be_visible()


def test_it_is_dark_in_a_dark_notebook(visit, notebook):
    seen = visit(notebook(dark=True), width=1000)
    seen.picture("notebook-dark")
    assert brightness(seen.page.locator(".lc-notebook"), "backgroundColor") < 64


def test_it_leaves_the_rest_of_the_notebook_as_it_is(visit, notebook, tmp_path):
    def looks(url):
        script = (
            "e => { const s = getComputedStyle(e); return [s.font, s.color, s.padding, s.border, s.textAlign] }"
        )
        page = visit(url).page
        return [page.locator(one).evaluate(script) for one in ("body", "#before", "#theirs", "#theirs td")]

    (tmp_path / "without.html").write_text(
        PAGE.format(light="true", ground="#ffffff", output=""), encoding="utf-8"
    )
    assert looks(notebook()) == looks((tmp_path / "without.html").as_uri())


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_saved_report_is_light_or_dark_as_its_reader_likes_it(visit, ran, dark):
    seen = visit(ran.report.as_uri(), dark=dark)
    seen.picture(f"flights-report-{'dark' if dark else 'light'}")
    assert seen.left == seen.console == []
    assert (brightness(seen.page.locator("body"), "backgroundColor") < 128) == dark
    assert (brightness(seen.page.locator("body"), "color") < 128) != dark
    for text in seen.page.locator("svg text").all()[:50]:
        assert (brightness(text, "fill") < 140) != dark


def test_the_saved_report_prints_on_white(visit, ran):
    page = visit(ran.report.as_uri(), dark=True).page
    page.emulate_media(media="print")
    assert brightness(page.locator("h1"), "color") < 128
    assert page.locator(".lc-figures td").first.is_visible()


def test_the_output_is_small_enough_for_git_and_names_no_folder(output):
    assert len(output) < LARGEST_BYTES
    assert "/tmp/" not in output  # noqa: S108


def test_what_was_shown_while_the_gates_ran_has_gone(outputs):
    shown = [o for o in outputs if o.output_type == "display_data"]
    assert [o.data["text/html"] for o in shown] == [""]
