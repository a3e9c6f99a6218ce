"""Whether a compiled model predicts what the model itself does, on ordinary rows and on hard ones made of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifecycle.scoring.compiled import TOLERANCE, CompiledModel
from lifecycle.scoring.compilers.contract import NotCompilable
from lifecycle.scoring.contract import Batch, Predictions, Scorer, row_count, rows_of
from lifecycle.scoring.signature import Column, Signature

_LOG = logging.getLogger(__name__)

TOLERANCES = {"float64": TOLERANCE, "float32": 1e-5, "float16": 1e-2}
"""The same by type: networks add up float32 in another order than their framework."""


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


def demand_equal(model: Scorer, compiled: CompiledModel, rows: Batch, expected: Predictions) -> None:
    """Compare predictions on these rows, and on hard ones as far as the model itself scores them.

    Args:
        expected: The model's predictions for ``rows``.

    Raises:
        NotCompilable: the compiled model does not run, or predicts differently.
    """
    from lifecycle.scoring.onnx_scorer import OnnxScorer

    try:
        scorer = OnnxScorer(compiled)
        got = scorer.predict(rows)
    except Exception as exc:  # onnxruntime's exceptions have no common base class
        _LOG.debug("the compiled model does not run", exc_info=True)
        raise NotCompilable(f"the compiled model does not run ({type(exc).__name__})") from exc
    _demand_same(expected, got, "")
    for name, batch in hard_batches(rows, Signature.from_dict(dict(compiled.signature))):
        try:
            own = model.predict(batch)
        except Exception:  # a model may refuse such rows by any exception
            _LOG.debug("the model itself refuses %s", name, exc_info=True)
            continue
        try:
            got = scorer.predict(batch)
        except Exception as exc:
            raise NotCompilable(f"the compiled model refuses {name} ({type(exc).__name__})") from exc
        _demand_same(own, got, f" for {name}")


def _demand_same(expected: Predictions, got: Predictions, where: str) -> None:
    if not agree(expected, got):
        difference = float(prediction_differences(expected, got).max(initial=0.0))
        raise NotCompilable(f"the compiled model answers differently{where} (by {difference:.3g})")


MANY = 1000
_FEW = 8
_UNSEEN = "never seen before"


def hard_batches(rows: Batch, signature: Signature) -> Iterator[tuple[str, Batch]]:
    """Batches of hard rows, each with its name, from ``one row`` to ``extremes``.

    A model may refuse any of them; then there is nothing to compare. Without a column that can be so, a batch is
    left out.

    Args:
        rows: At least one ordinary row.
    """
    yield "one row", {name: values[:1] for name, values in rows.items()}
    again = np.arange(MANY) % row_count(rows)
    yield "1,000 rows", {name: values[again] for name, values in rows.items()}
    columns = {column.name: column for column in signature.inputs}
    for name, change in (("nulls", _nulls), ("unseen categories", _unseen), ("extremes", _extremes)):
        changed = {key: change(columns[key], values) for key, values in rows.items()}
        if any(values is not None for values in changed.values()):
            yield name, {key: rows[key][:_FEW] if made is None else made for key, made in changed.items()}


def _nulls(column: Column, rows: NDArray[Any]) -> NDArray[Any] | None:
    """Every second value missing."""
    if column.shape is not None or column.type not in ("double", "float", "string"):
        return None
    values = rows[:_FEW].copy()
    values[::2] = None if column.type == "string" else np.nan
    return values


def _unseen(column: Column, rows: NDArray[Any]) -> NDArray[Any] | None:
    return np.full(len(rows[:_FEW]), _UNSEEN, object) if column.type == "string" else None


def _extremes(column: Column, rows: NDArray[Any]) -> NDArray[Any] | None:
    """Zero, the least and the largest ordinary value, and as far again beyond both."""
    known = rows[np.isfinite(rows)] if column.dtype.kind == "f" else rows.ravel()
    if column.dtype.kind not in "iuf" or not known.size:
        return None
    low, high = float(known.min()), float(known.max())
    chosen = np.array([0.0, low, high, 2 * low - high, 2 * high - low])
    if column.dtype.kind != "f":
        limits = np.iinfo(column.dtype)
        chosen = np.clip(chosen, max(limits.min, -(2.0**53)), min(limits.max, 2.0**53))
    values: NDArray[Any] = np.empty_like(rows[:_FEW])
    by_row = chosen.astype(column.dtype)[np.arange(len(values)) % len(chosen)]
    values[:] = by_row.reshape(-1, *[1] * (values.ndim - 1))
    return values
