"""The compiled form of a model: what it takes to run it, and reading it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lifecycle.errors import IntegrityError

TOLERANCE = 1e-6
"""Largest difference, relative for values above 1, that still counts as the same prediction: the compiled
trees add up float32 leaves, which costs about 2e-7."""
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
        scorer: What it takes to run it: its one input (None for one a column), what it answers with, and its
            outputs with their types.
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
        scorer = _with_outputs(manifest["scorer"])
        found = CompiledModel(manifest["digest"], manifest["signature"], scorer, onnx)
        sha256 = manifest["members"][MODEL]["sha256"]
    except (OSError, ValueError, LookupError, TypeError) as exc:
        raise IntegrityError(f"{folder} holds no compiled scorer ({type(exc).__name__})") from exc
    if hashlib.sha256(onnx).hexdigest() != sha256:
        raise IntegrityError(
            f"{folder / MODEL} is not the model that was compiled; delete its folder to have it compiled anew"
        )
    return found


def _with_outputs(scorer: Mapping[str, Any]) -> Mapping[str, Any]:
    """A manifest's ``scorer`` in today's form. Before format 2 there was one output, and it was an array."""
    if "outputs" in scorer:
        return scorer
    only = {"output": scorer["output"], "name": "", "dtype": scorer["dtype"], "row_shape": scorer["row_shape"]}
    tolerance = {"tolerance": scorer.get("tolerance", TOLERANCE)}
    return {**scorer, "answer": "array", "outputs": [only | tolerance]}


def _manifest(folder: Path) -> dict[str, Any]:
    if not (folder / MANIFEST).exists() and (folder / "scorer.json").exists():
        # Of the release before bundles; a server that it started may still name this folder.
        old = json.loads((folder / "scorer.json").read_text(encoding="utf-8"))
        return {**old, "scorer": old, "members": {MODEL: {"sha256": old["sha256"]}}}
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    return manifest
