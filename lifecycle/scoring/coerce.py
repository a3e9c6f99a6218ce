"""Values of any spelling to the one array type that the signature asks for.

Strict: a conversion that would lose something (1.5 into a ``long``, text into a number, a missing value
where the type has none) is refused with the column and the row, never with the value.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifecycle.scoring.signature import Column, InvalidInput

Array = NDArray[Any]


def coerce(column: Column, values: Array) -> Array:
    """Return ``values`` (1-D) as the column's dtype, without a copy where they have it already.

    Raises:
        InvalidInput: a value does not fit the column's type.
    """
    if values.dtype == column.dtype and values.dtype.kind != "O":
        return values
    return _COERCE[column.type](column, values)


def missing(column: Column, rows: int) -> Array:
    """The stand-in for an optional column that the rows lack.

    Raises:
        InvalidInput: the type has no missing value.
    """
    if column.type not in ("double", "float", "string", "datetime"):
        raise InvalidInput(f"column {column.name!r} ({column.type}) is missing and has no missing value")
    empty: Array = np.full(rows, None, dtype=object)
    return coerce(column, empty)


def _to_float(column: Column, values: Array) -> Array:
    if values.dtype.kind == "O":
        _demand(column, values, lambda v: _is_missing(v) or (_is_number(v) and not isinstance(v, bool)))
    try:
        with np.errstate(over="raise"):
            if values.dtype.kind in "fiu":
                return values.astype(column.dtype)
            if values.dtype.kind == "O":
                return np.array([np.nan if v is None else float(v) for v in values]).astype(column.dtype)
    except (OverflowError, FloatingPointError):  # an integer of more than 308 digits, or too large for float32
        raise InvalidInput(f"column {column.name!r} holds a number beyond {column.type}") from None
    raise _wrong_type(column, 0) if len(values) else InvalidInput("no rows")


def _to_integer(column: Column, values: Array) -> Array:
    if values.dtype.kind == "O":
        _demand(column, values, lambda v: _is_number(v) and not isinstance(v, bool) and _is_whole(v))
        # As Python's own: a float among them would make floats of all, and whole numbers beyond 2**53 others.
        values = np.array([int(v) for v in values])
    limits = np.iinfo(column.dtype)
    if values.dtype.kind == "f":
        # The limits of int64 are beyond 2**53, where a float may have been another number: hence "<" and ">".
        fits = (values == np.floor(values)) & (values > float(limits.min) - 1) & (values < float(limits.max) + 1)
        _demand_all(column, fits)
    elif values.dtype.kind in "iu":
        _demand_all(column, (values >= limits.min) & (values <= limits.max))
    else:
        raise _wrong_type(column, 0)
    return values.astype(column.dtype)


def _to_boolean(column: Column, values: Array) -> Array:
    if values.dtype.kind == "O":
        _demand(column, values, lambda v: isinstance(v, bool | np.bool_))
        return values.astype(np.bool_)
    raise _wrong_type(column, 0)


def _to_text(column: Column, values: Array) -> Array:
    if values.dtype.kind == "U":
        return values.astype(object)
    if values.dtype.kind not in "Of":
        raise _wrong_type(column, 0)
    text = np.array([None if _is_missing(v) else v for v in values], dtype=object)
    _demand(column, text, lambda v: v is None or isinstance(v, str))
    return text


def _to_datetime(column: Column, values: Array) -> Array:
    if values.dtype.kind == "M":
        return _nanoseconds(column, values, values.astype(column.dtype))
    if values.dtype.kind not in "OU":
        raise _wrong_type(column, 0)
    # numpy would take a number for so many nanoseconds since 1970.
    _demand(column, values, lambda v: _is_missing(v) or isinstance(v, str | date | np.datetime64))
    times = [None if _is_missing(v) else v for v in values]
    try:
        return _nanoseconds(column, np.array(times, "datetime64[us]"), np.array(times, column.dtype))
    except (ValueError, TypeError, OverflowError):
        raise InvalidInput(f"column {column.name!r} holds a value that is no ISO 8601 time") from None


def _nanoseconds(column: Column, given: Array, converted: Array) -> Array:
    """Nanoseconds reach from 1677 to 2262; numpy turns what lies beyond into some other time."""
    _demand_all(column, np.isnat(given) | (converted.astype(given.dtype) == given))
    return converted


_COERCE: dict[str, Callable[[Column, Array], Array]] = {
    "double": _to_float,
    "float": _to_float,
    "long": _to_integer,
    "integer": _to_integer,
    "boolean": _to_boolean,
    "string": _to_text,
    "datetime": _to_datetime,
}


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float | np.floating) and bool(np.isnan(value)))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number)


def _is_whole(value: Any) -> bool:
    """A float at the limits of int64 may have been another number before it was parsed."""
    return bool(value == value // 1) and (not isinstance(value, float) or abs(value) < 2.0**63)


def _demand(column: Column, values: Array, fits: Callable[[Any], bool]) -> None:
    for row, value in enumerate(values):
        if not fits(value):
            raise _wrong_type(column, row)


def _demand_all(column: Column, fits: Array) -> None:
    if not fits.all():
        raise _wrong_type(column, int(np.argmin(fits)))


def _wrong_type(column: Column, row: int) -> InvalidInput:
    return InvalidInput(f"column {column.name!r} wants {column.type}; row {row} does not fit")
