"""What a page shows of each verdict, chosen and drawn."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, repeat
from typing import TypeVar

from markupsafe import Markup

from lifecycle.domain.charts import BarChart, Explanation, Histogram
from lifecycle.domain.evidence import Evidence
from lifecycle.domain.sanitize import printable
from lifecycle.domain.verdict import Figure, Outcome, Verdict
from lifecycle.gates.report.pages import PlacedPage, placed_pages

_log = logging.getLogger(__name__)
_NAME_CHARS, _NOTE_CHARS, _FIGURE_CHARS = 80, 160, 120
Drawn = TypeVar("Drawn", Histogram, BarChart)


@dataclass(frozen=True, slots=True)
class Room:
    """How many pictures of a verdict there is room for, and how many bars in each."""

    distributions: int
    comparisons: int
    bars: int


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawing and the words around it. ``svg`` is empty where it could not be drawn."""

    title: str
    note: str
    svg: Markup
    moved: bool = False


@dataclass(frozen=True, slots=True)
class Card:
    """A verdict as a page shows it."""

    verdict: Verdict
    figures: tuple[tuple[str, str], ...]
    distributions: tuple[Picture, ...]
    comparisons: tuple[Picture, ...]
    marks: tuple[tuple[str, str], ...]
    left_out: int
    problem: str
    pages: tuple[PlacedPage, ...]

    @property
    def opened(self) -> bool:
        """Whether there is something to look at first."""
        return self.verdict.outcome is not Outcome.PASSED and bool(self.distributions or self.comparisons)


def cards_of(
    evidence: Evidence, explanations: Sequence[Explanation], room: Callable[[Verdict], Room]
) -> Iterator[Card]:
    """A card for each verdict, in order, with its charts where there are any."""
    pages = tuple(placed_pages(evidence, explanations))
    by_object = {id(placed.page): placed for placed in pages}
    explained = chain(explanations, repeat(Explanation()))
    for verdict, explanation in zip(evidence.verdicts, explained, strict=False):
        distributions = sorted(_of_kind(explanation, Histogram), key=lambda d: not d.moved)
        comparisons = _of_kind(explanation, BarChart)
        fits = room(verdict)
        yield Card(
            verdict=verdict,
            figures=tuple(figures_of(verdict.figures)),
            distributions=tuple(_distribution(d) for d in distributions[: fits.distributions]),
            comparisons=tuple(_comparison(c, fits.bars) for c in comparisons[: fits.comparisons]),
            marks=tuple(_marks(comparisons[: fits.comparisons], fits.bars)),
            left_out=max(0, len(distributions) - fits.distributions) + max(0, len(comparisons) - fits.comparisons),
            problem=printable(explanation.note, _NOTE_CHARS),
            pages=tuple(by_object[id(page)] for page in explanation.charts if id(page) in by_object),
        )


def figures_of(figures: Mapping[str, Figure]) -> Iterator[tuple[str, str]]:
    """Names and values for people."""
    for name, value in figures.items():
        yield printable(str(name), _NAME_CHARS), printable(_figure(value), _FIGURE_CHARS)


def _figure(value: Figure) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.6g}" if isinstance(value, float) else value


def _of_kind(explanation: Explanation, kind: type[Drawn]) -> list[Drawn]:
    return [chart for chart in explanation.charts if isinstance(chart, kind)]


def _distribution(shown: Histogram) -> Picture:
    from lifecycle.gates.report.plots import draw_distribution

    svg = _drawn(draw_distribution, shown)
    return Picture(printable(shown.column, _NAME_CHARS), printable(shown.note, _NOTE_CHARS), svg, shown.moved)


def _comparison(shown: BarChart, most: int) -> Picture:
    from lifecycle.gates.report.plots import draw_comparison, drawn_bars

    drawn = len(drawn_bars(shown, most))
    note = "" if drawn == len(shown.bars) else f"{drawn} of {len(shown.bars)} shown"
    return Picture(printable(shown.title, _NAME_CHARS), note, _drawn(partial(draw_comparison, most=most), shown))


def _marks(shown: Sequence[BarChart], most: int) -> Iterator[tuple[str, str]]:
    from lifecycle.gates.report.plots import drawn_bars, marks_of

    return marks_of(bar for comparison in shown for bar in drawn_bars(comparison, most))


def _drawn(draw: Callable[[Drawn], str], shown: Drawn) -> Markup:
    """A picture that cannot be drawn costs neither the report nor the evidence."""
    try:
        return Markup(draw(shown))  # noqa: S704  # made by an XML writer
    except Exception:
        _log.debug("a chart could not be drawn", exc_info=True)
        return Markup()
