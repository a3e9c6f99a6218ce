"""Expectations in plain words, and the differences between two suites."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lifecycle.domain.text import printable
from lifecycle.gates.contract import listing, percent
from lifecycle.gates.data_quality.profiler import NUMBER_TYPES
from lifecycle.gates.data_quality.suite import HOW_TO_RUN, kwargs_of, subject_of

_NAMES = {
    "expect_table_row_count_to_be_between": "rows",
    "expect_table_row_count_to_equal": "rows",
    "expect_column_to_exist": "is there",
    "expect_column_values_to_be_in_type_list": "type",
    "expect_column_values_to_be_of_type": "type",
    "expect_column_values_to_not_be_null": "not null",
    "expect_column_values_to_be_null": "null",
    "expect_column_values_to_be_between": "values",
    "expect_column_values_to_be_in_set": "categories",
    "expect_column_values_to_not_be_in_set": "no such values",
    "expect_column_values_to_be_unique": "no value twice",
    "expect_column_value_lengths_to_be_between": "length",
    "expect_column_unique_value_count_to_be_between": "different values",
    "expect_column_stdev_to_be_between": "standard deviation",
}
_TYPE_NAMES = {
    tuple(sorted(NUMBER_TYPES)): "numbers",
    ("str",): "text",
    ("bool",): "true/false",
    ("datetime64[ns]",): "datetimes",
    ("Timestamp",): "datetimes with a time zone",
}
_UNORDERED = ("value_set", "type_list", "column_set")
_SPOKEN = {
    *("column", "column_A", "column_B", "column_list", "mostly", "strict_min", "strict_max"),
    *("min_value", "max_value", "type_list", "type_", "value_set"),
}


@dataclass(frozen=True, slots=True)
class Demand:
    """One expectation in words, for display.

    Attributes:
        type: Great Expectations' name for it.
        subject: The column or columns, or ``table``.
        name: The demanded property, such as ``median``.
        words: The demanded value, such as ``-3 to 10``.
        kwargs: The expectation's own arguments.
    """

    type: str
    subject: str
    name: str
    words: str
    kwargs: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SuiteChange:
    """A difference between two suites.

    Attributes:
        kind: ``added``, ``removed`` or ``changed``.
        before, after: The demand on each side, or None.
        words: The difference in words.
    """

    kind: str
    before: Demand | None
    after: Demand | None
    words: str


def demand_of(expectation: object) -> Demand:
    """Describe any expectation in words."""
    kwargs = {key: value for key, value in kwargs_of(expectation).items() if key not in HOW_TO_RUN}
    kind = str(expectation.get("type")) if isinstance(expectation, Mapping) else "no expectation"
    name = _NAMES.get(kind) or kind.removeprefix("expect_").removeprefix("column_").removesuffix("_to_be_between")
    return Demand(kind, subject_of(expectation), name.replace("_", " "), _words(kwargs), kwargs)


def changes(before: Sequence[object], after: Sequence[object]) -> list[SuiteChange]:
    """Differences between two suites, in the order of the first, then of the second.

    Expectations of one type on one column are the same demand, the first with the first and so on.
    """
    old, new = _by_place(before), _by_place(after)
    found = []
    for place in [*old, *(place for place in new if place not in old)]:
        one, other = old.get(place), new.get(place)
        if one is not None and other is not None:
            found += [] if _comparable(one) == _comparable(other) else [_changed(one, other)]
        elif one is not None:
            found.append(SuiteChange("removed", one, None, one.words))
        elif other is not None:
            found.append(SuiteChange("added", None, other, other.words))
    return found


def _by_place(expectations: Sequence[object]) -> dict[tuple[str, str, int], Demand]:
    seen: Counter[tuple[str, str]] = Counter()
    placed = {}
    for demand in map(demand_of, expectations):
        placed[demand.subject, demand.type, seen[demand.subject, demand.type]] = demand
        seen[demand.subject, demand.type] += 1
    return placed


def _comparable(demand: Demand) -> str:
    """Canonical text of a demand: sets are sorted and null arguments left out."""
    kwargs = {key: value for key, value in demand.kwargs.items() if value is not None}
    for key in _UNORDERED:
        if isinstance(kwargs.get(key), list):
            kwargs[key] = sorted(map(json.dumps, kwargs[key]))
    return json.dumps(kwargs, sort_keys=True)


def _changed(before: Demand, after: Demand) -> SuiteChange:
    old, new = before.kwargs.get("value_set"), after.kwargs.get("value_set")
    words = f"{before.words or 'anything'} → {after.words or 'anything'}"
    if isinstance(old, list) and isinstance(new, list):
        one, other = (_mostly(demand.kwargs) or "in every row" for demand in (before, after))
        words = "; ".join(filter(None, (_of_sets(old, new), "" if one == other else f"{one} → {other}")))
    return SuiteChange("changed", before, after, words)


def _words(kwargs: Mapping[str, Any]) -> str:
    parts = [
        _range(kwargs),
        _types(kwargs),
        _set(kwargs.get("value_set")),
        *(f"{key}: {_shown(value)}" for key, value in kwargs.items() if key not in _SPOKEN),
        _mostly(kwargs),
    ]
    return ", ".join(part for part in parts if part)


def _range(kwargs: Mapping[str, Any]) -> str:
    low, high = (_shown(kwargs[key]) if kwargs.get(key) is not None else "" for key in ("min_value", "max_value"))
    above = "more than" if kwargs.get("strict_min") else "at least"
    below = "less than" if kwargs.get("strict_max") else "at most"
    if low and high and not (kwargs.get("strict_min") or kwargs.get("strict_max")):
        return low if low == high else f"{low} to {high}"
    return " and ".join(part for part in (low and f"{above} {low}", high and f"{below} {high}") if part)


def _types(kwargs: Mapping[str, Any]) -> str:
    names = kwargs.get("type_list", [kwargs["type_"]] if "type_" in kwargs else [])
    if not isinstance(names, list):
        return _shown(names)
    return _TYPE_NAMES.get(tuple(sorted(map(str, names)))) or listing([str(name) for name in names])


def _set(values: object) -> str:
    if not isinstance(values, list):
        return ""
    return f"{len(values):,} ({listing([_shown(value) for value in values])})"


def _of_sets(before: list[Any], after: list[Any]) -> str:
    new = [_shown(value) for value in after if value not in before]
    gone = [_shown(value) for value in before if value not in after]
    parts = [f"{len(each):,} {word} ({listing(each)})" for word, each in (("new", new), ("gone", gone)) if each]
    return ", ".join(parts)


def _mostly(kwargs: Mapping[str, Any]) -> str:
    mostly = kwargs.get("mostly")
    if not isinstance(mostly, float | int) or mostly == 1:
        return ""
    return f"in at least {percent(float(mostly))} of the rows"


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.6g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return printable(value if isinstance(value, str) else json.dumps(value, default=str), limit=60)
