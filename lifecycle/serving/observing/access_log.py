"""A line of JSON a request: who asked what, of which version, and how long it took. Never a value, never a key."""

from __future__ import annotations

import os
import time
from collections import deque
from datetime import UTC, datetime

import orjson

from lifecycle.serving.observer import Exchange
from lifecycle.serving.observing import families as f
from lifecycle.serving.observing.board import Board
from lifecycle.serving.observing.json_logging import JsonLogging
from lifecycle.serving.observing.record import Record, record_of
from lifecycle.serving.observing.ticker import Ticker
from lifecycle.serving.state import State

_MOST_WAITING = 20_000
_AT_ONCE = 50
_TICK_S = 0.25
_STDERR = 2


class AccessLog:
    """Keeps what a line needs, and writes lines in a thread of its own."""

    def __init__(self, state: State, board: Board) -> None:
        self._state = state
        self._board = board
        self._waiting: deque[Record] = deque()
        self._logging = JsonLogging()
        self._ticker = Ticker("access-log", _TICK_S, [self._flush])

    def observe(self, exchange: Exchange) -> None:
        """Take down what the line needs and nothing that holds rows."""
        if self._state.settings.access_log != "json":
            return
        if len(self._waiting) >= _MOST_WAITING:
            self._drop()
            return
        self._waiting.append(record_of(exchange))

    def close(self) -> None:
        """Write the last lines."""
        self._ticker.close()
        self._logging.switch(False)

    def _flush(self) -> None:
        """Write what is waiting. A piece at a time: the thread that answers wants to run in between."""
        self._logging.switch(self._state.settings.access_log == "json")
        offset = time.time() - time.perf_counter()
        while self._waiting:
            lines = [_line(self._waiting.popleft(), offset) for _ in range(min(_AT_ONCE, len(self._waiting)))]
            _write(b"".join(lines))

    def _drop(self) -> None:
        self._board.values[self._board.cells((f.LOG_DROPPED.name,), 1)] += 1


def _line(record: Record, offset: float) -> bytes:
    """Newline included. ``offset`` turns seconds of ``time.perf_counter`` into Unix time."""
    desired = record.desired
    fields = {
        "time": datetime.fromtimestamp(record.done + offset, UTC),
        "level": "INFO",
        "logger": "access",
        "request_id": record.id,
        "method": record.method,
        "route": record.route or None,
        "protocol": record.protocol or None,
        "deployment": desired and desired.deployment,
        "model": desired and desired.model,
        "version": desired and desired.version,
        "digest": desired and desired.digest,
        "status": record.status,
        "reason": record.reason or None,
        "caller": record.caller or None,
        "rows": record.rows,
        "bytes_in": record.received,
        "bytes_out": record.sent,
        "ms": _milliseconds(record),
    }
    return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)


def _milliseconds(record: Record) -> dict[str, float]:
    """Of all of it, and of the stages that were reached."""
    arrived, read, decoded, scored, done = record[-5:]
    ms = {"total": round(1000 * (done - arrived), 3)}
    if read:
        ms["read"] = round(1000 * (read - arrived), 3)
    if decoded:
        ms["decode"] = round(1000 * (decoded - read), 3)
    if scored:
        ms["score"] = round(1000 * (scored - decoded), 3)
        ms["encode"] = round(1000 * (done - scored), 3)
    return ms


def _write(lines: bytes) -> None:
    """To standard error, as everything that the server says. A pipe may take only a part at once."""
    while lines:
        lines = lines[os.write(_STDERR, lines) :]
