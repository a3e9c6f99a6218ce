"""A batch from named columns, whatever they came from."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifecycle.scoring.coerce import coerce, missing
from lifecycle.scoring.contract import Batch
from lifecycle.scoring.invalid import InvalidInput, SchemaMismatch
from lifecycle.scoring.nested import flattened
from lifecycle.scoring.signature import Column, Signature


def assemble(
    signature: Signature, present: Collection[str], values_of: Callable[[str], NDArray[Any]], rows: int
) -> Batch:
    """The signature's columns, in its order and types; columns that it does not name are left out.

    Args:
        present: Names of the columns that there are.
        values_of: A column's values, 1-D.

    Raises:
        InvalidInput: a required column is missing, or a value does not fit.
    """
    demand_present(signature, present)
    return {
        c.name: coerce(c, values_of(c.name)) if c.name in present else missing(c, rows) for c in signature.inputs
    }


def demand_present(signature: Signature, present: Collection[str]) -> None:
    """Raises SchemaMismatch unless every column that is required is there."""
    lacking = [c.name for c in signature.inputs if c.required and c.name not in present]
    if lacking:
        raise SchemaMismatch(f"the rows lack column(s) {', '.join(map(repr, lacking))}")


def tensor(column: Column, values: Any) -> NDArray[Any]:
    """Nested values as the tensor that the signature asks for, first axis the rows.

    Raises:
        InvalidInput: ragged, not numeric, or another shape.
    """
    try:
        array = np.asarray(values)
    except ValueError:
        raise SchemaMismatch("the input is not a rectangular array") from None
    kind, wanted = array.dtype.kind, column.dtype.kind
    # numpy takes a boolean among numbers for a number.
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
    if wanted in "iu":
        return _whole(column, array)
    try:
        with np.errstate(over="raise"):
            return array.astype(column.dtype)
    except FloatingPointError:
        raise InvalidInput(f"the input wants {column.type} numbers, and one is beyond them") from None


def _whole(column: Column, array: NDArray[Any]) -> NDArray[Any]:
    limits = np.iinfo(column.dtype)
    # The limits of int64 are beyond 2**53, where a float may have been another number: hence "<" and ">".
    fits = (array == np.floor(array)) & (array > float(limits.min) - 1) & (array < float(limits.max) + 1)
    if not fits.all():
        raise InvalidInput(f"the input wants {column.type} numbers, and one is not whole or too large")
    return array.astype(column.dtype)
