"""Compiles snapshots to ONNX, by the compiler of their flavor."""

from __future__ import annotations

import logging
import traceback
from functools import lru_cache
from typing import Any

import numpy as np

from lifecycle.domain.model import Snapshot
from lifecycle.errors import LifecycleError
from lifecycle.scoring.compiled import MISSING_TEXT, CompiledModel
from lifecycle.scoring.compilers.contract import NotCompilable, OnnxForm, compiler_of
from lifecycle.scoring.contract import MATRIX, Fields, Predictions
from lifecycle.scoring.equality import by_name, tolerance_of
from lifecycle.scoring.signature import Signature

_LOG = logging.getLogger(__name__)


def convert(snapshot: Snapshot, expected: Predictions) -> CompiledModel:
    """Convert a snapshot to ONNX, without comparing predictions. Executes the model's code.

    Args:
        expected: Pyfunc's predictions, for names, types and shapes.

    Raises:
        NotCompilable: there is no converter.
    """
    shapes = tuple((name, values.shape[1:], values.dtype) for name, values in by_name(expected).items())
    return _converted(snapshot, answer_of(expected), shapes)


Parts = tuple[tuple[str, tuple[int, ...], np.dtype[Any]], ...]
"""The parts of an answer: name, shape of one row, type."""


@lru_cache(maxsize=1)  # two gates of one run need it
def _converted(snapshot: Snapshot, answer: str, parts: Parts) -> CompiledModel:
    signature = Signature.from_snapshot(snapshot.path)
    if signature.params:
        raise NotCompilable("the model takes parameters, which a compiled one cannot")
    flavor, compiler = compiler_of(snapshot.path)
    try:
        return compiled_of(compiler(snapshot.path, signature), signature, snapshot.digest, answer, parts)
    except LifecycleError:
        raise
    except Exception as exc:  # converters raise whatever they like, and quote the model
        _LOG.debug("conversion failed", exc_info=True)
        raise NotCompilable(f"the {flavor} model has no exact ONNX form: {reason_of(exc)}") from exc


def compiled_of(form: OnnxForm, signature: Signature, digest: str, answer: str, parts: Parts) -> CompiledModel:
    """The compiled model of an ONNX form, whose outputs become the parts of pyfunc's answer."""
    outputs = _as_pyfunc(form, parts)
    scorer = {
        "matrix": MATRIX if signature.one_type is not None else None,
        "answer": answer,
        "outputs": [
            {
                "output": output,
                "name": name,
                "dtype": str(dtype),
                "row_shape": list(row_shape),
                "tolerance": tolerance_of(dtype),
            }
            for output, (name, row_shape, dtype) in zip(outputs, parts, strict=True)
        ],
        "missing_text": MISSING_TEXT,
    }
    return CompiledModel(digest, signature.as_dict(), scorer, form.model.SerializeToString(deterministic=True))


def _as_pyfunc(form: OnnxForm, parts: Parts) -> tuple[str, ...]:
    """One output for each part of pyfunc's answer, of its shape."""
    from lifecycle.scoring.compilers.graph import keep_only, one_column_each, with_row_shape

    outputs = form.outputs
    if len(outputs) == 1 < len(parts):  # a table whose columns are one matrix in the model
        outputs = one_column_each(form.model, outputs[0], len(parts))
    if len(outputs) != len(parts):
        raise NotCompilable(f"the ONNX form has {len(outputs)} outputs where the model answers with {len(parts)}")
    pairs = zip(outputs, parts, strict=True)
    shaped = tuple(with_row_shape(form.model, output, row_shape) for output, (_, row_shape, _) in pairs)
    keep_only(form.model, shaped)
    return shaped


def reason_of(exc: BaseException) -> str:
    """Which step or operator stands in the way, without the values that a converter's message may quote."""
    step = ""
    for frame, _ in traceback.walk_tb(exc.__traceback__):
        operator = getattr(frame.f_locals.get("operator"), "raw_operator", None)
        step = type(operator).__name__ if operator is not None else step
    where = f"step {step}: " if step else ""
    said = str(exc).partition("\n")[0].partition(". You may")[0][:200]  # skl2onnx adds where to report it
    return f"{where}{said}" if type(exc) is NotImplementedError and said else f"{where}{type(exc).__name__}"


def answer_of(predictions: Predictions) -> str:
    """``array``, ``table`` or ``fields``: what a scorer answers with."""
    if isinstance(predictions, np.ndarray):
        return "array"
    return "fields" if isinstance(predictions, Fields) else "table"
