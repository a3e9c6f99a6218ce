"""The bundle: one zip file, the same bytes whenever and wherever it is built from the same snapshot.

::

    golden.json     a few rows and the model's predictions for them: the runner's self-test
    manifest.json   format, model, version, digest, signature, what the scorer needs, and every other member's
                    size and sha256, so that whoever vouches for the manifest vouches for the whole bundle
    model.onnx      the compiled scorer
    run.py          the runner, as in :mod:`lifecycle.targets.edge.runner`
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifecycle.domain.deployment import DeploymentSpec
from lifecycle.errors import IntegrityError
from lifecycle.scoring.compile import TOLERANCE
from lifecycle.scoring.contract import Batch
from lifecycle.scoring.onnx_scorer import MISSING_TEXT
from lifecycle.targets.edge.runner import FORMAT, GOLDEN, MANIFEST, MODEL, RUNNER

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip file can name


def build_bundle(spec: DeploymentSpec, compiled: Path, golden: Batch, expected: NDArray[Any]) -> bytes:
    """Build a version's bundle.

    Args:
        compiled: Folder of its compiled scorer.
        golden: Rows for the self-test.
        expected: The model's own predictions for them.

    Raises:
        IntegrityError: the compiled scorer is another snapshot's.
    """
    description = json.loads((compiled / "scorer.json").read_text(encoding="utf-8"))
    if description["digest"] != spec.digest:
        raise IntegrityError(f"{compiled} was not compiled from snapshot {spec.digest[:12]}; delete that folder")
    inputs = {name: _jsonable(values) for name, values in golden.items()}
    members = {
        GOLDEN: _json_bytes({"inputs": inputs, "predictions": _jsonable(expected)}),
        MODEL: (compiled / "model.onnx").read_bytes(),
        RUNNER: Path(__file__).with_name("runner.py").read_bytes(),
    }
    return _zip({**members, MANIFEST: _json_bytes(_manifest(spec, description, members))})


def _manifest(
    spec: DeploymentSpec, description: Mapping[str, Any], members: Mapping[str, bytes]
) -> dict[str, Any]:
    """Nothing here depends on when, where or under which name the bundle is built."""
    return {
        "format": FORMAT,
        "model": spec.ref.name,
        "version": spec.version,
        "digest": spec.digest,
        "signature": description["signature"],
        "scorer": {
            "matrix": description["matrix"],
            "output": description["output"],
            "dtype": description["dtype"],
            "row_shape": description["row_shape"],
            "missing_text": MISSING_TEXT,
            "tolerance": TOLERANCE,
        },
        "members": {
            name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in members.items()
        },
    }


def _zip(members: Mapping[str, bytes]) -> bytes:
    """Stored and not deflated: zlib's output differs between builds, and what is stored cannot be a bomb."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as bundle:
        for name in sorted(members):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system = 3  # Unix, wherever this runs
            entry.external_attr = 0o644 << 16
            bundle.writestr(entry, members[name])
    return buffer.getvalue()


def _jsonable(values: NDArray[Any]) -> Any:
    """Nested lists with None for NaN."""
    if values.dtype.kind != "f":
        return values.tolist()
    cells = values.astype(object)
    cells[np.isnan(values)] = None
    return cells.tolist()


def _json_bytes(value: Any) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True, allow_nan=False).encode() + b"\n"
