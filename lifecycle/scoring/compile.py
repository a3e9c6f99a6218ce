"""Compile a snapshot to ONNX, and check that its predictions are unchanged.

The result is a cache entry: ``<cache>/<digest>-<format>/{model.onnx, scorer.json}``.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from lifecycle.domain.model import Snapshot
from lifecycle.durable import sync_file
from lifecycle.errors import LifecycleError
from lifecycle.scoring.contract import MATRIX, Batch, Predictions, row_count
from lifecycle.scoring.input_example import golden_batch
from lifecycle.scoring.signature import Signature

_LOG = logging.getLogger(__name__)

FORMAT = 2
"""Version of ``scorer.json`` and of the conversion. Raise it when either changes; old entries are then ignored."""

TOLERANCE = 1e-6
"""Largest difference, relative for values above 1, that still counts as the same prediction: the compiled
trees add up float32 leaves, which costs about 2e-7."""


class NotCompilable(LifecycleError):
    """The snapshot cannot be compiled, or its predictions would change; pyfunc serves instead."""

    code = "NOT_COMPILABLE"


def compile_snapshot(snapshot: Snapshot, cache: Path, rows: Batch | None = None) -> Path:
    """Compile a snapshot, or return the compiled form that exists.

    Args:
        cache: Folder for compiled snapshots.
        rows: Rows on which predictions are compared with pyfunc's; the model's input example when None.

    Returns:
        The folder that ``OnnxScorer`` loads.

    Raises:
        NotCompilable: no converter, no rows to compare on, or different predictions.
    """
    done = compiled_folder(cache, snapshot.digest)
    if (done / "scorer.json").is_file():
        return done
    cache.mkdir(parents=True, exist_ok=True)
    working = Path(tempfile.mkdtemp(prefix=".compiling-", dir=cache))
    try:
        _compile_into(working, snapshot, rows)
        return _publish(working, done)
    finally:
        shutil.rmtree(working, ignore_errors=True)


def compiled_folder(cache: Path, digest: str) -> Path:
    """Where the compiled form of a snapshot is, or would be."""
    return cache / f"{digest}-{FORMAT}"


def convert_snapshot(snapshot: Snapshot, folder: Path, expected: Predictions) -> dict[str, Any]:
    """Write the compiled form of a snapshot without comparing predictions.

    Args:
        expected: Pyfunc's predictions, for type and shape.

    Returns:
        The content of ``scorer.json``.

    Raises:
        NotCompilable: there is no converter.
    """
    if not isinstance(expected, np.ndarray):
        raise NotCompilable("the model answers with a table; only single arrays compile")
    signature = Signature.from_snapshot(snapshot.path)
    if signature.params:
        raise NotCompilable("the model takes parameters, which a compiled one cannot")
    output = _write_onnx(folder / "model.onnx", snapshot.path, signature, one_value=expected.ndim == 1)
    description: dict[str, Any] = {"digest": snapshot.digest, "signature": signature.as_dict(), "output": output}
    description |= {"dtype": str(expected.dtype), "row_shape": list(expected.shape[1:])}
    description["matrix"] = MATRIX if signature.one_type is not None else None
    description["sha256"] = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    _write_json(folder / "scorer.json", description)
    return description


def _compile_into(folder: Path, snapshot: Snapshot, rows: Batch | None) -> None:
    rows = golden_batch(snapshot.path) if rows is None else rows
    if rows is None or not row_count(rows):
        raise NotCompilable("the model has no input example to prove the compiled scorer equal on")
    expected = _predict_with_pyfunc(snapshot.path, rows)
    description = convert_snapshot(snapshot, folder, expected)
    description["parity"] = _prove_parity(folder, rows, np.asarray(expected))
    _write_json(folder / "scorer.json", description)


def _write_onnx(path: Path, snapshot: Path, signature: Signature, *, one_value: bool) -> str:
    flavors = yaml.safe_load((snapshot / "MLmodel").read_text(encoding="utf-8"))["flavors"]
    if "sklearn" not in flavors:
        raise NotCompilable(f"no compiler for the flavor(s) {', '.join(sorted(flavors))}")
    import mlflow.sklearn

    from lifecycle.scoring.sklearn_onnx import one_value_a_row, sklearn_to_onnx

    predict_fn = flavors["python_function"].get("predict_fn", "predict")
    try:
        model, output = sklearn_to_onnx(mlflow.sklearn.load_model(str(snapshot)), signature, predict_fn)
    except Exception as exc:  # skl2onnx raises whatever the failing converter raises
        _LOG.debug("conversion failed", exc_info=True)
        raise NotCompilable(f"scikit-learn model without an exact ONNX form ({type(exc).__name__})") from exc
    output = one_value_a_row(model, output) if one_value else output
    path.write_bytes(model.SerializeToString())
    return output


def _predict_with_pyfunc(snapshot: Path, rows: Batch) -> Predictions:
    from lifecycle.scoring.pyfunc_scorer import PyfuncScorer

    return PyfuncScorer(snapshot).predict(rows)


def _prove_parity(folder: Path, rows: Batch, expected: NDArray[Any]) -> dict[str, float]:
    from lifecycle.scoring.onnx_scorer import OnnxScorer

    try:
        got = OnnxScorer(folder).predict(rows)
    except Exception as exc:  # onnxruntime's exceptions have no common base class
        _LOG.debug("the compiled model does not run", exc_info=True)
        raise NotCompilable(f"the compiled model does not run ({type(exc).__name__})") from exc
    difference = largest_difference(expected, np.asarray(got))
    if difference > TOLERANCE:
        raise NotCompilable(f"the compiled model answers differently (by {difference:.3g})")
    return {"rows": len(expected), "largest_difference": difference}


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


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True), encoding="utf-8")


def _publish(working: Path, done: Path) -> Path:
    for path in working.iterdir():
        sync_file(path)
    try:
        working.rename(done)
    except OSError:
        if not (done / "scorer.json").is_file():  # another process has compiled the same digest meanwhile
            raise
    return done
