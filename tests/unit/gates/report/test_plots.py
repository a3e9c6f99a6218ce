"""Pictures: what they show, whoever named it, and whatever the caller has set for plots of their own."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from xml.etree import ElementTree as ET

import matplotlib as mpl
import pytest

from lifecycle.domain.charts import Bar, BarChart, Histogram
from lifecycle.domain.text import printable
from lifecycle.gates.report.charts import MAX_BARS, MAX_CATEGORIES, draw_comparison, draw_distribution


def texts(svg: str) -> list[str]:
    return [element.text for element in ET.fromstring(svg).iter("text")]


def of_colour(svg: str, name: str) -> list[ET.Element]:
    return [path for path in ET.fromstring(svg).iter("path") if f"var(--lc-{name})" in path.get("style")]


def bars(*values: float, **fields: object) -> BarChart:
    return BarChart("roc_auc", tuple(Bar(f"b{n}", value, **fields) for n, value in enumerate(values)))


def test_bins_are_a_histogram_and_categories_are_pairs_of_bars(moved):
    histogram, pairs = draw_distribution(moved), draw_distribution(replace(moved, ordered=False))
    assert len(of_colour(histogram, "reference")) == len(of_colour(histogram, "current")) == 1
    assert len(of_colour(pairs, "reference")) == len(of_colour(pairs, "current")) == len(moved.labels)


def test_a_histogram_names_its_ends_and_its_middle(moved):
    assert {"0 to 5", "25 to 30", "45 to 50"} <= set(texts(draw_distribution(moved)))


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_a_column_with_hardly_any_values_is_drawn(count, ordered):
    labels = tuple("abc"[:count])
    svg = draw_distribution(Histogram("c", "", labels, (1.0,) * count, (0.0,) * count, ordered=ordered))
    assert set(labels) - {"b"} <= set(texts(svg))


def test_many_categories_end_with_how_many_more_there_are():
    count = 40
    svg = draw_distribution(Histogram("c", "", tuple(map(str, range(count))), (1 / 40,) * 40, (1 / 40,) * 40))
    assert f"{count - MAX_CATEGORIES + 1} more" in texts(svg)
    assert len(of_colour(svg, "current")) == MAX_CATEGORIES


@pytest.mark.parametrize("share", [math.nan, math.inf, -1.0, 7.0])
def test_shares_that_are_none_do_no_harm(share):
    assert draw_distribution(Histogram("c", "", ("a", "b"), (share, 0.5), (0.5, share)))


def test_a_comparison_shows_values_intervals_limit_and_what_is_bad(slices):
    svg = draw_comparison(slices)
    assert {"limit 0.7", "0.8100", "0.6100", "27,111 rows", "carrier = OO"} <= set(texts(svg))
    assert len(of_colour(svg, "bad")) == 2  # mark and interval


def test_of_more_bars_than_fit_those_that_the_gate_objects_to_are_shown():
    comparison = bars(*[0.5] * 100)
    bad = replace(comparison.bars[99], bad=True)
    shown = texts(draw_comparison(replace(comparison, bars=(*comparison.bars[:99], bad))))
    assert "b99" in shown
    assert len([text for text in shown if text.startswith("b")]) == MAX_BARS


@pytest.mark.parametrize("values", [(), (math.nan,), (0.0,), (5.0, 5.0), (1e-12, 2e-12), (-1e12, 1e12)])
def test_any_scale_can_be_drawn(values):
    assert ET.fromstring(draw_comparison(replace(bars(*values), limit=math.inf))) is not None


def test_names_are_shown_as_they_are(harm):
    distribution = Histogram(harm, harm, (harm, "b"), (0.5, 0.5), (0.4, 0.6))
    for svg in (draw_distribution(distribution), draw_comparison(BarChart(harm, (Bar(harm, 1.0, note=harm),)))):
        start = printable(harm)[:16].rstrip("…")
        assert any(text.startswith(start) for text in texts(svg))


def test_formulas_are_names_like_any_other():
    names = ("$x$", "a_b^c", r"$\frac{a}{b}", "100%")
    assert set(names) <= set(texts(draw_distribution(Histogram("c", "", names, (0.25,) * 4, (0.25,) * 4))))


def test_a_picture_says_what_it_shows_to_those_who_cannot_see_it(moved, slices):
    for svg, name in ((draw_distribution(moved), "dep_delay"), (draw_comparison(slices), "roc_auc by carrier")):
        root = ET.fromstring(svg)
        assert root.get("role") == "img"
        assert name in root.get("aria-label")
        assert name in root.find("title").text


def test_pictures_can_stand_beside_each_other_in_one_page(moved, slices):
    for svg in (draw_distribution(moved), draw_comparison(slices)):
        assert {element.tag for element in ET.fromstring(svg).iter()} == {"svg", "title", "path", "text"}
        assert " id=" not in svg


def test_the_same_chart_gives_the_same_picture_whatever_the_caller_has_set(moved, slices):
    before = draw_distribution(moved), draw_comparison(slices)
    theirs = {"font.size": 30, "axes.grid": True, "svg.fonttype": "path", "text.usetex": True, "savefig.dpi": 300}
    with mpl.rc_context(theirs):
        assert (draw_distribution(moved), draw_comparison(slices)) == before
        assert {key: mpl.rcParams[key] for key in theirs} == theirs


def test_drawing_leaves_pyplot_alone():
    probe = (
        "import sys\n"
        "from lifecycle.domain.charts import Bar, BarChart\n"
        "from lifecycle.gates.report.charts import draw_comparison\n"
        "draw_comparison(BarChart('a', (Bar('b', 1.0),)))\n"
        "sys.exit('matplotlib.pyplot' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0
