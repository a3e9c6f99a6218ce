"""Bundles: the compiled models of this machine, by the digest of their snapshot, and the file that leaves it."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifecycle.domain.deployment import ModelSource
from lifecycle.domain.model import Snapshot
from lifecycle.durable import sync_file
from lifecycle.errors import NotFound
from lifecycle.registry.snapshot import SnapshotStore
from lifecycle.scoring.compile import convert
from lifecycle.scoring.compiled import MANIFEST, MODEL, CompiledModel, read_compiled
from lifecycle.scoring.compilers.contract import NotCompilable
from lifecycle.scoring.contract import Batch, Predictions, row_count
from lifecycle.scoring.equality import by_name, demand_equal
from lifecycle.scoring.json_rows import golden_batch

_LOG = logging.getLogger(__name__)

CACHE_FORMAT = 4
"""Of the cache and of the conversion. Raise it when either changes; old entries are then ignored."""


@dataclass(frozen=True, slots=True)
class LocalModels:
    """The files of versions on this machine, by digest.

    Attributes:
        bundles: Folder of what was compiled, as :func:`compile_snapshot` fills it.
    """

    snapshots: SnapshotStore
    bundles: Path

    def snapshot(self, source: ModelSource) -> Snapshot:
        """The version's files, not verified. Raises NotFound when they are not here."""
        snapshot = self.snapshots.get(source.digest)
        if snapshot is None:
            raise NotFound(f"the files of {source.uri} are not here; update the deployment to fetch them again")
        return snapshot

    def compiled(self, source: ModelSource) -> Path:
        """The folder of the version's bundle. Raises NotFound when it is not here."""
        folder = compiled_folder(self.bundles, source.digest)
        if folder is None:
            raise NotFound(f"{source.uri} is not compiled here; update the deployment to compile it again")
        return folder


def compile_snapshot(snapshot: Snapshot, cache: Path, rows: Batch | None = None) -> Path:
    """Compile a snapshot, or return the bundle that exists.

    Args:
        cache: Folder for bundles.
        rows: Rows on which predictions are compared with pyfunc's; the model's input example when None.

    Returns:
        The folder of the bundle.

    Raises:
        NotCompilable: no converter, no rows to compare on, or different predictions.
    """
    if (found := compiled_folder(cache, snapshot.digest)) is not None:
        return found
    cache.mkdir(parents=True, exist_ok=True)
    working = Path(tempfile.mkdtemp(prefix=".compiling-", dir=cache))
    try:
        _compile_into(working, snapshot, rows)
        return _publish(working, _folder(cache, snapshot.digest))
    finally:
        shutil.rmtree(working, ignore_errors=True)


def compiled_folder(cache: Path, digest: str) -> Path | None:
    """The folder of what was compiled from a snapshot; None if it was not yet."""
    folder = _folder(cache, digest)
    return folder if (folder / MANIFEST).is_file() else None


def _folder(cache: Path, digest: str) -> Path:
    return cache / f"{digest}-{CACHE_FORMAT}"


def _compile_into(folder: Path, snapshot: Snapshot, rows: Batch | None) -> None:
    from lifecycle.scoring.pyfunc_scorer import PyfuncScorer

    golden = golden_batch(snapshot.path)
    rows = golden if rows is None else rows
    if rows is None or not row_count(rows):
        raise NotCompilable("the model has no input example to prove the compiled scorer equal on")
    model = PyfuncScorer(snapshot.path)
    expected = model.predict(rows)
    compiled = convert(snapshot, expected)
    demand_equal(model, compiled, rows, expected)
    answers = None if golden is None else expected if golden is rows else model.predict(golden)
    if answers is not None and any(np.isinf(v).any() for v in by_name(answers).values() if v.dtype.kind == "f"):
        golden = answers = None  # JSON holds no infinity
    write_bundle(folder, compiled, golden, answers)


def _publish(working: Path, done: Path) -> Path:
    try:
        working.rename(done)
    except OSError:
        if not (done / MANIFEST).is_file():  # another process may have compiled the same digest meanwhile
            raise
    return done


FORMAT = 2
GOLDEN, RUNNER = "golden.json", "run.py"

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip file can store


def write_bundle(
    folder: Path, compiled: CompiledModel, golden: Batch | None = None, expected: Predictions | None = None
) -> None:
    """Write a bundle into a folder, the manifest last.

    Args:
        golden: Rows for the self-test.
        expected: The model's own predictions for these rows.
    """
    inputs = None if golden is None else {name: _jsonable(values) for name, values in golden.items()}
    predictions = None if expected is None else {k: _jsonable(v) for k, v in by_name(expected).items()}
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
        "scorer": compiled.scorer,
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
