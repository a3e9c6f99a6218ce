"""From matplotlib's figures to pictures inside a page: the only caller of its SVG backend."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Colours that the page decides on, light or dark, by the colour that stands for them while drawing.
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
    "default",  # whatever the notebook has set for its own plots
    {
        "svg.fonttype": "none",  # text stays text: readable by machines, in the page's own font
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
    """A figure of so many pixels, free of the settings of whoever calls, that knows nothing of pyplot."""
    from matplotlib import style
    from matplotlib.figure import Figure

    with style.context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph \d+")  # the browser has more fonts than matplotlib
        yield Figure(figsize=(width / _PIXELS_PER_INCH, height / _PIXELS_PER_INCH), dpi=_PIXELS_PER_INCH)


def svg_of(figure: Figure, described: str) -> str:
    """An ``<svg>`` element to stand in an HTML page: no ids, no style sheet, no document around it.

    Args:
        described: What it shows, for those who cannot see it. Any text.
    """
    file = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(file, format="svg", transparent=True, metadata=nothing)
    root = ET.fromstring(file.getvalue())  # noqa: S314  # what matplotlib has just written
    width, height = root.get("viewBox", "").split()[2:]
    shown = ET.Element("svg", {"viewBox": f"0 0 {width} {height}", "role": "img", "aria-label": described})
    shown.set("style", f"width:100%;max-width:{float(width):.0f}px;height:auto")
    ET.SubElement(shown, "title").text = described
    shapes = {f"#{path.get('id')}": path for path in root.iterfind(".//{*}defs/{*}path")}
    for element in _drawn(root):
        shown.append(_plain(element, shapes))
    return ET.tostring(shown, encoding="unicode")


def _drawn(parent: ET.Element) -> Iterator[ET.Element]:
    """What can be seen, in order, out of its groups; matplotlib's groups carry nothing but ids."""
    for child in parent:
        name = _local(child.tag)
        if name == "g":
            yield from _drawn(child)
        elif name in {"path", "text", "use"} and not _invisible(child):
            yield child


def _invisible(element: ET.Element) -> bool:
    """The background, which is transparent."""
    return element.get("style") == "fill: none"


def _plain(element: ET.Element, shapes: dict[str, ET.Element]) -> ET.Element:
    """The element without namespaces and ids, with a reference replaced by what it refers to."""
    plain = ET.Element("text" if _local(element.tag) == "text" else "path")
    x, y = element.get("x", "0"), element.get("y", "0")
    if plain.tag == "text":
        plain.attrib |= {"x": _short(x), "y": _short(y)}
        plain.text = element.text
    elif _HREF in element.attrib:
        shape = shapes[element.attrib[_HREF]]
        plain.attrib |= {"d": _short(shape.get("d", "")), "transform": _short(f"translate({x} {y})")}
    else:
        plain.set("d", _short(element.get("d", "")))
    plain.set("style", _in_the_page(element.get("style", "")))
    return plain


def _short(numbers: str) -> str:
    return _LONG_DECIMAL.sub(r"\1", " ".join(numbers.split()))


def _in_the_page(style: str) -> str:
    style = _FONT_FAMILY.sub("", style)
    for stand_in, colour in _IN_THE_PAGE.items():
        style = style.replace(stand_in, colour)
    return style


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
