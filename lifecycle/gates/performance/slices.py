"""Rows by the values of one column: the parts on which a model may be worse than it is on the whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lifecycle.gates.performance.answers import Unmeasurable

MAX_SLICES = 1000
"""A column with more different values, such as an identifier, does not divide the rows into anything."""

_MAX_NUMBERS = 20  # a number with more different values is divided into quarters
_NAME_LENGTH = 40


@dataclass(frozen=True, slots=True)
class Slice:
    """Some of the rows.

    Attributes:
        column: What they were divided by.
        name: Such as ``carrier = AA``; one line. Only for slices of many rows: a value that few rows have may be
            somebody's own.
        rows: Their numbers, ascending.
    """

    column: str
    name: str
    rows: NDArray[np.int64]


def slices_of(values: pd.Series[Any]) -> list[Slice]:
    """The slices of one column: a value each, or a quarter of the rows each for numbers and times of many values.

    Rows without a value are a slice of their own. The quarters are not named by their bounds, which are the values
    of single rows.

    Raises:
        Unmeasurable: no values, too many different ones, or such as cannot be compared.
    """
    column = str(values.name)
    if values.isna().all():
        raise Unmeasurable("slice_column_empty", f"column {column!r} has nothing but nulls")
    try:
        codes, different = pd.factorize(values)
    except TypeError as exc:  # lists and the like
        raise Unmeasurable("slice_column_unusable", f"the values of column {column!r} cannot be compared") from exc
    if len(different) > _MAX_NUMBERS and _is_scale(values):
        codes, names = _quarters(values, codes)
    elif len(different) > MAX_SLICES:
        message = f"column {column!r} has {len(different):,} different values; at most {MAX_SLICES:,} make sense"
        raise Unmeasurable("too_many_slices", message)
    else:
        names = [f" = {_shown(value)}" for value in different]
    return [
        Slice(column, f"{column}{names[code] if code >= 0 else ' is missing'}", rows)
        for code in range(-1, len(names))
        if len(rows := np.flatnonzero(codes == code))
    ]


def _is_scale(values: pd.Series[Any]) -> bool:
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    return numeric or pd.api.types.is_datetime64_any_dtype(values)


def _quarters(values: pd.Series[Any], codes: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[str]]:
    """Codes and names of quarters of as many rows each; fewer where one value fills more than a quarter."""
    present = codes >= 0
    order = values[present].rank(method="dense").to_numpy().astype(np.int64)
    bounds = np.unique(np.quantile(order, (0.25, 0.5, 0.75), method="higher"))
    _, parts = np.unique(np.searchsorted(bounds, order), return_inverse=True)
    found = np.full(len(codes), -1, dtype=np.int64)
    found[present] = parts
    count = int(parts.max()) + 1
    ends = {0: " (lowest)", count - 1: " (highest)"} if count > 1 else {}
    return found, [f", part {i + 1} of {count}{ends.get(i, '')}" for i in range(count)]


def _shown(value: object) -> str:
    """A value on one line."""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= _NAME_LENGTH else f"{text[: _NAME_LENGTH - 1]}…"
