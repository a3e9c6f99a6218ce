"""MLflow's inference parameters: what the signature allows, and what a request gives.

Format: https://mlflow.org/docs/latest/ml/model/signatures, "Model signatures with inference parameters".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lifecycle.scoring.invalid import InvalidParams

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
    """One parameter.

    Attributes:
        type: MLflow's type name.
        default: As JSON gives it.
        many: Whether it is a list.
    """

    name: str
    type: str
    default: Any = None
    many: bool = False

    def as_dict(self) -> dict[str, Any]:
        """JSON types only."""
        return {"name": self.name, "type": self.type, "default": self.default, "many": self.many}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Param:
        """Read what :meth:`as_dict` wrote."""
        return cls(**fields)

    def value(self, given: Any) -> Any:
        """Python's own value of what JSON gives; whole numbers do for float, nothing else is converted.

        Raises:
            InvalidParams: it is of another type.
        """
        if not self.many:
            return self._one(given)
        if not isinstance(given, list):
            raise self._refused("a list of ")
        return [self._one(item) for item in given]

    def _one(self, given: Any) -> Any:
        if given is None:
            return None
        # By exact type: bool is an int for Python and none for MLflow.
        if type(given) not in _TAKES[self.type]:
            raise self._refused("")
        try:
            return _MAKES.get(self.type, lambda same: same)(given)
        except (ValueError, OverflowError):
            raise self._refused("") from None

    def _refused(self, what: str) -> InvalidParams:
        return InvalidParams(f"Invalid parameters found: {self.name!r} must be {what}{self.type}")


def param_from_mlmodel(spec: Mapping[str, Any]) -> Param:
    """Read one of the signature's parameters.

    Raises:
        ValueError: a type that cannot be served.
    """
    name, kind = str(spec["name"]), spec.get("type") or spec.get("dtype")
    if kind not in _TAKES:
        raise ValueError(f"parameter {name!r} has type {kind!r}, which cannot be served yet")
    return Param(name, kind, spec["default"], spec.get("shape") is not None)


def checked(given: Any, params: Sequence[Param]) -> dict[str, Any] | None:
    """A request's parameters with the defaults of the others; those that the signature does not name are left out.

    Args:
        given: What the body holds under ``params``; None for nothing.

    Returns:
        None for a model without parameters, whatever is given, as MLflow has it.

    Raises:
        InvalidParams: no object, or a value of another type.
    """
    if not params:
        return None
    given = {} if given is None else given
    if not isinstance(given, dict):
        raise InvalidParams(f"Parameters must be a dictionary. Got type '{type(given).__name__}'.")
    return {param.name: param.value(given.get(param.name, param.default)) for param in params}
