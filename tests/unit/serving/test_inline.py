"""What is cheap is scored at once; what is not, or not known to be, waits for its turn."""

from __future__ import annotations

import time

import numpy as np
import pytest

from lifecycle.scoring.signature import Column, Signature
from lifecycle.serving.engines.in_process import InProcess
from lifecycle.serving.engines.warm_up import warm_up


class Takes:
    """A scorer that doubles, in a given time."""

    signature = Signature((Column("x", "double"),))
    kind = "compiled"

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.sizes: list[int] = []

    def predict(self, batch, params=None):
        self.sizes.append(len(batch["x"]))
        time.sleep(self.seconds)
        return batch["x"] * 2

    def close(self) -> None:
        pass


def at_once(engine, rows: int):
    return engine.inline({"x": np.ones(rows)}, rows, None)


@pytest.fixture
def engine():
    engine = InProcess(Takes())
    yield engine
    engine.close()


def test_what_is_not_known_is_not_tried_on_the_event_loop(engine):
    assert at_once(engine, 1) is None


def test_what_is_cheap_is_scored_at_once_and_what_is_not_is_left(engine):
    for rows in (1, 64, 4096):
        engine.measured(rows, 1e-5 + 1e-6 * rows)
    assert at_once(engine, 1).tolist() == [2.0]
    assert len(at_once(engine, 500)) == 500
    assert at_once(engine, 2000) is None


def test_a_size_far_beyond_what_is_known_is_not_tried(engine):
    engine.measured(1, 1e-7)
    assert at_once(engine, 3) is None
    assert at_once(engine, 2) is not None


def test_a_model_that_becomes_slow_is_taken_off_the_event_loop(engine):
    engine.measured(1, 1e-4)
    engine._scorer.seconds = 0.003
    tries = 0
    while at_once(engine, 1) is not None:
        tries += 1
        assert tries < 100


def test_warming_up_stops_where_it_would_take_long():
    quick, slow = Takes(), Takes(0.25)
    assert [rows for rows, _ in warm_up(quick, {"x": np.ones(5)})] == [1, 8, 64]
    assert [rows for rows, _ in warm_up(slow, {"x": np.ones(5)})] == [1]
    assert warm_up(quick, None) == warm_up(quick, {"x": np.empty(0)}) == []
