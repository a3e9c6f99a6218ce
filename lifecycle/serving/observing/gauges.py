"""Current state, written to the board every second for whichever worker is scraped."""

from __future__ import annotations

import os
import time
from pathlib import Path

import psutil

from lifecycle.durable import write_json
from lifecycle.serving.observing import families as f
from lifecycle.serving.observing.board import Board
from lifecycle.serving.state import State

MODELS = ".models.json"


class Gauges:
    """Reads the server's state. Several threads may, since it is plain numbers.

    Args:
        folder: The board's folder. The versions that answer are written beside it, since labels are not numbers.
    """

    def __init__(self, state: State, board: Board, folder: Path) -> None:
        self._state = state
        self._board = board
        self._models_file = folder / f"{board.number}{MODELS}"
        self._models: list[list[str]] | None = None
        self._serving: dict[str, str] = {}
        self._process = psutil.Process()
        self._set(f.SINCE, time.time())
        self._add(f.STARTS, 1)

    def tick(self) -> None:
        """Write the current state."""
        state, process = self._state, self._process
        self._set(f.READY, float(state.ready))
        self._set(f.IN_FLIGHT, state.in_flight)
        self._set(f.HELD, state.held)
        self._set(f.QUEUED, state.measures.queued_requests)
        self._set(f.QUEUED_ROWS, state.measures.queued_rows)
        self._set(f.CPU, sum(os.times()[:2]))
        self._set(f.MEMORY, process.memory_info().rss)
        self._set(f.FILES, process.num_fds())
        self._tell_models()

    def close(self) -> None:
        """Mark that this worker serves nothing any more."""
        self._models_file.unlink(missing_ok=True)

    def _tell_models(self) -> None:
        models, swaps = [], 0
        for release in self._state.releases.all():
            d = release.desired
            models.append([d.deployment, d.model, str(d.version), d.digest, release.engine.kind])
            before, now = self._serving.get(d.deployment), f"{d.version} {d.digest}"
            swaps += before is not None and before != now
            self._serving[d.deployment] = now
        if swaps:
            self._add(f.SWAPS, swaps)
        if models != self._models:
            self._models = models
            write_json(self._models_file, models)

    def _set(self, family: f.Family, value: float) -> None:
        self._board.values[self._board.cells((family.name,), 1)] = value

    def _add(self, family: f.Family, value: float) -> None:
        self._board.values[self._board.cells((family.name,), 1)] += value
