"""Which files and which rows fit the model's signature, by the same rules as every other way in.

A file whose columns cannot fit is refused as a whole, before the first row. After that only single rows are
rejected: those with a value that :mod:`lifecycle.scoring.values` refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lifecycle.errors import DeploymentFailed
from lifecycle.scoring.contract import Batch
from lifecycle.scoring.csv_rows import values_of
from lifecycle.scoring.signature import Column, InvalidInput, Signature
from lifecycle.scoring.values import assemble, coerce, missing

MISSING, UNFIT = "missing_value", "unfit_value"
"""Reason codes of rejected rows: no value where the type needs one, and a value that is not of the type."""

_TYPES = pa.types


@dataclass(frozen=True, slots=True)
class Misfits:
    """Rows that do not fit.

    Attributes:
        mask: Which rows.
        reasons, columns: Of those rows: the reason code, and the first column that it applies to.
    """

    mask: NDArray[np.bool_]
    reasons: Sequence[str]
    columns: Sequence[str | None]


def demand_fitting_columns(path: Path, schema: pa.Schema, signature: Signature, keep: Iterable[str]) -> None:
    """Check a file's columns.

    Raises:
        DeploymentFailed: a column is lacking or has a type whose values cannot fit; names file and column.
    """
    lacking = [name for name in keep if name not in schema.names]
    if lacking:
        raise DeploymentFailed(f"input {path} has no column {lacking[0]!r}, which -C keep asks for")
    for column in signature.inputs:
        _demand_fitting_column(path, schema, column)


def _demand_fitting_column(path: Path, schema: pa.Schema, column: Column) -> None:
    if column.name not in schema.names:
        if column.required:
            raise DeploymentFailed(f"input {path} has no column {column.name!r}, which the model requires")
        try:
            missing(column, 0)
        except InvalidInput as exc:
            raise DeploymentFailed(f"input {path}: {exc}") from exc
    elif path.suffix != ".csv" and not _may_fit(column, schema.field(column.name).type):
        raise DeploymentFailed(
            f"column {column.name!r} of input {path} is {schema.field(column.name).type}, and the model wants "
            f"{column.type}; convert the column"
        )


def _may_fit(column: Column, given: pa.DataType) -> bool:
    if _TYPES.is_dictionary(given):
        given = given.value_type
    if column.type in ("double", "float", "long", "integer"):
        fits = _TYPES.is_integer(given) or _TYPES.is_floating(given)
    elif column.type == "boolean":
        fits = _TYPES.is_boolean(given)
    else:
        text = _TYPES.is_string(given) or _TYPES.is_large_string(given) or _TYPES.is_string_view(given)
        fits = text or (column.type == "datetime" and (_TYPES.is_timestamp(given) or _TYPES.is_date(given)))
    return bool(fits or _TYPES.is_null(given))


def batch_of(rows: pa.RecordBatch, signature: Signature) -> Batch:
    """The rows as the scorer takes them.

    Raises:
        InvalidInput: some value does not fit.
    """
    types = {column.name: column for column in signature.inputs}
    return assemble(
        signature, rows.schema.names, lambda name: _numpy_of(rows.column(name), types[name]), rows.num_rows
    )


def find_misfits(rows: pa.RecordBatch, columns: Iterable[Column]) -> Misfits:
    """Look at each column on its own for rows that do not fit; a row is blamed on the first of them."""
    mask = np.zeros(rows.num_rows, dtype=bool)
    reasons, names = np.empty(rows.num_rows, dtype=object), np.empty(rows.num_rows, dtype=object)
    for column in columns:
        unblamed = np.flatnonzero(~mask)
        values = rows.column(column.name).take(pa.array(unblamed))
        refused = refused_rows(len(values), _coercion_of(values, column))
        empty = values.is_null().to_numpy(zero_copy_only=False)
        reasons[unblamed[refused]] = UNFIT
        reasons[unblamed[refused & empty]] = MISSING
        names[unblamed[refused]] = column.name
        mask[unblamed[refused]] = True
    return Misfits(mask, list(reasons[mask]), list(names[mask]))


def refused_rows(rows: int, take: Callable[[slice], object]) -> NDArray[np.bool_]:
    """Which rows make ``take`` raise InvalidInput, found by halving: cheap where they are few."""
    mask = np.zeros(rows, dtype=bool)
    unsure = [slice(0, rows)]
    while unsure:
        part = unsure.pop()
        try:
            take(part)
        except InvalidInput:
            if part.stop - part.start == 1:
                mask[part] = True
                continue
            middle = (part.start + part.stop) // 2
            unsure += [slice(part.start, middle), slice(middle, part.stop)]
    return mask


def _coercion_of(values: pa.Array, column: Column) -> Callable[[slice], object]:
    return lambda part: coerce(column, _numpy_of(values[part], column))


def _numpy_of(values: pa.Array, column: Column) -> NDArray[Any]:
    if _TYPES.is_binary(values.type):
        return values_of(values, column)
    array: NDArray[Any] = values.to_numpy(zero_copy_only=False)
    return array
