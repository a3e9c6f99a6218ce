"""Charts as SVG: histograms, and values against a limit. The only caller of matplotlib."""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from unicodedata import east_asian_width
from xml.etree import ElementTree as ET

from lifecycle.domain.charts import Bar, BarChart, Histogram
from lifecycle.domain.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# colours that the page sets, light or dark, by their placeholder in the drawing
TEXT, MUTED, GRID, GROUND, REFERENCE, CURRENT, BAD = (f"#0{n}0{n}0{n}" for n in range(1, 8))
_IN_THE_PAGE = {
    TEXT: "currentColor",
    MUTED: "var(--lc-muted)",
    GRID: "var(--lc-grid)",
    GROUND: "var(--lc-card)",
    REFERENCE: "var(--lc-reference)",
    CURRENT: "var(--lc-current)",
    BAD: "var(--lc-bad)",
}
_STYLE: Sequence[str | dict[str, Any]] = [
    "default",  # independent of the notebook's own plot settings
    {
        "svg.fonttype": "none",  # text stays text, in the page's own font
        "svg.hashsalt": "lifecycle",
        "text.parse_math": False,  # $x$ is a name
        "font.size": 11.0,
        "axes.unicode_minus": True,
    },
]
_LONG_DECIMAL = re.compile(r"(\.\d\d)\d+")
_FONT_FAMILY = re.compile(r"font-family: [^;]*;?")
_PIXELS_PER_INCH = 72
_HREF = "{http://www.w3.org/1999/xlink}href"


@contextmanager
def drawing(width: float, height: float) -> Iterator[Figure]:
    """A figure of ``width`` by ``height`` pixels, with default settings and without pyplot."""
    from matplotlib import style
    from matplotlib.figure import Figure

    with style.context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph \d+")  # the browser has more fonts than matplotlib
        yield Figure(figsize=(width / _PIXELS_PER_INCH, height / _PIXELS_PER_INCH), dpi=_PIXELS_PER_INCH)


def svg_of(figure: Figure, described: str) -> str:
    """A figure as an ``<svg>`` element for HTML, without ids, style sheet and document.

    Args:
        described: Text alternative for screen readers.
    """
    file = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(file, format="svg", transparent=True, metadata=nothing)
    root = ET.fromstring(file.getvalue())  # noqa: S314  # what matplotlib has just written
    width, height = root.get("viewBox", "").split()[2:]
    shown = ET.Element("svg", {"viewBox": f"0 0 {width} {height}", "role": "img", "aria-label": described})
    shown.set("style", f"width:100%;max-width:{float(width):.0f}px;height:auto")
    ET.SubElement(shown, "title").text = described
    shapes: dict[str, ET.Element] = {}
    for definitions in root.findall(".//{*}defs"):
        shapes |= {f"#{path.get('id')}": path for path in definitions.findall("{*}path")}
        definitions.clear()
    for element in root.iter():
        drawn = element.tag.endswith(("}path", "}text", "}use"))
        if drawn and element.get("style") != "fill: none":  # the transparent background
            shown.append(_plain(element, shapes))
    return ET.tostring(shown, encoding="unicode")


def _plain(element: ET.Element, shapes: dict[str, ET.Element]) -> ET.Element:
    """The element without namespaces and ids, with references resolved and in the page's font and colours."""
    style = _FONT_FAMILY.sub("", element.get("style", ""))
    for stand_in, colour in _IN_THE_PAGE.items():
        style = style.replace(stand_in, colour)
    x, y = element.get("x", "0"), element.get("y", "0")
    if element.tag.endswith("}text"):
        text = ET.Element("text", {"x": _short(x), "y": _short(y), "style": style})
        text.text = element.text
        return text
    if _HREF not in element.attrib:
        return ET.Element("path", {"d": _short(element.get("d", "")), "style": style})
    shape = _short(shapes[element.attrib[_HREF]].get("d", ""))
    return ET.Element("path", {"d": shape, "transform": _short(f"translate({x} {y})"), "style": style})


def _short(numbers: str) -> str:
    return _LONG_DECIMAL.sub(r"\1", " ".join(numbers.split()))


MAX_CATEGORIES, MAX_BINS, MAX_BARS = 14, 80, 24
_LABEL_CHARS, _SMALL_LABEL_CHARS = 40, 20
_SMALL_WIDTH, _WIDTH = 340, 860  # pixels; the small ones stand beside each other
_CHAR, _WIDE_CHAR = 6.6, 11.5  # pixels of a character at most, on average; those of East Asia are square
_SIZE = 11.0  # of text, in pixels


class _Share(NamedTuple):
    label: str
    reference: float
    current: float


class _Margins(NamedTuple):
    """Pixels around the axes."""

    left: float
    right: float
    top: float
    bottom: float


def draw_distribution(shown: Histogram) -> str:
    """Distribution of one column as ``<svg>``: a histogram, or a pair of bars per category."""
    described = f"Shares of the rows by {printable(shown.column, _LABEL_CHARS)}, reference and current"
    shares = [
        _Share(label, _share(then), _share(now))
        for label, then, now in zip(shown.labels, shown.reference, shown.current, strict=False)
    ]
    if shown.ordered:
        return _histogram(shares[:MAX_BINS], described)
    return _pairs_of_bars(_first_and_rest(shares), described)


def draw_comparison(shown: BarChart, most: int = MAX_BARS) -> str:
    """Values as marks on one scale, with confidence intervals and the limit, as an ``<svg>``."""
    bars = drawn_bars(shown, most)
    limit = shown.limit if shown.limit is not None and math.isfinite(shown.limit) else None
    labels = [printable(bar.label, _LABEL_CHARS) for bar in bars]
    above = 24 if limit is not None else 6
    with drawing(_WIDTH, 24 * len(bars) + above + 32) as figure:
        notes = [printable(bar.note, _LABEL_CHARS) for bar in bars]
        axes = _axes(figure, _Margins(_width_of(labels), _width_of(notes) + 80, above, 28))
        axes.set(xlim=_scale(bars, limit), ylim=(max(len(bars), 1) - 0.5, -0.5))
        axes.grid(axis="x", color=GRID)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.6g}")
        axes.locator_params(axis="x", nbins=6)
        axes.set_yticks(range(len(bars)), labels, color=TEXT)
        if limit is not None:
            axes.axvline(limit, color=TEXT, linewidth=1.5, linestyle=(0, (4, 3)))
            axes.text(limit, -0.62, f"limit {limit:.6g}", ha="center", va="bottom", color=TEXT, size=_SIZE)
        for row, bar in enumerate(bars):
            _mark(axes, row, bar)
        return svg_of(figure, printable(shown.title, 2 * _LABEL_CHARS))


def drawn_bars(shown: BarChart, most: int = MAX_BARS) -> list[Bar]:
    """At most ``most`` bars in their own order; bars that fail the gate are kept first."""
    finite = [bar for bar in shown.bars if math.isfinite(bar.value)]
    by_need = sorted(range(len(finite)), key=lambda index: (not finite[index].bad, index))
    return [finite[index] for index in sorted(by_need[:most])]


def marks_of(bars: Iterable[Bar]) -> Iterator[tuple[str, str]]:
    """The marks in use and their meaning, for a legend."""
    bars = list(bars)
    if any(bar.low is not None for bar in bars):
        yield "━", "confidence interval"
    if any(map(_is_champion, bars)):
        yield "◇", "champion"
    if any(bar.bad for bar in bars):
        yield "✖", "fails the gate"


def _histogram(shares: Sequence[_Share], described: str) -> str:
    edges = range(len(shares) + 1)
    with drawing(_SMALL_WIDTH, 170) as figure:
        axes = _axes(figure, _Margins(40, 8, 10, 26))
        axes.set(xlim=(0, max(len(shares), 1)), ylim=(0, _top(shares)))
        _percentages(axes, "y")
        axes.stairs([s.reference for s in shares], edges, fill=True, color=REFERENCE)
        axes.stairs([s.current for s in shares], edges, color=CURRENT, linewidth=2, clip_on=False)
        axes.set_xticks([])
        middle, last = len(shares) // 2, len(shares) - 1
        named = {0: (0.0, "left", 14), last: (last + 1.0, "right", 14), middle: (middle + 0.5, "center", 18)}
        for index, (x, side, chars) in named.items() if shares else ():
            text = printable(shares[index].label, chars)
            axes.text(x, -0.06 * _top(shares), text, ha=side, va="top", color=MUTED, size=_SIZE)
        return svg_of(figure, described)


def _pairs_of_bars(shares: Sequence[_Share], described: str) -> str:
    labels = [printable(s.label, _SMALL_LABEL_CHARS) for s in shares]
    rows = range(len(shares))
    with drawing(_SMALL_WIDTH, 24 * len(shares) + 34) as figure:
        axes = _axes(figure, _Margins(_width_of(labels), 16, 4, 26))
        axes.set(xlim=(0, _top(shares)), ylim=(max(len(shares), 1) - 0.5, -0.5))
        _percentages(axes, "x")
        axes.barh([row - 0.19 for row in rows], [s.reference for s in shares], 0.34, color=REFERENCE)
        axes.barh([row + 0.19 for row in rows], [s.current for s in shares], 0.34, color=CURRENT)
        axes.set_yticks(rows, labels, color=TEXT)
        return svg_of(figure, described)


def _first_and_rest(shares: list[_Share]) -> list[_Share]:
    """The first categories, and all others combined."""
    if len(shares) <= MAX_CATEGORIES:
        return shares
    first, rest = shares[: MAX_CATEGORIES - 1], shares[MAX_CATEGORIES - 1 :]
    together = _Share(f"{len(rest)} more", sum(s.reference for s in rest), sum(s.current for s in rest))
    return [*first, together]


def _axes(figure: Figure, around: _Margins) -> Axes:
    """Axes without a frame, with text in the page's colour."""
    width, height = figure.get_size_inches() * figure.dpi
    inside = (width - around.left - around.right) / width, (height - around.top - around.bottom) / height
    axes = figure.add_axes((around.left / width, around.bottom / height, *inside), frameon=False)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelcolor=MUTED, labelsize=_SIZE, pad=6)
    return axes


def _percentages(axes: Axes, which: Literal["x", "y"]) -> None:
    from matplotlib.ticker import MaxNLocator

    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(MaxNLocator(3))
    axis.set_major_formatter(lambda share, _: f"{100 * share:.3g} %")
    axes.grid(axis=which, color=GRID)


def _mark(axes: Axes, row: int, bar: Bar) -> None:
    """A dot with its interval; a cross where it fails the gate, a hollow diamond for the champion."""
    champion = _is_champion(bar)
    colour = BAD if bar.bad else MUTED if champion else CURRENT
    if bar.low is not None and bar.high is not None and math.isfinite(bar.high - bar.low):
        axes.plot([bar.low, bar.high], [row, row], color=colour, linewidth=2, solid_capstyle="round")
    face = GROUND if champion and not bar.bad else colour
    marker, size = ("X", 9) if bar.bad else ("D", 7) if champion else ("o", 8)
    axes.plot([bar.value], [row], marker, markersize=size, markerfacecolor=face, markeredgecolor=colour)
    _beside(axes, row, 12, f"{bar.value:#.4g}".rstrip("."), TEXT)  # four digits, for columns of equal length
    _beside(axes, row, 80, printable(bar.note, _LABEL_CHARS), MUTED)


def _beside(axes: Axes, row: int, pixels: int, text: str, colour: str) -> None:
    """Text at a distance to the right of the axes."""
    edge = axes.get_yaxis_transform()  # x in shares of the axes, y in rows
    axes.annotate(text, (1, row), (pixels, 0), edge, "offset points", va="center", color=colour, size=_SIZE)


def _is_champion(bar: Bar) -> bool:
    return bar.label.lower().startswith("champion")


def _scale(bars: Sequence[Bar], limit: float | None) -> tuple[float, float]:
    """Lowest and highest value to draw, with a margin."""
    ends = [end for bar in bars for end in (bar.value, bar.low, bar.high)] + [limit]
    known = [end for end in ends if end is not None and math.isfinite(end)]
    low, high = min(known, default=0.0), max(known, default=1.0)
    space = 0.06 * (high - low) or 0.05 * abs(high) or 0.1
    return low - (space if low else space / 4), high + space


def _top(shares: Sequence[_Share]) -> float:
    return 1.08 * max([0.01, *(s.reference for s in shares), *(s.current for s in shares)])


def _share(value: float) -> float:
    return min(max(value, 0.0), 1.0) if math.isfinite(value) else 0.0


def _width_of(labels: Sequence[str]) -> float:
    widths = (sum(_WIDE_CHAR if east_asian_width(c) in "WF" else _CHAR for c in label) for label in labels)
    return max([25.0, *widths]) + 14
