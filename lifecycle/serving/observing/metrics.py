"""Counts every request for Prometheus.

Counting one request takes 2 µs; in prometheus_client's own multiprocess mode it takes 23 µs, for that has a
lock and two look-ups for each number.
"""

from __future__ import annotations

from bisect import bisect_left
from pathlib import Path

from lifecycle.serving.measures import CELLS
from lifecycle.serving.observer import Exchange
from lifecycle.serving.observing import families as f
from lifecycle.serving.observing.board import Board
from lifecycle.serving.observing.gauges import Gauges
from lifecycle.serving.observing.ticker import Ticker
from lifecycle.serving.state import State

PAGE = "page"
"""Protocol label of all paths that do not score, unknown paths included."""
MEASURES = ("measures",)
"""Board series that holds a worker's :class:`lifecycle.serving.measures.Measures`."""
_TICK_S = 0.5
STAGES = ("read", "decode", "score", "encode")


class _Places:
    """Board positions of the numbers of one protocol, model and status."""

    __slots__ = ("decode", "encode", "read", "received", "requests", "rows", "score", "seconds", "sent")

    def __init__(self, board: Board, protocol: str, model: str, status: int) -> None:
        def place(family: f.Family, *labels: str) -> int:
            return board.cells((family.name, protocol, model, *labels), family.cells)

        self.requests = place(f.REQUESTS, str(status))
        self.seconds = place(f.SECONDS)
        self.received, self.sent, self.rows = place(f.RECEIVED), place(f.SENT), place(f.ROWS)
        self.read, self.decode, self.score, self.encode = (place(f.STAGES, stage) for stage in STAGES)


class Metrics:
    """Counts requests on a board.

    Args:
        folder: The board's folder.
    """

    def __init__(self, state: State, board: Board, folder: Path) -> None:
        self._board = board
        self._values = values = board.values
        self._places: dict[tuple[str, str, int], _Places] = {}
        start = board.cells(MEASURES, CELLS)
        state.measures.keep_in(values[start : start + CELLS])
        self._gauges = Gauges(state, board, folder)
        self._ticker = Ticker("gauges", _TICK_S, [self._gauges.tick])

    def observe(self, exchange: Exchange) -> None:
        """Count one request."""
        release, values = exchange.release, self._values
        key = (exchange.codec, "" if release is None else release.desired.deployment, exchange.status)
        at = self._places.get(key) or self._place(key)
        request, done = exchange.request, exchange.done
        values[at.requests] += 1
        seconds = done - request.arrived
        values[at.seconds] += seconds
        values[at.seconds + 1 + bisect_left(f.SECONDS.bounds, seconds)] += 1
        values[at.received] += len(request.body)
        values[at.sent] += exchange.sent
        if exchange.refusal is not None:
            self._refused(exchange.refusal.code, key)
        if exchange.read:
            self._stages(exchange, at)

    def close(self) -> None:
        """Mark this worker as ended; its counts are on the board already."""
        self._ticker.close()
        self._gauges.close()
        self._board.close()

    def _stages(self, exchange: Exchange, at: _Places) -> None:
        values, bounds = self._values, f.STAGES.bounds
        read, decoded, scored = exchange.read, exchange.decoded, exchange.scored
        seconds = read - exchange.request.arrived
        values[at.read] += seconds
        values[at.read + 1 + bisect_left(bounds, seconds)] += 1
        if decoded:
            seconds = decoded - read
            values[at.decode] += seconds
            values[at.decode + 1 + bisect_left(bounds, seconds)] += 1
        if scored:
            seconds = scored - decoded
            values[at.score] += seconds
            values[at.score + 1 + bisect_left(bounds, seconds)] += 1
            seconds = exchange.done - scored
            values[at.encode] += seconds
            values[at.encode + 1 + bisect_left(bounds, seconds)] += 1
            if exchange.call is not None:
                values[at.rows] += exchange.call.rows

    def _refused(self, reason: str, key: tuple[str, str, int]) -> None:
        place = self._board.cells((f.REFUSALS.name, key[0] or PAGE, key[1], reason), f.REFUSALS.cells)
        self._values[place] += 1

    def _place(self, key: tuple[str, str, int]) -> _Places:
        protocol, model, status = key
        at = self._places[key] = _Places(self._board, protocol or PAGE, model, status)
        return at
