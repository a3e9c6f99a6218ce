"""A batch from named columns, whatever they came from."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifecycle.scoring.coerce import coerce, missing
from lifecycle.scoring.contract import Batch
from lifecycle.scoring.signature import Column, InvalidInput, Signature


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
    lacking = [c.name for c in signature.inputs if c.required and c.name not in present]
    if lacking:
        raise InvalidInput(f"the rows lack column(s) {', '.join(map(repr, lacking))}")
    return {
        c.name: coerce(c, values_of(c.name)) if c.name in present else missing(c, rows) for c in signature.inputs
    }


def tensor(column: Column, values: Any) -> NDArray[Any]:
    """Nested values as the tensor that the signature asks for, first axis the rows.

    Raises:
        InvalidInput: ragged, not numeric, or another shape.
    """
    try:
        array = np.asarray(values)
    except ValueError:
        raise InvalidInput("the input is not a rectangular array") from None
    if array.dtype.kind not in "biuf" or array.dtype.kind == "b" != column.dtype.kind:
        raise InvalidInput(f"the input wants {column.type} numbers")
    shape = column.shape or ()
    if array.ndim != len(shape) or any(
        want not in (-1, got) for want, got in zip(shape, array.shape, strict=True)
    ):
        raise InvalidInput(f"the input wants shape {shape} and has {array.shape}")
    return array.astype(column.dtype, copy=False)
