"""Cost of scoring, learnt from every execution: seconds(rows) = a + b · rows."""

from __future__ import annotations

from typing import NamedTuple

_WEIGHT = 0.1
"""Weight of a new measurement: the last dozen or two decide."""
_OUTLIER = 4.0
"""A measurement is capped at this multiple of the expected time. Most slow ones mean that the machine was busy;
a model that has really become slower shows it again."""
_CONTRADICTION = 2.0
"""Smaller differences are noise."""


class _Size(NamedTuple):
    """Moving averages of batches of one size class (1, 2-3, 4-7 … rows)."""

    rows: float
    seconds: float


class CostModel:
    """The cost of one release: a line through the averages of the size classes.

    There is one average per class, not one sum over all executions: a thousand single rows would outweigh what
    the few large batches show about the slope.
    """

    def __init__(self) -> None:
        self.fixed_s = 0.0
        self.row_s = 0.0
        self.largest = 0
        """Rows of the largest batch so far."""
        self.reach = 0.0
        """Rows of the largest batches whose measurements still count; beyond, the line is a guess."""
        self._sizes: dict[int, _Size] = {}

    @property
    def known(self) -> bool:
        """Whether anything has been measured."""
        return bool(self._sizes)

    def add(self, rows: int, seconds: float) -> None:
        """Record that an execution took so long."""
        size = rows.bit_length()
        old = self._sizes.get(size)
        if old is None:
            self._sizes[size] = _Size(rows, seconds)
        else:
            seconds = min(seconds, _OUTLIER * old.seconds)
            self._sizes[size] = _Size(
                old.rows + _WEIGHT * (rows - old.rows), old.seconds + _WEIGHT * (seconds - old.seconds)
            )
        self.largest = max(self.largest, rows)
        self._forget_what_contradicts(size)
        self.reach = max(known.rows for known in self._sizes.values())
        self._fit()

    def seconds(self, rows: float) -> float:
        """Expected seconds of a batch; 0 while nothing is known."""
        return self.fixed_s + self.row_s * rows

    def rows_within(self, seconds: float) -> int:
        """Number of rows expected to be scored in that time; at least 0."""
        if self.row_s <= 0:
            return 2**40 if self.fixed_s <= seconds else 0
        return max(0, int(min((seconds - self.fixed_s) / self.row_s, 2.0**40)))

    def _forget_what_contradicts(self, size: int) -> None:
        """Drop older measurements in which more rows took less time, since they no longer hold."""
        seconds = self._sizes[size].seconds
        for other, known in list(self._sizes.items()):
            faster, slower = (known.seconds, seconds) if other > size else (seconds, known.seconds)
            if other != size and faster * _CONTRADICTION < slower:
                del self._sizes[other]

    def _fit(self) -> None:
        """Least squares of the relative error, so that long and short batches weigh the same."""
        w = wx = wxx = wy = wxy = 0.0
        for x, y in self._sizes.values():
            weight = 1.0 / max(y, 1e-7) ** 2
            w, wx, wxx = w + weight, wx + weight * x, wxx + weight * x * x
            wy, wxy = wy + weight * y, wxy + weight * x * y
        spread = w * wxx - wx * wx
        row_s = (w * wxy - wx * wy) / spread if spread > 1e-9 * w * wxx else wxy / wxx
        fixed_s = (wy - row_s * wx) / w
        if row_s < 0:
            fixed_s, row_s = wy / w, 0.0
        elif fixed_s < 0:
            fixed_s, row_s = 0.0, wxy / wxx
        self.fixed_s, self.row_s = fixed_s, row_s
