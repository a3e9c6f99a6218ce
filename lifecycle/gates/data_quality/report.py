"""Charts of the data quality gate: shares of rows as bars, and Great Expectations' report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

from lifecycle.domain.charts import Bar, BarChart, Chart, EmbeddedPage
from lifecycle.gates.contract import percent
from lifecycle.gates.data_quality.suite import ExpectationResult, ExpectationStatus

_NULLS = "expect_column_values_to_not_be_null"
_MOST_BARS = 30


def charts_of(results: Sequence[ExpectationResult]) -> Iterator[Chart]:
    """Shares of nulls, shares of unexpected values, and then Great Expectations' page."""
    for title, chosen in (
        ("Rows that are null, in %", [r for r in results if r.expectation.get("type") == _NULLS]),
        ("Values that are unexpected, in %", [r for r in results if r.expectation.get("type") != _NULLS]),
    ):
        if (chart := _bar_chart(title, chosen)) is not None:
            yield chart
    yield page_of(results)


def _bar_chart(title: str, results: Sequence[ExpectationResult]) -> BarChart | None:
    """The worst first: unmet ones, then by the used part of the allowed share."""
    shown = [(result, share) for result in results if (share := _share(result)) is not None]
    bars = [(share / max(_allowed(result), 1e-9), _bar(result)) for result, share in shown]
    bars.sort(key=lambda pair: (not pair[1].bad, -pair[0]))
    return BarChart(title, tuple(bar for _, bar in bars[:_MOST_BARS])) if bars else None


def _bar(result: ExpectationResult) -> Bar:
    what = result.expectation["type"].removeprefix("expect_column_values_").replace("_", " ")
    name = result.subject if result.expectation["type"] == _NULLS else f"{result.subject}: {what}"
    note = f"{percent(_allowed(result))} allowed"
    return Bar(
        name, round(100 * (_share(result) or 0.0), 3), note=note, bad=result.finding is ExpectationStatus.UNMET
    )


def _share(result: ExpectationResult) -> float | None:
    share = result.details.get("unexpected_percent")
    return None if share is None else float(share) / 100


def _allowed(result: ExpectationResult) -> float:
    mostly = result.expectation["kwargs"].get("mostly")
    return 0.0 if mostly is None else 1 - float(mostly)


_SIGNS = " _-.,:;+/%()"
_OF_ONE_ROW = ("expect_column_min_to_be_between", "expect_column_max_to_be_between")
_MOST_TEXT, _MOST_ITEMS = 200, 20
_TAGS = frozenset(("div", "span", "p", "table", "thead", "tbody", "tr", "th", "td", "ul", "ol", "li", "br"))
_TAGS |= {"h1", "h2", "h3", "h4", "h5", "h6", "strong", "b", "i", "small"}
_LEFT_OUT = {"head", "title", "style", "script", "nav", "footer", "button", "label", "form", "svg"}


def page_of(results: Sequence[ExpectationResult]) -> EmbeddedPage:
    """Great Expectations' report as a page: counts, shares and the suite, without row values."""
    import nh3

    from lifecycle.gates.data_quality.gx import render_report

    shown = [_shown(result) for result in results if result.finding is not ExpectationStatus.UNREADABLE]
    kept = nh3.clean(
        render_report(shown),
        tags=_TAGS,
        clean_content_tags=_LEFT_OUT,
        attributes={"*": {"class"}},
        url_schemes=set(),
        link_rel=None,
    )
    body = "\n".join(filter(None, map(str.strip, kept.splitlines())))
    style = files("lifecycle.gates.data_quality").joinpath("page.css").read_text(encoding="utf-8")
    return EmbeddedPage(
        "great_expectations.html", "Great Expectations' report", _FRAME.format(style=style, body=body)
    )


_FRAME = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Great Expectations' report</title>
<style>{style}</style></head>
<body>{body}</body></html>
"""


def _shown(result: ExpectationResult) -> dict[str, Any]:
    kind = result.expectation["type"]
    broke = result.finding in (ExpectationStatus.BROKE, ExpectationStatus.UNJUDGED)
    return {
        "type": kind,
        "kwargs": _harmless(result.expectation["kwargs"]),
        "success": result.finding in (ExpectationStatus.MET, ExpectationStatus.VACUOUS),
        "result": _without_values(kind, result.details),
        "problem": str(result.finding) if broke else None,
    }


def _without_values(kind: str, details: Mapping[str, Any]) -> dict[str, Any]:
    """Counts, shares and figures without row values; names of columns for expectations on columns."""
    if kind.startswith("expect_table_columns"):
        return {key: _harmless(value) for key, value in details.items()}
    if kind in _OF_ONE_ROW:
        return {}
    return {key: _plain(value) for key, value in details.items() if _is_figure(value)}


def _is_figure(value: object) -> bool:
    """A number, or lists of numbers by name such as quantiles. A bare list would hold row values."""
    if isinstance(value, Mapping):
        return all(isinstance(each, list) and all(map(_is_figure, each)) for each in value.values())
    return value is None or isinstance(value, float | int | bool)


def _plain(figure: Any) -> Any:
    """Python's own numbers, which GX's templates need."""
    if isinstance(figure, Mapping):
        return {key: [_plain(each) for each in value] for key, value in figure.items()}
    return figure.item() if hasattr(figure, "item") else figure


def _harmless(value: Any) -> Any:
    """The same structure with every character in its texts replaced that HTML or a template could interpret."""
    if isinstance(value, str):
        return "".join(c if c.isalnum() or c in _SIGNS else "_" for c in value[:_MOST_TEXT])
    if isinstance(value, Mapping):
        return {_harmless(str(key)): _harmless(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set):
        items = [_harmless(each) for each in list(value)[:_MOST_ITEMS]]
        return items if len(value) <= _MOST_ITEMS else [*items, f"and {len(value) - _MOST_ITEMS} more"]
    return value
