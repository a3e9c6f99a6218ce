"""Converts values to the arrays that a signature asks for: cells, columns, tensors, whole batches.

Strict: a lossy conversion (1.5 to ``long``, text to a number, a missing value where the
type has none) is refused; the message names column and row, never the value.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Collection, Sequence
from datetime import date
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifecycle.scoring.contract import Batch
from lifecycle.scoring.signature import Column, InvalidInput, SchemaMismatch, Signature

Array = NDArray[Any]


def coerce(column: Column, values: Array) -> Array:
    """Values (1-D) in the column's dtype, without a copy if they have it already.

    Raises:
        InvalidInput: a value does not fit the column's type.
    """
    if values.dtype == column.dtype and values.dtype.kind != "O":
        return values
    return _COERCE[column.type](column, values)


def missing(column: Column, rows: int) -> Array:
    """Replacement values of an optional column that the rows lack.

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
        # as Python objects: a float among them would turn all into floats, and change whole numbers beyond 2**53
        values = np.array([int(v) for v in values])
    limits = np.iinfo(column.dtype)
    if values.dtype.kind == "f":
        _demand_all(column, _are_whole(values, limits))
    elif values.dtype.kind in "iu":
        _demand_all(column, (values >= limits.min) & (values <= limits.max))
    else:
        raise _wrong_type(column, 0)
    return values.astype(column.dtype)


def _to_boolean(column: Column, values: Array) -> Array:
    if values.dtype.kind != "O":
        raise _wrong_type(column, 0)
    _demand(column, values, lambda v: isinstance(v, bool | np.bool_))
    return values.astype(np.bool_)


def _to_text(column: Column, values: Array) -> Array:
    if values.dtype.kind == "U":
        return values.astype(object)
    if values.dtype.kind not in "Of":
        raise _wrong_type(column, 0)
    if values.dtype.kind == "O" and set(map(type, values)) <= _TEXT:
        return values.copy()
    text = np.array([None if _is_missing(v) else v for v in values], dtype=object)
    _demand(column, text, lambda v: v is None or isinstance(v, str))
    return text


def _to_datetime(column: Column, values: Array) -> Array:
    if values.dtype.kind == "M":
        return _nanoseconds(column, values, values.astype(column.dtype))
    if values.dtype.kind not in "OU":
        raise _wrong_type(column, 0)
    # numpy would read a number as nanoseconds since 1970
    _demand(column, values, lambda v: _is_missing(v) or isinstance(v, str | date | np.datetime64))
    times = [None if _is_missing(v) else v for v in values]
    try:
        return _nanoseconds(column, np.array(times, "datetime64[us]"), np.array(times, column.dtype))
    except (ValueError, TypeError, OverflowError):
        raise InvalidInput(f"column {column.name!r} holds a value that is no ISO 8601 time") from None


def _nanoseconds(column: Column, given: Array, converted: Array) -> Array:
    """Nanoseconds cover 1677 to 2262; numpy turns times beyond into other times."""
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
    """A float at the limits of int64 may have been another number before parsing."""
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


def flattened(data: list[Any]) -> tuple[list[Any], set[type]]:
    """The values in row-major order, without lists around them, and their types. A list beside a value stays."""
    kinds = set(map(type, data))
    while kinds == {list}:
        data = list(chain.from_iterable(data))
        kinds = set(map(type, data))
    return data, kinds


_FLOAT, _INT, _TEXT = {float, int}, {int}, {str, type(None)}
_FEW = 32
_MAYBE_FLOAT = {float, int, type(None)}


def from_cells(column: Column, cells: Sequence[Any]) -> NDArray[Any]:
    """Values of a column from its cells. Raises InvalidInput if a cell does not fit the column's type."""
    array = numbers(column, cells)
    if array is not None:
        return array
    kinds = set(map(type, cells))
    if not kinds:
        return np.empty(0, column.dtype)
    if kinds == {bool}:  # numpy would read a boolean among numbers as a number
        return coerce(column, np.array(cells))
    values = np.fromiter(cells, object, len(cells))
    return values if column.type == "string" and kinds <= _TEXT else coerce(column, values)


def numbers(column: Column, cells: Sequence[Any]) -> NDArray[Any] | None:
    """Numbers of exactly the column's type, converted at once; None if each has to be inspected."""
    kinds = set(map(type, cells))
    try:
        if column.type in ("double", "float"):
            if kinds <= _FLOAT:
                return _narrowed(_doubles(cells), column)
            if kinds <= _MAYBE_FLOAT:
                return _narrowed(_doubles([math.nan if cell is None else cell for cell in cells]), column)
        elif column.type == "long" and kinds <= _INT:
            return np.array(cells, np.int64)
    except (OverflowError, FloatingPointError):  # more than 308 digits, more than 64 bits, or beyond float32
        pass
    return None


def _doubles(cells: Sequence[float]) -> NDArray[np.float64]:
    """For many cells twice as fast as ``np.array``, which inspects each before converting the first."""
    if len(cells) < _FEW:
        return np.array(cells, np.float64)
    return np.frombuffer(bytearray(struct.pack(f"{len(cells)}d", *cells)))


def _narrowed(values: NDArray[np.float64], column: Column) -> NDArray[Any]:
    if values.dtype == column.dtype:
        return values
    with np.errstate(over="raise"):
        return values.astype(column.dtype)


def assemble(
    signature: Signature, present: Collection[str], values_of: Callable[[str], NDArray[Any]], rows: int
) -> Batch:
    """The signature's columns in its order and types; other columns are ignored.

    Args:
        present: Names of the given columns.
        values_of: Returns a column's values, 1-D.

    Raises:
        InvalidInput: a required column is missing, or a value does not fit.
    """
    demand_present(signature, present)
    return {
        c.name: coerce(c, values_of(c.name)) if c.name in present else missing(c, rows) for c in signature.inputs
    }


def demand_present(signature: Signature, present: Collection[str]) -> None:
    """Raise SchemaMismatch unless every required column is present."""
    lacking = [c.name for c in signature.inputs if c.required and c.name not in present]
    if lacking:
        raise SchemaMismatch(f"the rows lack column(s) {', '.join(map(repr, lacking))}")


def tensor(column: Column, values: Any) -> NDArray[Any]:
    """Nested values as the tensor that the signature asks for; the first axis is the rows.

    Raises:
        InvalidInput: ragged, not numeric, or another shape.
    """
    try:
        array = np.asarray(values)
    except ValueError:
        raise SchemaMismatch("the input is not a rectangular array") from None
    kind, wanted = array.dtype.kind, column.dtype.kind
    # numpy reads a boolean among numbers as a number
    mixed = kind in "iuf" and isinstance(values, list) and bool in flattened(values)[1]
    if mixed or kind not in "biuf" or (kind == "b") != (wanted == "b"):
        raise InvalidInput(f"the input wants {column.type} numbers")
    shape = column.shape or ()
    if array.ndim != len(shape) or any(
        want not in (-1, got) for want, got in zip(shape, array.shape, strict=True)
    ):
        raise SchemaMismatch(f"the input wants shape {shape} and has {array.shape}")
    if array.dtype == column.dtype:
        return array
    if wanted in "iu" and not _are_whole(array, np.iinfo(column.dtype)).all():
        raise InvalidInput(f"the input wants {column.type} numbers, and one is not whole or too large")
    try:
        with np.errstate(over="raise"):
            return array.astype(column.dtype)
    except FloatingPointError:
        raise InvalidInput(f"the input wants {column.type} numbers, and one is beyond them") from None


def _are_whole(values: Array, limits: np.iinfo[Any]) -> Array:
    """Which floats are whole numbers of that type.

    The limits of int64 are beyond 2**53, where a float may have been another number: hence "<" and ">".
    """
    fits: Array = (
        (values == np.floor(values)) & (values > float(limits.min) - 1) & (values < float(limits.max) + 1)
    )
    return fits
