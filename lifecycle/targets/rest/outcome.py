"""Waiting until a server has acted on what was asked of it, and what it says went wrong."""

from __future__ import annotations

from pathlib import Path

from lifecycle.domain.deployment import DeploymentSpec
from lifecycle.errors import Conflict, DeploymentFailed, IntegrityError, Unavailable
from lifecycle.processes.identity import ProcessId, is_alive
from lifecycle.processes.spawn import wait_until
from lifecycle.serving import control
from lifecycle.serving.control import Desired, Observed, Phase
from lifecycle.serving.settings import Settings


def running(folder: Path) -> Observed | None:
    """What the server says, or None when there is no such process."""
    observed = control.read_observed(folder)
    return observed if observed is not None and is_alive(observed.process) else None


def await_outcome(folder: Path, desired: Desired, server: ProcessId) -> None:
    """Wait until the server has acted on ``desired``.

    Raises:
        Conflict, IntegrityError, DeploymentFailed: what it says went wrong, or it ended, or took too long.
    """
    what = f"version {desired.version} of {desired.model}"

    def settled() -> bool:
        observed = control.read_observed(folder)
        return not is_alive(server) or (observed is not None and observed.generation >= desired.generation)

    try:
        wait_until(settled, desired.timeout_s, f"{what} answers")
    except Unavailable as exc:
        raise DeploymentFailed(str(exc)) from None
    observed = control.read_observed(folder)
    if observed is None or observed.generation < desired.generation:
        raise DeploymentFailed(f"the server ended while {what} was coming up: {_last_line(folder)}")
    if observed.phase is Phase.FAILED:
        error = {Conflict.code: Conflict, IntegrityError.code: IntegrityError}.get(observed.code, DeploymentFailed)
        raise error(f"{what} did not come up: {observed.error}")


def desired_of(spec: DeploymentSpec, generation: int, settings: Settings, timeout_s: float) -> Desired:
    """What the server is asked for."""
    return Desired(
        generation=generation,
        deployment=spec.name,
        model=spec.ref.name,
        version=spec.version,
        digest=spec.digest,
        snapshot=str(spec.snapshot.absolute()),
        compiled="" if spec.compiled is None else str(spec.compiled.absolute()),
        settings=settings,
        timeout_s=timeout_s,
    )


def _last_line(folder: Path) -> str:
    try:
        lines = (folder / control.LOG).read_text(encoding="utf-8", errors="replace").split("\n")
    except FileNotFoundError:  # a guest's server logs elsewhere
        return "without a word"
    return next((line[:300] for line in reversed(lines) if line.strip()), "without a word")
