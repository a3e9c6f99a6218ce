"""The contract of compilers, and the one that a snapshot's flavor names. The group is ``lifecycle.compilers``."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import yaml

from lifecycle.entry_points import PlugIns
from lifecycle.errors import LifecycleError, Unavailable
from lifecycle.scoring.signature import Signature

if TYPE_CHECKING:
    from onnx import ModelProto


class NotCompilable(LifecycleError):
    """The snapshot cannot be compiled, or its predictions would change; pyfunc serves instead.

    The message is a phrase that names the step or the operator that stands in the way.
    """

    code = "NOT_COMPILABLE"


@dataclass(frozen=True, slots=True)
class OnnxForm:
    """What a compiler makes of a model.

    Attributes:
        model: Its inputs are :data:`lifecycle.scoring.contract.MATRIX` alone where all columns have one numeric
            type (:attr:`lifecycle.scoring.signature.Signature.one_type`), else one per column, called as the
            column or ``input``. A column's input has the shape (rows, 1), a tensor's its own with any number of
            rows.
        outputs: The outputs that pyfunc answers with, in its order.
    """

    model: ModelProto
    outputs: tuple[str, ...]


class Compiler(Protocol):
    """Compiles models of one flavor, by which its entry point is called."""

    def __call__(self, snapshot: Path, signature: Signature) -> OnnxForm:
        """Load a model and convert it. Runs in a process of its own: loading executes the model's code.

        Raises:
            NotCompilable: it has no exact ONNX form.
            Exception: whatever a converter raises; counts as NotCompilable.
        """


def compiler_of(snapshot: Path) -> tuple[str, Compiler]:
    """The flavor that pyfunc loads a snapshot by, and its compiler.

    Raises:
        NotCompilable: there is no compiler for it, or a library of it is not installed; says what to install.
    """
    mlmodel = yaml.safe_load((snapshot / "MLmodel").read_text(encoding="utf-8"))
    loader = str(mlmodel["flavors"].get("python_function", {}).get("loader_module", ""))
    flavor = loader.removeprefix("mlflow.")
    if flavor.startswith("pyfunc."):
        raise NotCompilable("it is Python code of its own (a PythonModel), which has no ONNX form")
    if flavor not in COMPILERS.names():
        raise NotCompilable(f"no compiler for the flavor {flavor!r}; there are {', '.join(COMPILERS.names())}")
    try:
        return flavor, COMPILERS.load(flavor)
    except Unavailable as exc:
        raise NotCompilable(str(exc)) from exc


def _problem_of(name: str, loaded: Any) -> str | None:
    del name
    try:
        inspect.signature(loaded).bind(Path(), None)
    except (TypeError, ValueError):
        return "is not callable with (snapshot, signature)"
    return None


COMPILERS = PlugIns("lifecycle.compilers", "compiler", _problem_of)
