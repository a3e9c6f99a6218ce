"""Builds bundles: into a folder of the cache, and from there into one file that leaves this machine."""

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

from lifecycle.durable import sync_file
from lifecycle.scoring.compile import MANIFEST, MODEL, TOLERANCE, CompiledModel, read_compiled
from lifecycle.scoring.contract import Batch

FORMAT = 1
GOLDEN, RUNNER = "golden.json", "run.py"

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip file can store


def write_bundle(
    folder: Path, compiled: CompiledModel, golden: Batch | None = None, expected: NDArray[Any] | None = None
) -> None:
    """Write a bundle into a folder, the manifest last.

    Args:
        golden: Rows for the self-test.
        expected: The model's own predictions for these rows.
    """
    inputs = None if golden is None else {name: _jsonable(values) for name, values in golden.items()}
    predictions = None if expected is None else _jsonable(expected)
    members = {
        GOLDEN: _json_bytes({"inputs": inputs, "predictions": predictions}),
        MODEL: compiled.onnx,
    }
    for name, content in {**members, MANIFEST: _json_bytes(_manifest(compiled, members, {}))}.items():
        (folder / name).write_bytes(content)
        sync_file(folder / name)


def pack_bundle(folder: Path, model: str, version: int) -> bytes:
    """One file of a bundle in a folder, with the runner and the version's name.

    Raises:
        IntegrityError: the folder holds no bundle, or its model is not the one that was compiled.
    """
    compiled = read_compiled(folder)
    members = {
        GOLDEN: (folder / GOLDEN).read_bytes(),
        MODEL: compiled.onnx,
        RUNNER: Path(__file__).with_name("runner.py").read_bytes(),
    }
    named: dict[str, str | int] = {"model": model, "version": version}
    return _zip({**members, MANIFEST: _json_bytes(_manifest(compiled, members, named))})


def _manifest(
    compiled: CompiledModel, members: Mapping[str, bytes], named: Mapping[str, str | int]
) -> dict[str, Any]:
    """Nothing here depends on when or where the bundle is built."""
    return {
        "format": FORMAT,
        "digest": compiled.digest,
        "signature": compiled.signature,
        "scorer": {**compiled.scorer, "tolerance": TOLERANCE},
        "members": {
            name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in members.items()
        },
        "signatures": [],
        **named,
    }


def _zip(members: Mapping[str, bytes]) -> bytes:
    """Stored and not deflated: zlib's output differs between builds, and what is stored cannot be a zip bomb."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as bundle:
        for name in sorted(members):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system = 3  # Unix, on any system
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
