"""Compile a snapshot to ONNX, and prove that it answers as before.

The result is a cache entry: ``<cache>/<digest>-<format>/{model.onnx, scorer.json}``.
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from lifecycle.domain.model_version import Snapshot
from lifecycle.durable import sync_file
from lifecycle.errors import LifecycleError
from lifecycle.scoring.contract import Batch, Predictions, row_count
from lifecycle.scoring.golden import golden_batch
from lifecycle.scoring.signature import Signature

_LOG = logging.getLogger(__name__)

FORMAT = 1
"""Of ``scorer.json`` and of the conversion: raise it when either changes, and old entries are left alone."""

TOLERANCE = 1e-6
"""Largest difference, relative for values above 1, that still counts as the same prediction: the compiled
trees add up float32 leaves, which costs about 2e-7."""


class NotCompilable(LifecycleError):
    """The snapshot cannot be compiled, or the result would answer differently; pyfunc serves instead."""

    code = "NOT_COMPILABLE"


def compile_snapshot(snapshot: Snapshot, cache: Path, rows: Batch | None = None) -> Path:
    """Compile a snapshot, once.

    Args:
        cache: Folder for compiled snapshots.
        rows: Rows to prove parity with pyfunc on; the model's input example when None.

    Returns:
        The folder that ``OnnxScorer`` loads.

    Raises:
        NotCompilable: no converter for it, no rows to prove parity on, or the answers differ.
    """
    done = cache / f"{snapshot.digest}-{FORMAT}"
    if (done / "scorer.json").is_file():
        return done
    cache.mkdir(parents=True, exist_ok=True)
    working = Path(tempfile.mkdtemp(prefix=".compiling-", dir=cache))
    try:
        _compile_into(working, snapshot, rows)
        return _publish(working, done)
    finally:
        shutil.rmtree(working, ignore_errors=True)


def _compile_into(folder: Path, snapshot: Snapshot, rows: Batch | None) -> None:
    signature = Signature.from_snapshot(snapshot.path)
    rows = golden_batch(snapshot.path) if rows is None else rows
    if rows is None or not row_count(rows):
        raise NotCompilable("the model has no input example to prove the compiled scorer equal on")
    output = _write_onnx(folder / "model.onnx", snapshot.path, signature)
    description: dict[str, Any] = {"digest": snapshot.digest, "signature": signature.as_dict(), "output": output}
    expected = _predict_with_pyfunc(snapshot.path, rows)
    description |= {"dtype": str(expected.dtype), "row_shape": list(expected.shape[1:])}
    _write_json(folder / "scorer.json", description)
    description["parity"] = _prove_parity(folder, rows, expected)
    _write_json(folder / "scorer.json", description)


def _write_onnx(path: Path, snapshot: Path, signature: Signature) -> str:
    flavors = yaml.safe_load((snapshot / "MLmodel").read_text(encoding="utf-8"))["flavors"]
    if "sklearn" not in flavors:
        raise NotCompilable(f"no compiler for the flavor(s) {', '.join(sorted(flavors))}")
    import mlflow.sklearn

    from lifecycle.scoring.sklearn_onnx import sklearn_to_onnx

    predict_fn = flavors["python_function"].get("predict_fn", "predict")
    try:
        model, output = sklearn_to_onnx(mlflow.sklearn.load_model(str(snapshot)), signature, predict_fn)
    except Exception as exc:  # skl2onnx raises whatever the failing converter raised
        _LOG.debug("conversion failed", exc_info=True)
        raise NotCompilable(f"scikit-learn model without an exact ONNX form ({type(exc).__name__})") from exc
    path.write_bytes(model.SerializeToString())
    return output


def _predict_with_pyfunc(snapshot: Path, rows: Batch) -> NDArray[Any]:
    from lifecycle.scoring.pyfunc_scorer import PyfuncScorer

    answer: Predictions = PyfuncScorer(snapshot).predict(rows)
    if not isinstance(answer, np.ndarray):
        raise NotCompilable("the model answers with a table; only single arrays compile")
    return answer


def _prove_parity(folder: Path, rows: Batch, expected: NDArray[Any]) -> dict[str, float]:
    from lifecycle.scoring.onnx_scorer import OnnxScorer

    try:
        got = OnnxScorer(folder).predict(rows)
    except Exception as exc:  # onnxruntime's exceptions share no base class
        _LOG.debug("the compiled model does not run", exc_info=True)
        raise NotCompilable(f"the compiled model does not run ({type(exc).__name__})") from exc
    difference = largest_difference(expected, np.asarray(got))
    if difference > TOLERANCE:
        raise NotCompilable(f"the compiled model answers differently (by {difference:.3g})")
    return {"rows": len(expected), "largest_difference": difference}


def largest_difference(expected: NDArray[Any], got: NDArray[Any]) -> float:
    """Largest |a-b| / max(1, |a|) over all values; infinite for other shapes or different labels."""
    if expected.shape != got.shape:
        return float("inf")
    if expected.dtype.kind != "f":
        return 0.0 if np.array_equal(expected, got) else float("inf")
    same_nan = np.isnan(expected) & np.isnan(got)
    difference = np.abs(expected - got) / np.maximum(1.0, np.abs(expected))
    return float(np.max(np.where(same_nan, 0.0, np.nan_to_num(difference, nan=np.inf)), initial=0.0))


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True), encoding="utf-8")


def _publish(working: Path, done: Path) -> Path:
    for path in working.iterdir():
        sync_file(path)
    try:
        working.rename(done)
    except OSError:
        if not (done / "scorer.json").is_file():  # somebody else compiled the same digest meanwhile
            raise
    return done
