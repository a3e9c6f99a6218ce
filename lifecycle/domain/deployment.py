"""A named place where a version answers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from lifecycle.domain.model import ModelRef
from lifecycle.errors import UsageError

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.\-]{0,62}[A-Za-z0-9])?")


def check_deployment_name(name: str) -> str:
    """Return ``name`` when it is safe as a file name, or raise UsageError."""
    if not _NAME.fullmatch(name) or ".." in name:
        raise UsageError(
            f"{name[:80]!r} is not a usable deployment name: use 1 to 64 letters, digits, '_', '-' and '.'"
        )
    return name


class Status(StrEnum):
    """How a deployment is doing."""

    READY = "READY"
    """It answers, or (batch, edge) its output is complete."""
    FAILED = "FAILED"
    """It does not answer, or its output could not be made."""
    STOPPED = "STOPPED"
    """It was ready once and its process is gone."""


@dataclass(frozen=True, slots=True)
class DeploymentSpec:
    """What a target is asked to bring up.

    Attributes:
        name: Unique within the target.
        ref: What the user asked for; a stage or alias means that the deployment follows it.
        version: The version that ``ref`` resolved to.
        digest: sha256 of the snapshot.
        snapshot: Folder with exactly those bytes.
        compiled: Folder of the compiled scorer for that digest, or None when pyfunc serves.
        options: The target's own options, parsed from ``-C key=value`` by the target.
    """

    name: str
    ref: ModelRef
    version: int
    digest: str
    snapshot: Path
    compiled: Path | None = None
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Deployment:
    """What a target says of a deployment.

    Attributes:
        address: Where it answers (a URL) or where its output is (a path).
        detail: Why it is not READY, or empty.
        figures: Whatever the target counts: rows in, rows out, process id …
    """

    name: str
    target: str
    ref: ModelRef
    version: int
    digest: str
    status: Status
    address: str = ""
    detail: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
