"""The two files between target and server: the desired and the observed state.

Each holds a whole state, not an event, so a reader that missed one, or restarted, just reads it again.

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
    """The desired state. Written by the target only.

    Attributes:
        generation: Grows with every change.
        snapshot, compiled: Absolute paths; ``compiled`` is empty when pyfunc serves.
        timeout_s: Seconds that it may take to start.
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
    """The observed state. Written by the server only.

    Attributes:
        generation: The generation that was last acted on.
        phase: Its result; after FAILED the version before still answers.
        version, digest, scorer: What answers now; 0 and empty when nothing does.
        code, error: Stable code and message of a failure.
        pid, started: The server's :class:`ProcessId`.
        address: URL of the server.
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
        """Identity of the server's process."""
        return ProcessId(self.pid, self.started)


def desired_stamp(folder: Path) -> tuple[int, int] | None:
    """Differs after every change of the desired state; None when there is none."""
    try:
        status = (folder / _DESIRED).stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_ino


def write_desired(folder: Path, desired: Desired) -> None:
    """Write the desired state."""
    write_json(folder / _DESIRED, asdict(desired))


def read_desired(folder: Path) -> Desired:
    """The desired state. Raises FileNotFoundError when there is none."""
    return desired_from(json.loads((folder / _DESIRED).read_text(encoding="utf-8")))


def desired_from(fields: Mapping[str, Any]) -> Desired:
    """A desired state from the fields that ``dataclasses.asdict`` gave."""
    return Desired(**{**fields, "settings": Settings(**fields["settings"])})


def write_observed(folder: Path, observed: Observed) -> None:
    """Write the observed state."""
    write_json(folder / _OBSERVED, asdict(observed))


def read_observed(folder: Path) -> Observed | None:
    """The observed state; None when no server has written one."""
    try:
        fields = json.loads((folder / _OBSERVED).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return Observed(**fields | {"phase": Phase(fields["phase"])})


def forget_desired(folder: Path) -> None:
    """Remove the desired state, so that the server ends."""
    (folder / _DESIRED).unlink(missing_ok=True)


def forget_observed(folder: Path) -> None:
    """Remove the observed state of the last server before a new one starts."""
    (folder / _OBSERVED).unlink(missing_ok=True)


def guests_of(folder: Path) -> list[str]:
    """Names of the deployments that this one's server also serves."""
    try:
        return sorted(path.name for path in (folder / _GUESTS).iterdir() if not path.name.startswith("."))
    except FileNotFoundError:
        return []


def add_guest(folder: Path, name: str) -> None:
    """Make this server serve another deployment too."""
    (folder / _GUESTS).mkdir(exist_ok=True)
    (folder / _GUESTS / name).touch()


def remove_guest(folder: Path, name: str) -> None:
    """Stop serving that deployment here. Idempotent."""
    (folder / _GUESTS / name).unlink(missing_ok=True)
