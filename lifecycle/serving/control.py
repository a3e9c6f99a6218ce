"""The two files between the target and its server: what is wanted, and what is so.

Both say a whole state and none an event, so a reader that missed one, or died, only has to look again.

::

    rest/flights/desired.json, observed.json     a server of its own
    rest/flights/guests/delays                   an empty file: rest/delays/ is answered by this server too
    rest/delays/desired.json, observed.json
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from lifecycle.durable import write_json
from lifecycle.processes.process import ProcessId
from lifecycle.serving.settings import Settings

LOG = "server.log"
_DESIRED = "desired.json"
_OBSERVED = "observed.json"
_GUESTS = "guests"


@dataclass(frozen=True, slots=True)
class Desired:
    """What should answer. Written by the target only.

    Attributes:
        generation: Grows with every change.
        snapshot, compiled: Absolute paths; ``compiled`` is empty when pyfunc serves.
        timeout_s: How long it may take to come up.
    """

    generation: int
    deployment: str
    model: str
    version: int
    digest: str
    snapshot: str
    compiled: str
    settings: Settings
    timeout_s: float = 120.0


class Phase(StrEnum):
    """How far the server got with a generation."""

    STARTING = "STARTING"
    READY = "READY"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Observed:
    """What is so. Written by the server only.

    Attributes:
        generation: The one that was last acted on.
        phase: How that ended; after FAILED the version before it still answers.
        version, digest, scorer: What answers now; 0 and empty when nothing does yet.
        code, error: Of the failure: the error's stable code and its line.
        pid, started: The server's :class:`ProcessId`.
        address: URL.
    """

    generation: int
    phase: Phase
    pid: int
    started: float
    address: str = ""
    version: int = 0
    digest: str = ""
    scorer: str = ""
    code: str = ""
    error: str = ""

    @property
    def process(self) -> ProcessId:
        """The server."""
        return ProcessId(self.pid, self.started)


def desired_stamp(folder: Path) -> tuple[int, int] | None:
    """Differs after every change of the desired state; None when there is none any more."""
    try:
        status = (folder / _DESIRED).stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_ino


def write_desired(folder: Path, desired: Desired) -> None:
    """Say what should answer."""
    write_json(folder / _DESIRED, asdict(desired))


def read_desired(folder: Path) -> Desired:
    """Raises FileNotFoundError when there is none."""
    return desired_from(json.loads((folder / _DESIRED).read_text(encoding="utf-8")))


def desired_from(fields: Mapping[str, Any]) -> Desired:
    """What ``dataclasses.asdict`` made of it."""
    return Desired(**{**fields, "settings": Settings(**fields["settings"])})


def write_observed(folder: Path, observed: Observed) -> None:
    """Say what is so."""
    write_json(folder / _OBSERVED, asdict(observed))


def read_observed(folder: Path) -> Observed | None:
    """None when no server has said anything yet."""
    try:
        fields = json.loads((folder / _OBSERVED).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return Observed(**fields | {"phase": Phase(fields["phase"])})


def forget_desired(folder: Path) -> None:
    """Nothing should answer any more."""
    (folder / _DESIRED).unlink(missing_ok=True)


def forget_observed(folder: Path) -> None:
    """Before a new server starts: what the last one said no longer counts."""
    (folder / _OBSERVED).unlink(missing_ok=True)


def guests_of(folder: Path) -> list[str]:
    """The deployments that are answered by the server of this one, by name."""
    try:
        return sorted(path.name for path in (folder / _GUESTS).iterdir() if not path.name.startswith("."))
    except FileNotFoundError:
        return []


def add_guest(folder: Path, name: str) -> None:
    """From now on this server follows that deployment too."""
    (folder / _GUESTS).mkdir(exist_ok=True)
    (folder / _GUESTS / name).touch()


def remove_guest(folder: Path, name: str) -> None:
    """Idempotent."""
    (folder / _GUESTS / name).unlink(missing_ok=True)
