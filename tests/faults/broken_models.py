"""Versions that cannot be served, each in its own way."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from lifecycle.domain.deployment import DeploymentSpec
from lifecycle.domain.model import Snapshot
from lifecycle.registry.snapshot import SnapshotStore
from lifecycle.testing.target_contract import files_of, with_files

Damage = Callable[[Path], None]


def _victim(folder: Path) -> Path:
    victim = max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    victim.chmod(0o600)
    return victim


def truncated(folder: Path) -> None:
    victim = _victim(folder)
    victim.write_bytes(victim.read_bytes()[: victim.stat().st_size // 2])


def flipped(at: float) -> Damage:
    """One bit, at a share of the largest file."""

    def damage(folder: Path) -> None:
        victim = _victim(folder)
        content = bytearray(victim.read_bytes())
        content[int(at * (len(content) - 1))] ^= 0x10
        victim.write_bytes(bytes(content))

    return damage


def emptied(folder: Path) -> None:
    _victim(folder).write_bytes(b"")


def removed(name: str) -> Damage:
    return lambda folder: (folder / name).unlink()


def added(folder: Path) -> None:
    (folder / "more.py").write_text("")


def renamed(folder: Path) -> None:
    victim = _victim(folder)
    victim.rename(victim.with_name("other"))


def linked(folder: Path) -> None:
    """The same bytes, by way of somewhere else."""
    victim = _victim(folder)
    elsewhere = folder.parent / "elsewhere"
    shutil.move(victim, elsewhere)
    victim.symlink_to(elsewhere)


def gone(folder: Path) -> None:
    shutil.rmtree(folder)


def filled(name: str, content: bytes) -> Damage:
    def damage(folder: Path) -> None:
        (folder / name).chmod(0o600)
        (folder / name).write_bytes(content)

    return damage


def described(**changes: object) -> Damage:
    """manifest.json says something else."""

    def damage(folder: Path) -> None:
        file = folder / "manifest.json"
        manifest = json.loads(file.read_text())
        (part,) = manifest["scorer"]["outputs"]
        for key, value in changes.items():
            where = next(place for place in (part, manifest["scorer"], manifest) if key in place)
            where[key] = value
        file.write_text(json.dumps(manifest))

    return damage


SNAPSHOTS: dict[str, Damage] = {
    "truncated": truncated,
    "a bit flipped at the start": flipped(0),
    "a bit flipped in the middle": flipped(0.5),
    "emptied": emptied,
    "a file removed": removed("conda.yaml"),
    "MLmodel removed": removed("MLmodel"),
    "a file added": added,
    "a file renamed": renamed,
    "a file linked": linked,
    "gone": gone,
}
"""Files that are not those of the digest any more."""

COMPILED: dict[str, Damage] = {
    "truncated onnx": truncated,
    "onnx with a bit flipped early": flipped(0.1),
    "onnx with a bit flipped in the middle": flipped(0.5),
    "onnx with a bit flipped at the end": flipped(0.95),
    "empty onnx": emptied,
    "no onnx": removed("model.onnx"),
    "onnx of garbage": filled("model.onnx", os.urandom(5000)),
    "no manifest.json": removed("manifest.json"),
    "manifest.json of garbage": filled("manifest.json", b"{"),
    "manifest.json not UTF-8": filled("manifest.json", b'{"digest": "\xff\xfe"}'),
    "manifest.json a list": filled("manifest.json", b"[]"),
    "manifest.json without a signature": described(signature=None),
    "manifest.json of another digest": described(digest="0" * 64),
    "manifest.json with an unknown output": described(output="nothing"),
    "manifest.json with an unknown dtype": described(dtype="colour"),
    "manifest.json with another number of columns": described(signature={"inputs": []}),
    "gone": gone,
}
"""Compiled forms that are not what was compiled."""

LOADERS: dict[str, str] = {
    "segfault": "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)",
    "null pointer": "import ctypes\nctypes.string_at(0)",
    "exit 0": "import os\nos._exit(0)",
    "exit 3": "import sys\nsys.exit(3)",
    "abort": "import os\nos.abort()",
    "raises": "raise ValueError('row 7: 0123456789')",
    "raises what is no exception": "raise KeyboardInterrupt",
    "raises what is not UTF-8": "raise ValueError(chr(0xD800))",
    "loops": "while True: pass",
    "sleeps": "import time\ntime.sleep(600)",
    "eats memory": "eaten = [b'x' * 2**28 for _ in range(10**6)]",
    "eats memory at once": "eaten = bytearray(2**44)",
    "too deep": "def deeper(): deeper()\ndeeper()",
    "does not compile": "def :",
    "writes over everything": "import os\n[os.close(fd) for fd in range(3, 64) if os.isatty(0) or fd > 2]",
}
"""Code that runs when the version is loaded."""

PREDICTS: dict[str, str] = {
    "one prediction too few": "return [0.5] * (len(rows) - 1)",
    "no predictions": "return None",
    "segfault while scoring": "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
    "raises while scoring": "raise ValueError(rows)",
}
"""Bodies of ``predict(rows)``."""


def with_snapshot(spec: DeploymentSpec, damage: Damage, folder: Path) -> DeploymentSpec:
    """The same digest, but not the same files."""
    snapshot, compiled = files_of(spec)
    copy = Path(shutil.copytree(snapshot.path, folder / "snapshots" / spec.digest))
    copy.chmod(0o700)
    for beside in snapshot.path.parent.glob(f"{spec.digest}.*"):
        shutil.copy(beside, copy.parent)
    damage(copy)
    return with_files(spec, Snapshot(spec.digest, copy), compiled)


def with_compiled(spec: DeploymentSpec, damage: Damage, folder: Path) -> DeploymentSpec:
    """The right snapshot, but not what was compiled from it."""
    snapshot, compiled = files_of(spec)
    assert compiled is not None
    copy = Path(shutil.copytree(compiled, folder / "compiled" / compiled.name))
    damage(copy)
    return with_files(spec, snapshot, copy)


def with_code(spec: DeploymentSpec, folder: Path, load: str = "", predict: str = "return [0.5] * len(rows)"):
    """A pyfunc version of just this digest whose own code runs."""
    lines = [f"    {line}" for line in load.splitlines()] if load != "def :" else [load]
    head = ["class Model:", "    def predict(self, rows, params=None):", f"        {predict}", ""]
    code = "\n".join([*head, "def _load_pyfunc(path):", *lines, "    return Model()", ""])
    standard, own = "loader_module: mlflow.sklearn", "loader_module: own_loader\n    code: code"

    def fill(path: Path) -> None:
        shutil.copytree(files_of(spec)[0].path, path, dirs_exist_ok=True)
        path.chmod(0o700)
        mlmodel = path / "MLmodel"
        mlmodel.chmod(0o600)
        mlmodel.write_text(mlmodel.read_text().replace(standard, own))
        (path / "code").mkdir()
        (path / "code" / "own_loader.py").write_text(code)

    snapshot = SnapshotStore(folder / "snapshots").put(fill)
    return with_files(spec, snapshot)
