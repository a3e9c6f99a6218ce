"""All gates of a stage, one after the other."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from traceback import extract_tb

from lifecycle.domain.policy import GateSpec
from lifecycle.domain.verdict import Verdict
from lifecycle.errors import LifecycleError, NotFound
from lifecycle.gates.contract import Gate
from lifecycle.gates.discovery import load_gate
from lifecycle.gates.subject import Subject
from lifecycle.gates.verdicts import broke, inconclusive

_log = logging.getLogger(__name__)


def run_gates(
    specs: Sequence[GateSpec],
    subject: Subject,
    on_start: Callable[[str], object] = lambda _: None,
    on_verdict: Callable[[Verdict], object] = lambda _: None,
) -> tuple[Verdict, ...]:
    """One verdict per gate, in order. Every gate runs, whatever the ones before it said.

    Args:
        specs: The policy's gates. All their names and options are checked before the first one runs.
        subject: What they judge.
        on_start: Told a gate's name before it runs.
        on_verdict: Told its verdict.

    Raises:
        ConfigError: an unknown gate or a wrong option; nothing ran.
        UsageError: a gate cannot be imported; nothing ran.
    """
    gates = [load_gate(spec) for spec in specs]
    return tuple(_run(gate, subject, on_start, on_verdict) for gate in gates)


def _run(
    gate: Gate, subject: Subject, on_start: Callable[[str], object], on_verdict: Callable[[Verdict], object]
) -> Verdict:
    on_start(gate.name)
    started = time.monotonic()
    verdict = replace(_evaluate(gate, subject), seconds=time.monotonic() - started)
    on_verdict(verdict)
    return verdict


def _evaluate(gate: Gate, subject: Subject) -> Verdict:
    try:
        return gate.evaluate(subject)
    except NotFound as exc:
        return inconclusive(gate.name, "not_found", f"Something to judge on is missing: {exc}")
    except LifecycleError as exc:
        return broke(gate.name, "error", f"The gate could not finish: {exc}")
    except Exception as exc:
        _log.debug("gate %s broke", gate.name, exc_info=True)
        return broke(gate.name, "error", f"The gate broke: {_where(exc)}. See it all with --debug.")


def _where(exc: Exception) -> str:
    """Type and place of an exception. Not its text, which quotes row values more often than not."""
    if isinstance(exc, ImportError):
        return f"{type(exc).__name__}: {exc}"
    frames = extract_tb(exc.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return type(exc).__name__ + place
