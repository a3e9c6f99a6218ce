"""The report as a page and as a notebook's output, and the frame around other tools' pages.

Jinja escapes all values in these templates. The pages contain no script of ours and load nothing.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, TypeVar

from markupsafe import Markup

from lifecycle.domain.charts import BarChart, EmbeddedPage, Explanation, Histogram
from lifecycle.domain.text import printable
from lifecycle.domain.verdict import Evidence, Outcome, Verdict
from lifecycle.gates.report.charts import draw_comparison, draw_distribution, drawn_bars, marks_of
from lifecycle.gates.report.summaries import circumstances_of, facts_of, figures_of, next_step, title_of

if TYPE_CHECKING:
    from jinja2 import Environment


_NOT_IN_FILE_NAMES = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class PlacedPage:
    """A page and its file name: unique, without folders."""

    gate: str
    page: EmbeddedPage
    file_name: str


def placed_pages(evidence: Evidence, explanations: Sequence[Explanation]) -> Iterator[PlacedPage]:
    """The pages of all explanations, in order, under safe and unique file names."""

    def plain(name: str) -> str:
        return _NOT_IN_FILE_NAMES.sub("-", name).strip("-")[:60] or "page"

    taken = {"report"}
    for verdict, explanation in zip(evidence.verdicts, explanations, strict=False):
        for page in explanation.charts:
            if isinstance(page, EmbeddedPage):
                own = plain(page.file_name.removesuffix(".html"))
                long = f"{plain(verdict.gate)}-{own}"
                stems = [own, long, *(f"{long}-{number}" for number in range(2, len(taken) + 3))]
                stem = next(name for name in stems if name.lower() not in taken)
                taken.add(stem.lower())
                yield PlacedPage(verdict.gate, page, f"{stem}.html")


_log = logging.getLogger(__name__)
_NAME_CHARS, _NOTE_CHARS = 80, 160
Drawn = TypeVar("Drawn", Histogram, BarChart)


@dataclass(frozen=True, slots=True)
class ChartLimits:
    """Most charts of one verdict in a page, and most bars in each."""

    distributions: int
    comparisons: int
    bars: int


@dataclass(frozen=True, slots=True)
class DrawnChart:
    """A chart and its text. ``svg`` is empty if it could not be drawn."""

    title: str
    note: str
    svg: Markup
    moved: bool = False


@dataclass(frozen=True, slots=True)
class Card:
    """One verdict on a page."""

    verdict: Verdict
    figures: tuple[tuple[str, str], ...]
    distributions: tuple[DrawnChart, ...]
    comparisons: tuple[DrawnChart, ...]
    marks: tuple[tuple[str, str], ...]
    left_out: int
    problem: str
    pages: tuple[PlacedPage, ...]

    @property
    def opened(self) -> bool:
        """Whether the card is open at first."""
        return self.verdict.outcome is not Outcome.PASSED and bool(self.distributions or self.comparisons)


def cards_of(
    evidence: Evidence, explanations: Sequence[Explanation], room: Callable[[Verdict], ChartLimits]
) -> Iterator[Card]:
    """One card per verdict, in order, with its charts."""
    by_object = {id(placed.page): placed for placed in placed_pages(evidence, explanations)}
    explained = chain(explanations, repeat(Explanation()))
    for verdict, explanation in zip(evidence.verdicts, explained, strict=False):
        distributions = [chart for chart in explanation.charts if isinstance(chart, Histogram)]
        comparisons = [chart for chart in explanation.charts if isinstance(chart, BarChart)]
        distributions.sort(key=lambda chart: not chart.moved)
        fits = room(verdict)
        bars = [bar for c in comparisons[: fits.comparisons] for bar in drawn_bars(c, fits.bars)]
        yield Card(
            verdict=verdict,
            figures=tuple(figures_of(verdict.figures)),
            distributions=tuple(_distribution(d) for d in distributions[: fits.distributions]),
            comparisons=tuple(_comparison(c, fits.bars) for c in comparisons[: fits.comparisons]),
            marks=tuple(marks_of(bars)),
            left_out=max(0, len(distributions) - fits.distributions) + max(0, len(comparisons) - fits.comparisons),
            problem=printable(explanation.note, _NOTE_CHARS),
            pages=tuple(by_object[id(page)] for page in explanation.charts if id(page) in by_object),
        )


def _distribution(shown: Histogram) -> DrawnChart:
    svg = _drawn(draw_distribution, shown)
    return DrawnChart(printable(shown.column, _NAME_CHARS), printable(shown.note, _NOTE_CHARS), svg, shown.moved)


def _comparison(shown: BarChart, most: int) -> DrawnChart:
    drawn = len(drawn_bars(shown, most))
    note = "" if drawn == len(shown.bars) else f"{drawn} of {len(shown.bars)} shown"
    return DrawnChart(
        printable(shown.title, _NAME_CHARS), note, _drawn(partial(draw_comparison, most=most), shown)
    )


def _drawn(draw: Callable[[Drawn], str], shown: Drawn) -> Markup:
    """The SVG, or empty markup where it cannot be drawn."""
    try:
        return Markup(draw(shown))  # noqa: S704  # made by an XML writer
    except Exception:
        _log.debug("a chart could not be drawn", exc_info=True)
        return Markup()


_FILE = ChartLimits(distributions=12, comparisons=4, bars=24)
_NOTEBOOK = ChartLimits(distributions=6, comparisons=2, bars=8)
# notebooks are stored in git with their outputs
_NOTEBOOK_PASSED = ChartLimits(distributions=0, comparisons=1, bars=8)


def render_html(evidence: Evidence, explanations: Sequence[Explanation] = ()) -> str:
    """A complete page without scripts or external files; follows the reader's light or dark setting."""
    return _rendered(
        "report.html", evidence=evidence, cards=list(cards_of(evidence, explanations, lambda _: _FILE))
    )


def render_notebook(evidence: Evidence, explanations: Sequence[Explanation] = ()) -> str:
    """HTML for a notebook's output cell; its styles apply to nothing else in the notebook."""

    def room(verdict: Verdict) -> ChartLimits:
        return _NOTEBOOK_PASSED if verdict.outcome == "PASSED" else _NOTEBOOK

    return _rendered("notebook.html", evidence=evidence, cards=list(cards_of(evidence, explanations, room)))


def render_progress(done: Sequence[Verdict], now: str) -> str:
    """HTML for a notebook while gates run: the verdicts so far, and the current step."""
    return _rendered("progress.html", done=done, now=now)


def render_page(page: EmbeddedPage) -> str:
    """Another tool's page inside a sandboxed frame without origin or network."""
    content = page.html.encode("utf-8", "replace").decode("utf-8").replace("\0", "")
    return _rendered("page.html", page=page, content=content)


def _rendered(template: str, **values: Any) -> str:
    return _templates().get_template(template).render(**values)


@cache
def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("lifecycle.gates.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["printable"] = printable
    environment.globals |= {
        "circumstances_of": circumstances_of,
        "facts_of": facts_of,
        "next_step": next_step,
        "title_of": title_of,
    }
    return environment
