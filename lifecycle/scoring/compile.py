"""Compiles snapshots to ONNX, and measures how far predictions differ."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifecycle.domain.model import Snapshot
from lifecycle.errors import LifecycleError
from lifecycle.scoring.compiled import MISSING_TEXT, CompiledModel
from lifecycle.scoring.compilers.contract import NotCompilable, OnnxForm, compiler_of
from lifecycle.scoring.contract import MATRIX, Fields, Predictions, rows_of
from lifecycle.scoring.signature import Signature

_LOG = logging.getLogger(__name__)

TOLERANCE = 1e-6
"""Largest difference, relative for values above 1, that still counts as the same prediction: the compiled
trees add up float32 leaves, which costs about 2e-7."""
TOLERANCES = {"float64": TOLERANCE, "float32": 1e-5, "float16": 1e-2}
"""The same by type: networks add up float32 in another order than their framework."""


def convert(snapshot: Snapshot, expected: Predictions) -> CompiledModel:
    """Convert a snapshot to ONNX, without comparing predictions. Executes the model's code.

    Args:
        expected: Pyfunc's predictions, for names, types and shapes.

    Raises:
        NotCompilable: there is no converter.
    """
    signature = Signature.from_snapshot(snapshot.path)
    if signature.params:
        raise NotCompilable("the model takes parameters, which a compiled one cannot")
    named = by_name(expected)
    onnx, outputs = _to_onnx(snapshot, tuple((name, values.shape[1:]) for name, values in named.items()))
    scorer = {
        "matrix": MATRIX if signature.one_type is not None else None,
        "answer": answer_of(expected),
        "outputs": [
            {
                "output": output,
                "name": name,
                "dtype": str(values.dtype),
                "row_shape": list(values.shape[1:]),
                "tolerance": tolerance_of(values.dtype),
            }
            for output, (name, values) in zip(outputs, named.items(), strict=True)
        ],
        "missing_text": MISSING_TEXT,
    }
    return CompiledModel(snapshot.digest, signature.as_dict(), scorer, onnx)


@lru_cache(maxsize=1)  # two gates of one run need it
def _to_onnx(snapshot: Snapshot, named: tuple[tuple[str, tuple[int, ...]], ...]) -> tuple[bytes, tuple[str, ...]]:
    """The model and its outputs.

    Args:
        named: For each part of pyfunc's answer its name and the shape of one row.
    """
    flavor, compiler = compiler_of(snapshot.path)
    try:
        form = compiler(snapshot.path, Signature.from_snapshot(snapshot.path))
        outputs = _as_pyfunc(form, named)
        return form.model.SerializeToString(deterministic=True), outputs
    except LifecycleError:
        raise
    except Exception as exc:  # converters raise whatever they like, and quote the model
        _LOG.debug("conversion failed", exc_info=True)
        raise NotCompilable(f"the {flavor} model has no exact ONNX form: {reason_of(exc)}") from exc


def _as_pyfunc(form: OnnxForm, named: tuple[tuple[str, tuple[int, ...]], ...]) -> tuple[str, ...]:
    """One output for each part of pyfunc's answer, of its shape."""
    from lifecycle.scoring.compilers.graph import keep_only, one_column_each, with_row_shape

    outputs = form.outputs
    if len(outputs) == 1 < len(named):  # a table whose columns are one matrix in the model
        outputs = one_column_each(form.model, outputs[0], len(named))
    if len(outputs) != len(named):
        raise NotCompilable(f"the ONNX form has {len(outputs)} outputs where the model answers with {len(named)}")
    pairs = zip(outputs, named, strict=True)
    shaped = tuple(with_row_shape(form.model, output, row_shape) for output, (_, row_shape) in pairs)
    keep_only(form.model, shaped)
    return shaped


def reason_of(exc: BaseException) -> str:
    """Which step or operator stands in the way, without the values that a converter's message may quote."""
    step = ""
    for frame, _ in traceback.walk_tb(exc.__traceback__):
        operator = getattr(frame.f_locals.get("operator"), "raw_operator", None)
        step = type(operator).__name__ if operator is not None else step
    where = f"step {step}: " if step else ""
    if isinstance(exc, NotImplementedError) and type(exc) is NotImplementedError:
        return f"{where}{str(exc).splitlines()[0][:200]}" if str(exc) else f"{where}not implemented"
    return f"{where}{type(exc).__name__}"


def answer_of(predictions: Predictions) -> str:
    """``array``, ``table`` or ``fields``: what a scorer answers with."""
    if isinstance(predictions, np.ndarray):
        return "array"
    return "fields" if isinstance(predictions, Fields) else "table"


def by_name(predictions: Predictions) -> Mapping[str, NDArray[Any]]:
    """The parts of predictions; one without a name for an array."""
    return {"": predictions} if isinstance(predictions, np.ndarray) else predictions


def tolerance_of(dtype: np.dtype[Any]) -> float:
    """The largest difference, relative for values above 1, that still counts as the same prediction."""
    return TOLERANCES.get(str(dtype), TOLERANCE)


def prediction_differences(expected: Predictions, got: Predictions) -> NDArray[np.float64]:
    """For each row the largest of :func:`differences` of all parts; infinite where the parts are others."""
    theirs, ours = by_name(expected), by_name(got)
    if list(theirs) != list(ours):
        return np.full(rows_of(expected), np.inf)
    largest: NDArray[np.float64] = np.max([differences(theirs[name], ours[name]) for name in theirs], axis=0)
    return largest


def agree(expected: Predictions, got: Predictions) -> bool:
    """Whether all predictions are the same, within the tolerance of each part's type."""
    theirs, ours = by_name(expected), by_name(got)
    return list(theirs) == list(ours) and all(
        largest_difference(theirs[name], ours[name]) <= tolerance_of(theirs[name].dtype) for name in theirs
    )


def largest_difference(expected: NDArray[Any], got: NDArray[Any]) -> float:
    """The largest of :func:`differences`."""
    return float(np.max(differences(expected, got), initial=0.0))


def differences(expected: NDArray[Any], got: NDArray[Any]) -> NDArray[np.float64]:
    """For each row the largest |a-b| / max(1, |a|); infinite for other shapes, different labels or a missing one.

    Two missing values are the same.
    """
    if expected.shape != got.shape:
        return np.full(len(expected), np.inf)
    same = (expected == got) | ((expected != expected) & (got != got))  # noqa: PLR0124  # only NaN is not itself
    difference = np.full(expected.shape, np.inf)
    if expected.dtype.kind == "f":
        with np.errstate(invalid="ignore"):  # infinity minus infinity
            difference = np.abs(expected - got) / np.maximum(1.0, np.abs(expected))
    difference = np.where(same, 0.0, np.nan_to_num(difference, nan=np.inf, posinf=np.inf))
    largest: NDArray[np.float64] = difference.max(axis=tuple(range(1, difference.ndim)), initial=0.0)
    return largest
