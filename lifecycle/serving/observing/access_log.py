"""The access log: one JSON line per request, with caller, model version and times. No values, no keys."""

from __future__ import annotations

import os
import time
from collections import deque
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

import orjson

from lifecycle.serving.observer import Exchange
from lifecycle.serving.observing import families as f
from lifecycle.serving.observing.board import Board
from lifecycle.serving.observing.identity import identify
from lifecycle.serving.observing.json_logging import JsonLogging
from lifecycle.serving.observing.ticker import Ticker
from lifecycle.serving.state import State

_MOST_WAITING = 20_000
_TICK_S = 0.25
_STDERR = 2


class AccessLog:
    """Formats a line at once, and writes lines in its own thread.

    A thread that also formatted them would hold the interpreter for milliseconds at a time, and requests would
    wait. Formatting takes 4 µs per request.
    """

    def __init__(self, state: State, board: Board) -> None:
        self._state = state
        self._board = board
        self._waiting: deque[bytes] = deque()
        self._logging = JsonLogging()
        self._offset = _offset()
        self._ticker = Ticker("access-log", _TICK_S, [self._flush])

    def observe(self, exchange: Exchange) -> None:
        """Record the request, without its rows."""
        if self._state.settings.access_log != "json":
            return
        if len(self._waiting) >= _MOST_WAITING:
            self._drop()
            return
        self._waiting.append(_line(exchange, self._offset))

    def close(self) -> None:
        """Write the last lines."""
        self._ticker.close()
        self._logging.switch(False)

    def _flush(self) -> None:
        self._logging.switch(self._state.settings.access_log == "json")
        self._offset = _offset()  # the system clock may have been set
        if waiting := len(self._waiting):
            _write(b"".join([self._waiting.popleft() for _ in range(waiting)]))

    def _drop(self) -> None:
        self._board.values[self._board.cells((f.LOG_DROPPED.name,), 1)] += 1


def _offset() -> float:
    """Offset from ``time.perf_counter`` to Unix time, in seconds."""
    return time.time() - time.perf_counter()


def _line(exchange: Exchange, offset: float) -> bytes:
    """One JSON object with its line end."""
    request, call = exchange.request, exchange.call
    moment = exchange.done + offset
    second = int(moment)
    return b'{"time":"%b.%06d+00:00","level":"INFO","logger":"access","request_id":"%b"%b,%b,%b}\n' % (
        _date(second),
        (moment - second) * 1e6,
        identify(request).encode(),
        _constant(_told(exchange)),
        b'"rows":%d,"bytes_in":%d,"bytes_out":%d'
        % (0 if call is None else call.rows, len(request.body), exchange.sent),
        _milliseconds(exchange),
    )


@lru_cache(maxsize=8)
def _date(second: int) -> bytes:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()


def _named(exchange: Exchange) -> tuple[str | None, str | None, int | None, str | None]:
    """Deployment, model, version and digest."""
    if exchange.release is None:
        return None, None, None, None
    desired = exchange.release.desired
    return desired.deployment, desired.model, desired.version, desired.digest


class _Told(NamedTuple):
    """The parts that most lines share, formatted once."""

    method: str
    route: str | None
    protocol: str | None
    deployment: str | None
    model: str | None
    version: int | None
    digest: str | None
    status: int
    reason: str | None
    caller: str | None


def _told(exchange: Exchange) -> _Told:
    request, refusal = exchange.request, exchange.refusal
    return _Told(
        request.method,
        exchange.route or None,
        exchange.codec or None,
        *_named(exchange),
        exchange.status,
        None if refusal is None else refusal.code,
        request.caller or None,
    )


@lru_cache(maxsize=1024)
def _constant(told: _Told) -> bytes:
    """A constant part, with a comma before it."""
    fields = told._asdict()
    if told.caller is not None:
        fields["caller"] = told.caller.encode(errors="replace").decode()  # a token can hold half a surrogate pair
    return b"," + orjson.dumps(fields)[1:-1]


def _milliseconds(exchange: Exchange) -> bytes:
    """Milliseconds of the whole request and of each stage that was reached."""
    arrived, read, decoded = exchange.request.arrived, exchange.read, exchange.decoded
    scored, done = exchange.scored, exchange.done
    ms = b'"ms":{"total":%.3f' % (1000 * (done - arrived))
    if read:
        ms += b',"read":%.3f' % (1000 * (read - arrived))
    if decoded:
        ms += b',"decode":%.3f' % (1000 * (decoded - read))
    if scored:
        ms += b',"score":%.3f,"encode":%.3f' % (1000 * (scored - decoded), 1000 * (done - scored))
    return ms + b"}"


def _write(lines: bytes) -> None:
    """Write to standard error, as all logs. A pipe may take only a part at a time."""
    while lines:
        lines = lines[os.write(_STDERR, lines) :]
