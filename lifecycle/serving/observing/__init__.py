"""Metrics, logs, traces and captured payloads.

A request is observed before its answer is sent, on the event loop, in a few microseconds: numbers are added up,
a line is made, references are kept. Whatever takes longer is done by threads of the worker, from bounded queues
that drop rather than wait, and count what they drop.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from lifecycle.serving.kept import COUNTS
from lifecycle.serving.observer import Observer
from lifecycle.serving.observing.access_log import AccessLog
from lifecycle.serving.observing.board import Board
from lifecycle.serving.observing.capture import Capture
from lifecycle.serving.observing.exposition import Boards
from lifecycle.serving.observing.identity import tracing_wanted
from lifecycle.serving.observing.metrics import Metrics
from lifecycle.serving.observing.tracing import tracing_or_none
from lifecycle.serving.state import State

_SWITCH_S = 0.0005


def make_observers(state: State, folder: Path) -> Sequence[Observer]:
    """Make all observers. Called once in each worker, after any fork; starts threads.

    Each request reads the settings anew, so an update needs no new observers.

    Args:
        folder: The deployment's folder, for what is kept.
    """
    # With Python's own 5 ms, a thread that wants to answer would wait noticeably for one that writes.
    sys.setswitchinterval(_SWITCH_S)
    counts = folder / COUNTS
    counts.mkdir(parents=True, exist_ok=True)
    board = Board(counts)
    state.exposition = Boards(counts)
    observers: list[Observer] = [AccessLog(state, board), Capture(state, board, folder)]
    if tracing_wanted() and (tracing := tracing_or_none(board, state.releases.default)) is not None:
        observers.append(tracing)
    return (*observers, Metrics(state, board, counts))  # last: the others count on its board until they are closed
