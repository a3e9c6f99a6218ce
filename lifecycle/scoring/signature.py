"""A model's signature, read from its MLmodel file without importing MLflow.

The serving process needs the signature and must not pay 1.5 s and 150 MB for ``import mlflow``.
Format: https://mlflow.org/docs/latest/ml/model/signatures
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import DTypeLike

from lifecycle.errors import LifecycleError

_NUMPY: dict[str, DTypeLike] = {
    "boolean": np.bool_,
    "integer": np.int32,
    "long": np.int64,
    "float": np.float32,
    "double": np.float64,
    "string": np.object_,
    "datetime": np.dtype("datetime64[ns]"),
}


class InvalidInput(LifecycleError):
    """Rows that do not fit the signature. Names the column and what is wrong, never the value."""

    code = "INVALID_INPUT"
    exit_code = 2


class NoSignature(LifecycleError):
    """The model was logged without a signature, so nothing can be checked against it."""

    code = "NO_SIGNATURE"


@dataclass(frozen=True, slots=True)
class Column:
    """One input: a named column, or a tensor.

    Attributes:
        name: Empty for an unnamed tensor.
        type: MLflow's type name (``double``, ``string`` …) or, for a tensor, numpy's.
        shape: None for a column; the tensor's shape with -1 for the rows.
        required: Whether every row must have a value.
    """

    name: str
    type: str
    shape: tuple[int, ...] | None = None
    required: bool = True

    @property
    def dtype(self) -> np.dtype[Any]:
        """The numpy type that a batch holds this column in."""
        if self.shape is not None:
            return np.dtype(self.type)
        return np.dtype(_NUMPY[self.type])


@dataclass(frozen=True, slots=True)
class Signature:
    """The inputs of a model, in order, and its outputs as far as they are known."""

    inputs: tuple[Column, ...]
    outputs: tuple[Column, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Input names, in order."""
        return tuple(column.name for column in self.inputs)

    @property
    def is_tensor(self) -> bool:
        """Whether the model takes tensors and not columns."""
        return bool(self.inputs) and self.inputs[0].shape is not None

    def as_dict(self) -> dict[str, Any]:
        """JSON types only."""
        return {
            side: [
                {"name": c.name, "type": c.type, "shape": c.shape and list(c.shape), "required": c.required}
                for c in columns
            ]
            for side, columns in (("inputs", self.inputs), ("outputs", self.outputs))
        }

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Signature:
        """Read what :meth:`as_dict` wrote."""
        return cls(*(tuple(_own_column(c) for c in fields[side]) for side in ("inputs", "outputs")))

    @classmethod
    def from_snapshot(cls, snapshot: Path) -> Signature:
        """Read the signature from a snapshot's MLmodel file.

        Raises:
            NoSignature: there is none, or it has a type that cannot be served (objects, arrays, maps).
        """
        mlmodel = yaml.safe_load((snapshot / "MLmodel").read_text(encoding="utf-8"))
        signature = mlmodel.get("signature") or {}
        if not signature.get("inputs"):
            raise NoSignature(
                "the model has no signature; log it with signature=mlflow.models.infer_signature(inputs, outputs)"
            )
        inputs, outputs = (json.loads(signature.get(side) or "[]") for side in ("inputs", "outputs"))
        return cls(tuple(map(_column, inputs)), tuple(map(_column, outputs)))


def _column(spec: dict[str, Any]) -> Column:
    name = spec.get("name") or ""
    if spec["type"] == "tensor":
        tensor = spec["tensor-spec"]
        return Column(name, tensor["dtype"], tuple(tensor["shape"]))
    if spec["type"] not in _NUMPY:
        raise NoSignature(f"column {name!r} has type {spec['type']!r}, which cannot be served yet")
    return Column(name, spec["type"], required=spec.get("required", True))


def _own_column(fields: dict[str, Any]) -> Column:
    shape = fields["shape"]
    return Column(fields["name"], fields["type"], tuple(shape) if shape is not None else None, fields["required"])
