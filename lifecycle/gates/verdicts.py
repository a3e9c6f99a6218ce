"""Constructors of the four outcomes, and the wording that gates share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lifecycle.data.dataset import Dataset
from lifecycle.domain.verdict import Figure, Outcome, Verdict

_NO_FIGURES: Mapping[str, Figure] = {}


def passed(gate: str, message: str, figures: Mapping[str, Figure] = _NO_FIGURES) -> Verdict:
    """A PASSED verdict."""
    return Verdict(gate, Outcome.PASSED, f"{gate}.passed", message, figures)


def failed(gate: str, what: str, message: str, figures: Mapping[str, Figure] = _NO_FIGURES) -> Verdict:
    """A FAILED verdict."""
    return Verdict(gate, Outcome.FAILED, f"{gate}.{what}", message, figures)


def inconclusive(gate: str, what: str, message: str, figures: Mapping[str, Figure] = _NO_FIGURES) -> Verdict:
    """An INCONCLUSIVE verdict."""
    return Verdict(gate, Outcome.INCONCLUSIVE, f"{gate}.{what}", message, figures)


def broke(gate: str, what: str, message: str, figures: Mapping[str, Figure] = _NO_FIGURES) -> Verdict:
    """An ERROR verdict."""
    return Verdict(gate, Outcome.ERROR, f"{gate}.{what}", message, figures)


def no_current_data(gate: str) -> Verdict:
    """INCONCLUSIVE: no current rows were given."""
    return inconclusive(
        gate,
        "no_current_data",
        "There is no current data to judge. Give some with --current DATA, or with the gate's option "
        "'current' in lifecycle.yaml.",
    )


def too_few_rows(gate: str, rows: Dataset, min_rows: int) -> Verdict | None:
    """INCONCLUSIVE when ``rows`` are fewer than ``min_rows`` (or none at all), else None."""
    count = rows.count
    if count >= max(min_rows, 1):
        return None
    return inconclusive(
        gate,
        "too_few_rows",
        f"{rows.source} has {count:,} rows; {min_rows:,} are needed to judge. Give more rows, or lower min_rows.",
        {"rows": count, "min_rows": min_rows},
    )


def listing(items: Sequence[str], limit: int = 5, separator: str = ", ") -> str:
    """The first items, and how many more there are.

    >>> listing(["a", "b", "c"], limit=2)
    'a, b and 1 more'
    """
    shown = separator.join(items[:limit])
    return shown if len(items) <= limit else f"{shown} and {len(items) - limit} more"


def percent(share: float) -> str:
    """A share, 0 to 1, in percent.

    >>> percent(0.1234)
    '12.3 %'
    """
    return f"{100 * share:.1f} %"
