"""A model's signature, read from its MLmodel file without importing MLflow.

The serving process needs the signature and must not pay 1.5 s and 150 MB for ``import mlflow``.
Format: https://mlflow.org/docs/latest/ml/model/signatures
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from lifecycle.errors import LifecycleError
from lifecycle.scoring.invalid import InvalidInput
from lifecycle.scoring.params import Param, param_from_mlmodel

__all__ = ["Column", "InvalidInput", "NoSignature", "Signature"]

_NUMPY: dict[str, np.dtype[Any]] = {
    "boolean": np.dtype(np.bool_),
    "integer": np.dtype(np.int32),
    "long": np.dtype(np.int64),
    "float": np.dtype(np.float32),
    "double": np.dtype(np.float64),
    "string": np.dtype(np.object_),
    "datetime": np.dtype("datetime64[ns]"),
}

_NUMBERS = {"double", "float", "long", "integer"}
_SIDES = ("inputs", "outputs", "params")


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
        return _NUMPY[self.type]


@dataclass(frozen=True, slots=True)
class Signature:
    """The inputs of a model, in order, its outputs as far as they are known, and its parameters.

    What follows from them is worked out once and not for every request:

    Attributes:
        names: Input names, in order.
        is_tensor: Whether the model takes tensors and not columns.
        one_type: The type that all columns share, where that is a number's and a batch can be one matrix;
            else None.
    """

    inputs: tuple[Column, ...]
    outputs: tuple[Column, ...] = ()
    params: tuple[Param, ...] = ()
    names: tuple[str, ...] = field(init=False, compare=False, repr=False)
    is_tensor: bool = field(init=False, compare=False, repr=False)
    one_type: np.dtype[Any] | None = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        is_tensor = bool(self.inputs) and self.inputs[0].shape is not None
        types = {column.type for column in self.inputs}
        one_type = self.inputs[0].dtype if len(types) == 1 and types <= _NUMBERS and not is_tensor else None
        object.__setattr__(self, "names", tuple(column.name for column in self.inputs))
        object.__setattr__(self, "is_tensor", is_tensor)
        object.__setattr__(self, "one_type", one_type)

    def as_dict(self) -> dict[str, Any]:
        """JSON types only."""
        return {
            side: [
                {"name": c.name, "type": c.type, "shape": c.shape and list(c.shape), "required": c.required}
                for c in columns
            ]
            for side, columns in (("inputs", self.inputs), ("outputs", self.outputs))
        } | ({"params": [param.as_dict() for param in self.params]} if self.params else {})

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Signature:
        """Read what :meth:`as_dict` wrote."""
        inputs, outputs = (tuple(_own_column(c) for c in fields[side]) for side in ("inputs", "outputs"))
        return cls(inputs, outputs, tuple(Param.from_dict(param) for param in fields.get("params", ())))

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
        inputs, outputs, params = (json.loads(signature.get(side) or "[]") for side in _SIDES)
        try:
            return cls(
                tuple(map(_column, inputs)), tuple(map(_column, outputs)), tuple(map(param_from_mlmodel, params))
            )
        except ValueError as exc:
            raise NoSignature(str(exc)) from exc


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
