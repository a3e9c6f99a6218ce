"""Runs a bundle as a device would: in a process of its own that can import numpy and onnxruntime and no more."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifecycle.errors import DeploymentFailed
from lifecycle.targets.edge.runner import GOLDEN, RUNNER

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
"""Isolated mode keeps the environment and the working folder out, but not what is installed beside numpy."""


def predictions_on_a_bare_device(bundle: bytes, dtype: np.dtype[Any]) -> NDArray[Any]:
    """What the bundle's own runner answers to the golden rows.

    Raises:
        DeploymentFailed: it does not run; says why in the runner's own words.
    """
    with tempfile.TemporaryDirectory(prefix="edge-trial-") as folder:
        path, runner = Path(folder, "bundle.zip"), Path(folder, RUNNER)
        path.write_bytes(bundle)
        with zipfile.ZipFile(path) as members:
            runner.write_bytes(members.read(RUNNER))
            rows = json.dumps({"inputs": json.loads(members.read(GOLDEN))["inputs"]})
        answer = json.loads(_run([str(runner), str(path)], rows))
    return np.array(answer["predictions"], dtype=dtype)


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
