"""``.npy`` files as the rows of a model's only tensor."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lifecycle.errors import DeploymentFailed
from lifecycle.scoring.signature import Signature
from lifecycle.scoring.tensor_rows import may_hold

TENSOR, FILE, ROW = "input", "file", "row"
"""The columns that rows of an array have: the tensor; the file's path and the row's number in it, for ``keep``."""


@dataclass(frozen=True, slots=True)
class ArrayFile:
    """An array in a file.

    Attributes:
        shape: Number of rows, and the shape of each.
        start: Where the values begin, in bytes.
        by_column: Whether they are stored with the first axis varying fastest.
    """

    path: Path
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int
    by_column: bool

    @classmethod
    def open(cls, path: Path, signature: Signature) -> ArrayFile:
        """Read the header of an array of rows, or of one row without the axis of rows.

        Raises:
            OSError: the file cannot be read.
            DeploymentFailed: it is no array of numbers, or none that the model takes.
        """
        if not signature.is_tensor or len(signature.inputs) > 1:
            takes = f"{len(signature.inputs)} tensors" if signature.is_tensor else "columns"
            raise DeploymentFailed(f"input {path} holds one tensor, and the model takes {takes}")
        (tensor,) = signature.inputs
        try:
            array = np.lib.format.open_memmap(path, mode="r")
        except ValueError as exc:
            raise DeploymentFailed(
                f"cannot read input {path} as an array of numbers ({type(exc).__name__}); check or remove the file"
            ) from exc
        shapes = [array.shape, (1, *array.shape)]
        for shape in shapes if array.ndim >= len(tensor.shape or ()) else shapes[::-1]:
            found = cls(path, array.dtype, shape, array.offset, not array.flags.c_contiguous)
            if array.dtype.kind in "biuf" and shape and 0 not in shape[1:] and may_hold(tensor, found.kind):
                return found
        raise DeploymentFailed(
            f"input {path} is {array.dtype} of shape {array.shape}, and the model takes {tensor.type} of shape "
            f"{tensor.shape}, or one row of that; convert it"
        )

    @property
    def kind(self) -> pa.DataType:
        """The Arrow type of the rows."""
        kind = pa.from_numpy_dtype(self.dtype.newbyteorder("="))
        for length in reversed(self._row_shape):
            kind = pa.list_(kind, length)
        return kind

    @property
    def schema(self) -> pa.Schema:
        """The columns that the rows have."""
        return pa.schema([(TENSOR, self.kind), (FILE, pa.string()), (ROW, pa.int64())])

    def read(self, first_row: int, rows: int, columns: Collection[str]) -> pa.RecordBatch:
        """These rows, or as many of them as there are. Raises OSError.

        Args:
            first_row: The first row of a file is 1.
        """
        values = self._values(first_row - 1, min(rows, self.shape[0] - first_row + 1))
        lists = pa.array(values.astype(self.dtype.newbyteorder("="), copy=False).reshape(-1))
        for length in reversed(self._row_shape):
            lists = pa.FixedSizeListArray.from_arrays(lists, length)
        numbers = pa.array(np.arange(first_row, first_row + len(lists)))
        made = {TENSOR: lists, FILE: pa.array([str(self.path)] * len(lists), pa.string()), ROW: numbers}
        return pa.RecordBatch.from_pydict({name: made[name] for name in self.schema.names if name in columns})

    def _values(self, start: int, rows: int) -> NDArray[Any]:
        if self.by_column:  # then a row's values lie apart
            whole: NDArray[Any] = np.load(self.path, allow_pickle=False)
            return np.ascontiguousarray(whole.reshape(self.shape)[start : start + rows])
        width = math.prod(self.shape[1:])
        with self.path.open("rb") as file:
            file.seek(self.start + start * width * self.dtype.itemsize)
            values = np.fromfile(file, self.dtype, rows * width)
        return values[: len(values) - len(values) % width]

    @property
    def _row_shape(self) -> tuple[int, ...]:
        return self.shape[1:] or (1,)
