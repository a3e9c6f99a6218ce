"""What a report shows of the results: shares of rows beside each other, and Great Expectations' own page."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from lifecycle.domain.charts import Bar, BarChart, Chart
from lifecycle.gates.data_quality.result import Finding, Result
from lifecycle.gates.verdicts import percent

_log = logging.getLogger(__name__)

_NULLS = "expect_column_values_to_not_be_null"
_MOST_BARS = 30


def exhibits_of(results: Sequence[Result]) -> tuple[Chart, ...]:
    """Explain, and never decide: what cannot be drawn is left out."""
    exhibits: list[Chart] = [
        comparison
        for title, chosen in (
            ("Rows that are null, in %", [r for r in results if r.expectation.get("type") == _NULLS]),
            ("Values that are unexpected, in %", [r for r in results if r.expectation.get("type") != _NULLS]),
        )
        if (comparison := _comparison(title, chosen)) is not None
    ]
    try:
        from lifecycle.gates.data_quality.page import page_of

        return (*exhibits, page_of(results))
    except Exception:  # another tool's renderer
        _log.debug("no page of Great Expectations", exc_info=True)
        return tuple(exhibits)


def _comparison(title: str, results: Sequence[Result]) -> BarChart | None:
    """The worst first: unmet ones, then by how much of what may be is used up."""
    bars = [(_used_up(result), _bar(result)) for result in results if _share(result) is not None]
    bars.sort(key=lambda pair: (not pair[1].bad, -pair[0]))
    return BarChart(title, tuple(bar for _, bar in bars[:_MOST_BARS])) if bars else None


def _bar(result: Result) -> Bar:
    what = result.expectation["type"].removeprefix("expect_column_values_").replace("_", " ")
    name = result.subject if result.expectation["type"] == _NULLS else f"{result.subject}: {what}"
    note = f"{percent(_allowed(result))} may be"
    return Bar(name, round(100 * (_share(result) or 0.0), 3), note=note, bad=result.finding is Finding.UNMET)


def _share(result: Result) -> float | None:
    share = result.details.get("unexpected_percent")
    return None if share is None else float(share) / 100


def _allowed(result: Result) -> float:
    mostly = result.expectation["kwargs"].get("mostly")
    return 0.0 if mostly is None else 1 - float(mostly)


def _used_up(result: Result) -> float:
    return (_share(result) or 0.0) / max(_allowed(result), 1e-9)
