"""Metrics, logs, traces and captured payloads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lifecycle.serving.observer import Observer
from lifecycle.serving.state import State


def make_observers(state: State, folder: Path) -> Sequence[Observer]:
    """Those that the settings ask for.

    Args:
        folder: The deployment's own, for what is kept.
    """
    del state, folder
    return ()
