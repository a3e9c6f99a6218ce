"""From a version to one file that is known to answer as the model does.

The file is tried out as a device would: in a process that can import numpy and onnxruntime and no more.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from lifecycle.bundle.cache import GOLDEN, RUNNER, pack_bundle
from lifecycle.domain.deployment import DeploymentSpec
from lifecycle.domain.model import Snapshot
from lifecycle.errors import DeploymentFailed, IntegrityError
from lifecycle.scoring.compiled import read_compiled
from lifecycle.scoring.contract import Batch, Predictions
from lifecycle.scoring.equality import agree, by_name
from lifecycle.scoring.json_rows import golden_batch
from lifecycle.scoring.loader import load_scorer

_TIMEOUT_S = 300

_ON_A_BARE_DEVICE = """
import runpy, sys
allowed = sys.stdlib_module_names | {"numpy", "onnxruntime"}

class NothingElse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in allowed:
            raise ModuleNotFoundError("not on the device: " + name, name=name)

sys.meta_path.insert(0, NothingElse())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Isolated mode excludes environment and working folder, but not packages installed beside numpy."""


def proven_bundle(spec: DeploymentSpec, snapshot: Snapshot, compiled: Path | None) -> bytes:
    """Build a version's bundle and run it as a device would.

    Args:
        compiled: Folder of the compiled form, or None.

    Raises:
        DeploymentFailed: no compiled form, no golden rows, or predictions that differ from the model's.
        IntegrityError: the compiled form is another snapshot's.
    """
    if compiled is None:
        raise DeploymentFailed(
            f"version {spec.version} of {spec.ref.name} cannot be compiled to ONNX: {_why_not(spec)}; "
            "deploy it to lifecycle:/rest or lifecycle:/batch, or log a model that converts"
        )
    golden = golden_batch(snapshot.path)
    if golden is None:
        raise DeploymentFailed(
            f"version {spec.version} of {spec.ref.name} has no input example, and a bundle tests itself with one; "
            "log the model with input_example=..."
        )
    expected = _models_own_answer(spec, snapshot, golden)
    if any(np.isinf(values).any() for values in by_name(expected).values() if values.dtype.kind == "f"):
        raise DeploymentFailed(
            f"version {spec.version} of {spec.ref.name} answers its input example with infinity, which JSON "
            "cannot hold; log it with another input_example=..."
        )
    bundle = _packed(spec, compiled)
    if not agree(expected, predictions_on_a_bare_device(bundle, expected)):
        raise DeploymentFailed(f"the bundle of {spec.ref.name} answers differently from the model itself")
    return bundle


def _packed(spec: DeploymentSpec, compiled: Path) -> bytes:
    if read_compiled(compiled).digest != spec.digest:
        raise IntegrityError(f"{compiled} was not compiled from snapshot {spec.digest[:12]}; delete that folder")
    return pack_bundle(compiled, spec.ref.name, spec.version)


def _models_own_answer(spec: DeploymentSpec, snapshot: Snapshot, golden: Batch) -> Predictions:
    try:
        scorer = load_scorer(snapshot.path)
        try:
            return scorer.predict(golden)
        finally:
            scorer.close()
    except Exception as exc:  # a model may raise anything
        raise DeploymentFailed(
            f"version {spec.version} of {spec.ref.name} does not load or does not score its own input example "
            f"({type(exc).__name__})"
        ) from exc


def _why_not(spec: DeploymentSpec) -> str:
    return spec.champion.reason or "its compiled form was not accepted for serving"


def predictions_on_a_bare_device(bundle: bytes, expected: Predictions) -> Predictions:
    """Predictions of the bundle's own runner for the golden rows, with the types of these.

    Raises:
        DeploymentFailed: it does not run; with the runner's message.
    """
    with tempfile.TemporaryDirectory(prefix="edge-trial-") as folder:
        path, runner = Path(folder, "bundle.zip"), Path(folder, RUNNER)
        path.write_bytes(bundle)
        with zipfile.ZipFile(path) as members:
            runner.write_bytes(members.read(RUNNER))
            rows = json.dumps({"inputs": json.loads(members.read(GOLDEN))["inputs"]})
        answer = json.loads(_run([str(runner), str(path)], rows))
    found = answer["predictions"]
    if isinstance(expected, np.ndarray):
        return np.array(found, dtype=expected.dtype)
    if isinstance(found, list):  # a table, one object a row
        found = {name: [row[name] for row in found] for name in expected}
    return {name: np.array(found[name], dtype=values.dtype) for name, values in expected.items()}


def _run(arguments: list[str], rows: str) -> str:
    command = [sys.executable, "-I", "-c", _ON_A_BARE_DEVICE, *arguments]
    try:
        return subprocess.run(
            command, input=rows, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True
        ).stdout
    except subprocess.CalledProcessError as exc:
        words = exc.stderr.strip().rpartition("\n")[2][:300]
        raise DeploymentFailed(f"the bundle does not run on its own: {words}") from exc
    except subprocess.TimeoutExpired as exc:
        raise DeploymentFailed(f"the bundle did not answer within {_TIMEOUT_S} s") from exc
