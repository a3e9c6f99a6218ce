"""Captures a sample of requests and answers as Parquet files that gates can read as current data.

Observing a request keeps references to its arrays; a thread writes them to files. When the thread is
behind, requests are answered on time but not captured, and counted as dropped.
"""

from __future__ import annotations

import logging
from collections import deque
from pathlib import Path
from random import random
from typing import TYPE_CHECKING

from lifecycle.errors import OptionError
from lifecycle.serving.kept import CAPTURED
from lifecycle.serving.observer import Exchange
from lifecycle.serving.observing import families as f
from lifecycle.serving.observing.board import Board
from lifecycle.serving.observing.ticker import Ticker
from lifecycle.serving.state import State

if TYPE_CHECKING:
    from lifecycle.serving.observing.captured_files import CapturedFiles

_LOG = logging.getLogger(__name__)
BUSY, FAILED = "busy", "failed"
_MOST_REQUESTS = 2048
_MOST_BYTES = 32 * 2**20
_TICK_S = 0.2


class Capture:
    """Takes samples while the settings ask for it.

    pyarrow is loaded at the start if it will be needed, as requests would wait for it later; after an update
    that asks for capture, with the first sample.

    Args:
        folder: The deployment's folder.
    """

    def __init__(self, state: State, board: Board, folder: Path) -> None:
        self._state = state
        self._board = board
        self._folder = folder / CAPTURED
        self._waiting: deque[Exchange] = deque()
        self._taken_bytes = self._done_bytes = 0  # each is written by one thread only
        self._ticker: Ticker | None = None
        self._files: CapturedFiles | None = None
        self._closing = False
        if state.settings.capture:
            self._start()

    def observe(self, exchange: Exchange) -> None:
        """Keep a reference to the exchange if it is sampled."""
        share = self._state.settings.capture
        if not share or exchange.predictions is None or (share < 1 and random() >= share):  # noqa: S311  no secret
            return
        size = len(exchange.request.body)
        if (
            len(self._waiting) >= _MOST_REQUESTS
            or self._taken_bytes - self._done_bytes + size > _MOST_BYTES
            or self._closing
        ):
            self._count(f.CAPTURE_DROPPED, 1, BUSY)
            return
        self._taken_bytes += size
        self._waiting.append(exchange)
        if self._ticker is None:
            self._start()

    def close(self) -> None:
        """Write what was captured."""
        self._closing = True
        if self._ticker is not None:
            self._ticker.close()

    def _start(self) -> None:
        self._ticker = Ticker("capture", _TICK_S, [self._work])

    def _work(self) -> None:
        """Turn waiting exchanges into columns, and columns into files once there are enough."""
        budget = int(self._state.settings.capture_mb * 2**20)
        if self._files is None:
            from lifecycle.serving.observing.captured_files import CapturedFiles  # pyarrow takes 50 MiB

            self._files = CapturedFiles(self._folder, self._board.number, budget)
        by_version: dict[tuple[str, int, str], list[Exchange]] = {}
        for _ in range(len(self._waiting)):
            exchange = self._waiting.popleft()
            self._done_bytes += len(exchange.request.body)
            if exchange.release is not None:
                d = exchange.release.desired
                by_version.setdefault((d.deployment, d.version, d.digest), []).append(exchange)
        for exchanges in by_version.values():
            self._add(self._files, exchanges)
        self._write(self._files, budget)

    def _add(self, files: CapturedFiles, exchanges: list[Exchange]) -> None:
        try:
            files.add(exchanges, frozenset(self._state.settings.capture_mask))
        except OptionError as exc:  # about a column's name; repeated until the setting is corrected
            self._fail(len(exchanges), str(exc))
        except Exception as exc:  # without the exception's text, which may quote rows
            self._fail(len(exchanges), type(exc).__name__)

    def _write(self, files: CapturedFiles, budget: int) -> None:
        for group in files.due(budget, at_once=self._closing):
            try:
                files.write(group, budget)
            except OSError as exc:
                self._fail(group.requests, str(exc.strerror))
            else:
                self._count(f.CAPTURED, group.rows)
        self._board.values[self._board.cells((f.CAPTURE_BYTES.name,), 1)] = files.kept_bytes

    def _fail(self, requests: int, why: str) -> None:
        _LOG.warning("%d requests were not captured: %s", requests, why)
        self._count(f.CAPTURE_DROPPED, requests, FAILED)

    def _count(self, family: f.Family, number: int, *labels: str) -> None:
        self._board.values[self._board.cells((family.name, *labels), 1)] += number
