"""Compiles snapshots to ONNX, and measures how far predictions differ."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from lifecycle.domain.model import Snapshot
from lifecycle.errors import IntegrityError, LifecycleError
from lifecycle.scoring.contract import MATRIX, Predictions
from lifecycle.scoring.signature import Signature

_LOG = logging.getLogger(__name__)

TOLERANCE = 1e-6
"""Largest difference, relative for values above 1, that still counts as the same prediction: the compiled
trees add up float32 leaves, which costs about 2e-7."""


class NotCompilable(LifecycleError):
    """The snapshot cannot be compiled, or its predictions would change; pyfunc serves instead."""

    code = "NOT_COMPILABLE"


MANIFEST, MODEL = "manifest.json", "model.onnx"
"""Two members of a bundle, :mod:`lifecycle.bundle`."""

MISSING_TEXT = "nan"
"""What a missing text becomes: ONNX strings have no missing value, and skl2onnx spells an encoder's own
NaN category ``nan``."""


@dataclass(frozen=True, slots=True)
class CompiledModel:
    """A compiled snapshot.

    Attributes:
        digest: sha256 of the snapshot.
        signature: As :meth:`lifecycle.scoring.signature.Signature.as_dict`.
        scorer: What it takes to run it: its one input (None for one a column), its output, and what that is.
        onnx: The model.
    """

    digest: str
    signature: Mapping[str, Any]
    scorer: Mapping[str, Any]
    onnx: bytes = field(repr=False)


def read_compiled(folder: Path) -> CompiledModel:
    """The compiled model of a bundle in a folder.

    Raises:
        IntegrityError: there is none, or it is not the one that was compiled.
    """
    try:
        manifest = _manifest(folder)
        onnx = (folder / MODEL).read_bytes()
        found = CompiledModel(manifest["digest"], manifest["signature"], manifest["scorer"], onnx)
        sha256 = manifest["members"][MODEL]["sha256"]
    except (OSError, ValueError, LookupError, TypeError) as exc:
        raise IntegrityError(f"{folder} holds no compiled scorer ({type(exc).__name__})") from exc
    if hashlib.sha256(onnx).hexdigest() != sha256:
        raise IntegrityError(
            f"{folder / MODEL} is not the model that was compiled; delete its folder to have it compiled anew"
        )
    return found


def _manifest(folder: Path) -> dict[str, Any]:
    if not (folder / MANIFEST).exists() and (folder / "scorer.json").exists():
        # Of the release before bundles; a server that it started may still name this folder.
        old = json.loads((folder / "scorer.json").read_text(encoding="utf-8"))
        return {**old, "scorer": old, "members": {MODEL: {"sha256": old["sha256"]}}}
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    return manifest


def convert(snapshot: Snapshot, expected: Predictions) -> CompiledModel:
    """Convert a snapshot to ONNX, without comparing predictions.

    Args:
        expected: Pyfunc's predictions, for type and shape.

    Raises:
        NotCompilable: there is no converter.
    """
    if not isinstance(expected, np.ndarray):
        raise NotCompilable("the model answers with a table; only single arrays compile")
    signature = Signature.from_snapshot(snapshot.path)
    if signature.params:
        raise NotCompilable("the model takes parameters, which a compiled one cannot")
    onnx, output = _to_onnx(snapshot, one_value=expected.ndim == 1)
    scorer = {
        "matrix": MATRIX if signature.one_type is not None else None,
        "output": output,
        "dtype": str(expected.dtype),
        "row_shape": list(expected.shape[1:]),
        "missing_text": MISSING_TEXT,
    }
    return CompiledModel(snapshot.digest, signature.as_dict(), scorer, onnx)


@lru_cache(maxsize=1)  # two gates of one run need it
def _to_onnx(snapshot: Snapshot, *, one_value: bool) -> tuple[bytes, str]:
    flavors = yaml.safe_load((snapshot.path / "MLmodel").read_text(encoding="utf-8"))["flavors"]
    if "sklearn" not in flavors:
        raise NotCompilable(f"no compiler for the flavor(s) {', '.join(sorted(flavors))}")
    import mlflow.sklearn

    from lifecycle.scoring.sklearn_onnx import one_value_a_row, sklearn_to_onnx

    predict_fn = flavors["python_function"].get("predict_fn", "predict")
    try:
        model, output = sklearn_to_onnx(
            mlflow.sklearn.load_model(str(snapshot.path)), Signature.from_snapshot(snapshot.path), predict_fn
        )
    except Exception as exc:  # skl2onnx raises whatever the failing converter raises
        _LOG.debug("conversion failed", exc_info=True)
        raise NotCompilable(f"scikit-learn model without an exact ONNX form ({type(exc).__name__})") from exc
    output = one_value_a_row(model, output) if one_value else output
    return model.SerializeToString(deterministic=True), output


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
