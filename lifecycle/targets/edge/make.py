"""From a version to the bytes of a bundle that is known to answer as the model does."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifecycle.domain.deployment import DeploymentSpec
from lifecycle.domain.model import Snapshot
from lifecycle.errors import DeploymentFailed
from lifecycle.scoring.compile import TOLERANCE, NotCompilable, compile_snapshot
from lifecycle.scoring.contract import Batch
from lifecycle.scoring.input_example import golden_batch
from lifecycle.scoring.loader import load_scorer
from lifecycle.targets.edge.bundle import build_bundle
from lifecycle.targets.edge.runner import agree
from lifecycle.targets.edge.trial import predictions_on_a_bare_device


def make_bundle(spec: DeploymentSpec, snapshot: Snapshot, compiled: Path | None) -> bytes:
    """Build a version's bundle and try it out as a device would.

    Args:
        compiled: Folder of the compiled form; None where there is none.

    Raises:
        DeploymentFailed: no compiled form, no golden rows, or other answers than the model's.
        IntegrityError: the compiled form is another snapshot's.
    """
    if compiled is None:
        raise DeploymentFailed(
            f"version {spec.version} of {spec.ref.name} cannot be compiled to ONNX: {_why_not(snapshot)}; "
            "deploy it to lifecycle:/rest or lifecycle:/batch, or log a model that converts"
        )
    golden = golden_batch(snapshot.path)
    if golden is None:
        raise DeploymentFailed(
            f"version {spec.version} of {spec.ref.name} has no input example, and a bundle tests itself with one; "
            "log the model with input_example=..."
        )
    expected = _models_own_answer(spec, snapshot, golden)
    if expected.dtype.kind == "f" and np.isinf(expected).any():
        raise DeploymentFailed(
            f"version {spec.version} of {spec.ref.name} answers its input example with infinity, which JSON "
            "cannot hold; log it with another input_example=..."
        )
    bundle = build_bundle(spec, compiled, golden, expected)
    if not agree(expected, predictions_on_a_bare_device(bundle, expected.dtype), TOLERANCE):
        raise DeploymentFailed(f"the bundle of {spec.ref.name} answers differently from the model itself")
    return bundle


def _models_own_answer(spec: DeploymentSpec, snapshot: Snapshot, golden: Batch) -> NDArray[Any]:
    try:
        scorer = load_scorer(snapshot.path)
        try:
            return np.asarray(scorer.predict(golden))
        finally:
            scorer.close()
    except Exception as exc:  # a model raises what it likes
        raise DeploymentFailed(
            f"version {spec.version} of {spec.ref.name} does not load or does not score its own input example "
            f"({type(exc).__name__})"
        ) from exc


def _why_not(snapshot: Snapshot) -> str:
    """Compile it once more, only to hear the reason."""
    with tempfile.TemporaryDirectory(prefix="edge-compile-") as cache:
        try:
            compile_snapshot(snapshot, Path(cache))
        except NotCompilable as exc:
            return str(exc)
    return "its compiled form was not accepted for serving"
