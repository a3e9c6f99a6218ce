"""A model's signature, read from its MLmodel file without importing MLflow.

The server needs the signature without the 1.5 s and 150 MB of ``import mlflow``.
Format: https://mlflow.org/docs/latest/ml/model/signatures
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from lifecycle.errors import LifecycleError

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
    """The model was logged without a signature, so input cannot be checked."""

    code = "NO_SIGNATURE"


@dataclass(frozen=True, slots=True)
class Column:
    """One input: a named column or a tensor.

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
        """The numpy type of this column in a batch."""
        if self.shape is not None:
            return np.dtype(self.type)
        return _NUMPY[self.type]


@dataclass(frozen=True, slots=True)
class Signature:
    """The inputs of a model in order, its outputs as far as they are known, and its parameters.

    Derived values are computed once, not per request:

    Attributes:
        names: Input names, in order.
        is_tensor: Whether the model takes tensors and not columns.
        one_type: The numeric type that all columns share, so that a batch can be one matrix;
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
        """As JSON types."""
        sides = {"inputs": self.inputs, "outputs": self.outputs}
        columns = {side: [asdict(c) | {"shape": c.shape and list(c.shape)} for c in sides[side]] for side in sides}
        return columns | ({"params": [asdict(param) for param in self.params]} if self.params else {})

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Signature:
        """The inverse of :meth:`as_dict`."""
        inputs, outputs = (
            tuple(Column(**c | {"shape": None if c["shape"] is None else tuple(c["shape"])}) for c in fields[side])
            for side in ("inputs", "outputs")
        )
        return cls(inputs, outputs, tuple(Param(**param) for param in fields.get("params", ())))

    @classmethod
    def from_snapshot(cls, snapshot: Path) -> Signature:
        """Read the signature from a snapshot's MLmodel file.

        Raises:
            NoSignature: there is no signature, or it has an unsupported type (objects, arrays, maps).
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


class InvalidInput(LifecycleError):
    """Rows do not fit the signature."""

    code = "INVALID_INPUT"
    exit_code = 2


class Malformed(InvalidInput):
    """A body is in none of the supported formats."""


class SchemaMismatch(InvalidInput):
    """Rows lack a column, or a tensor has another shape."""


class InvalidParams(InvalidInput):
    """An inference parameter has another type than in the signature."""


_TAKES: dict[str, tuple[type, ...]] = {
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "string": (str,),
    "datetime": (str,),
}
_MAKES: dict[str, Any] = {"float": float, "double": float, "datetime": datetime.fromisoformat}


@dataclass(frozen=True, slots=True)
class Param:
    """One inference parameter.

    Attributes:
        type: MLflow's type name.
        default: Default as JSON value.
        many: Whether it is a list.
    """

    name: str
    type: str
    default: Any = None
    many: bool = False

    def value(self, given: Any) -> Any:
        """Python value of a JSON value. Whole numbers are accepted for float; nothing else is converted.

        Raises:
            InvalidParams: the value has another type.
        """
        if not self.many:
            return self._one(given)
        if not isinstance(given, list):
            raise self._refused("a list of ")
        return [self._one(item) for item in given]

    def _one(self, given: Any) -> Any:
        if given is None:
            return None
        # exact types: bool is an int in Python but not in MLflow
        if type(given) not in _TAKES[self.type]:
            raise self._refused("")
        try:
            return _MAKES.get(self.type, lambda same: same)(given)
        except (ValueError, OverflowError):
            raise self._refused("") from None

    def _refused(self, what: str) -> InvalidParams:
        return InvalidParams(f"Invalid parameters found: {self.name!r} must be {what}{self.type}")


def param_from_mlmodel(spec: Mapping[str, Any]) -> Param:
    """Read one of the signature's parameters. Raises ValueError if the type is not supported."""
    name, kind = str(spec["name"]), spec.get("type") or spec.get("dtype")
    if kind not in _TAKES:
        raise ValueError(f"parameter {name!r} has type {kind!r}, which cannot be served yet")
    return Param(name, kind, spec["default"], spec.get("shape") is not None)


def checked(given: Any, params: Sequence[Param]) -> dict[str, Any] | None:
    """A request's parameters with defaults for the others; unknown ones are ignored.

    Args:
        given: The body's ``params``; None without.

    Returns:
        None for a model without parameters, as in MLflow.

    Raises:
        InvalidParams: not an object, or a value has another type.
    """
    if not params:
        return None
    given = {} if given is None else given
    if not isinstance(given, dict):
        raise InvalidParams(f"Parameters must be a dictionary. Got type '{type(given).__name__}'.")
    return {param.name: param.value(given.get(param.name, param.default)) for param in params}
