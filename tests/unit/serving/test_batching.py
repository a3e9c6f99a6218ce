"""Batches form while another is scored; each request gets its own answer, and nobody pays for a neighbour."""

from __future__ import annotations

import asyncio
import threading
from time import perf_counter

import numpy as np
import pytest

from lifecycle.scoring.signature import Column, InvalidInput, Signature
from lifecycle.serving.engines.in_process import InProcess
from lifecycle.serving.measures import ABANDONED, BATCH_BOUNDS, EXPIRED, Measures
from lifecycle.serving.refusal import Refusal
from lifecycle.serving.settings import Settings

LATER = float("inf")
ONE_PLACE = 10**6  # more workers than cores: each has one thread


class Gated:
    """A scorer that doubles, once it may, and remembers what it was asked."""

    signature = Signature((Column("x", "double"),))
    kind = "compiled"

    def __init__(self) -> None:
        self.batches: list[list[float]] = []
        self.params: list[object] = []
        self.open = threading.Event()

    def predict(self, batch, params=None):
        self.batches.append(batch["x"].tolist())
        self.params.append(params)
        assert self.open.wait(10)
        if (batch["x"] < 0).any():
            raise InvalidInput("negative")
        return batch["x"] * 2

    def close(self) -> None:
        pass


class Bench:
    """An engine over a gated scorer, with one request inside so that the others have to wait."""

    def __init__(self, **settings) -> None:
        self.scorer = Gated()
        self.measures = Measures()
        self.engine = InProcess(
            self.scorer, Settings(workers=ONE_PLACE, **{"max_in_flight": 1000} | settings), self.measures
        )
        for rows in (1, 64):
            self.engine.measured(rows, 0.002 + 1e-4 * rows)

    async def __aenter__(self):
        self.first = self.ask(0.0)
        while not self.scorer.batches:
            await asyncio.sleep(0.001)
        return self

    async def __aexit__(self, *_):
        self.scorer.open.set()
        assert (await self.first).tolist() == [0.0]
        assert (self.measures.queued_requests, self.measures.queued_rows) == (0, 0)
        self.engine.close()

    def ask(self, *values, params=None, deadline=LATER):
        batch = {"x": np.array(values)}
        return asyncio.ensure_future(self.engine.score(batch, len(values), params, deadline))

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)


def run(main) -> None:
    asyncio.run(main())


def test_what_arrives_while_one_batch_is_scored_is_the_next_batch_and_each_gets_its_own():
    async def main():
        async with Bench() as bench:
            waiting = [bench.ask(*range(i, i + i % 3 + 1)) for i in range(1, 30)]
            await bench.settle()
            bench.scorer.open.set()
            for i, answer in enumerate(await asyncio.gather(*waiting), start=1):
                assert answer.tolist() == [2.0 * value for value in range(i, i + i % 3 + 1)]
        assert len(bench.scorer.batches) == 2
        assert bench.measures.cells[0] == 1 + sum(i % 3 + 1 for i in range(1, 30))

    run(main)


def test_a_batch_stays_within_the_latency_that_was_asked_for():
    async def main():
        async with Bench(batch_latency_ms=5) as bench:  # of about 2 ms and 0.1 ms a row
            waiting = [bench.ask(float(i)) for i in range(60)]
            await bench.settle()
            bench.scorer.open.set()
            await asyncio.gather(*waiting)
        assert 20 <= len(bench.scorer.batches[1]) <= 40

    run(main)


def test_a_batch_grows_no_further_than_twice_what_has_been_measured():
    async def main():
        async with Bench() as bench:
            waiting = [bench.ask(*range(10)) for _ in range(50)]
            await bench.settle()
            bench.scorer.open.set()
            await asyncio.gather(*waiting)
        sizes = [len(batch) for batch in bench.scorer.batches]
        assert sizes[:2] == [1, 120]  # 64 have been measured
        assert all(size <= 2 * max(64, *sizes[:i]) for i, size in enumerate(sizes) if i > 1)
        assert sum(sizes) == 501

    run(main)


def test_a_request_that_is_larger_than_any_batch_is_scored_alone():
    async def main():
        async with Bench() as bench:
            waiting = [bench.ask(1.0), bench.ask(*range(5000)), bench.ask(2.0)]
            await bench.settle()
            bench.scorer.open.set()
            small, large, last = await asyncio.gather(*waiting)
            assert (small.tolist(), len(large), last.tolist()) == ([2.0], 5000, [4.0])
        assert [len(batch) for batch in bench.scorer.batches[:3]] == [1, 1, 5000]

    run(main)


def test_half_of_all_that_are_let_in_are_left_for_the_next_batch():
    async def main():
        async with Bench(max_in_flight=16) as bench:
            waiting = [bench.ask(float(i)) for i in range(20)]
            await bench.settle()
            bench.scorer.open.set()
            await asyncio.gather(*waiting)
        assert [len(batch) for batch in bench.scorer.batches] == [1, 8, 8, 4]

    run(main)


def test_only_requests_with_the_same_parameters_are_put_together():
    async def main():
        async with Bench() as bench:
            waiting = [bench.ask(float(i), params={"p": i % 2} if i % 3 else None) for i in range(12)]
            await bench.settle()
            bench.scorer.open.set()
            assert [a.tolist() for a in await asyncio.gather(*waiting)] == [[2.0 * i] for i in range(12)]
        assert bench.scorer.params == [None, None, {"p": 1}, {"p": 0}]

    run(main)


def test_columns_of_another_type_or_shape_are_scored_apart():
    async def main():
        async with Bench() as bench:
            single = {"x": np.array([3.0], np.float32)}
            wide = {"x": np.ones((1, 2))}
            waiting = [bench.ask(1.0)]
            waiting += [asyncio.ensure_future(bench.engine.score(b, 1, None, LATER)) for b in (single, wide)]
            await bench.settle()
            bench.scorer.open.set()
            answers = await asyncio.gather(*waiting)
            assert [(a.dtype, a.shape) for a in answers] == [("f8", (1,)), ("f4", (1,)), ("f8", (1, 2))]

    run(main)


def test_a_bad_request_fails_alone():
    async def main():
        async with Bench() as bench:
            waiting = [bench.ask(float(i)) for i in (1, 2, -1, 3, 4)]
            await bench.settle()
            bench.scorer.open.set()
            one, two, bad, three, four = await asyncio.gather(*waiting, return_exceptions=True)
            assert [a.tolist() for a in (one, two, three, four)] == [[2.0], [4.0], [6.0], [8.0]]
            assert isinstance(bad, InvalidInput)
        assert bench.scorer.batches[1:] == [[1, 2, -1, 3, 4], [1], [2], [-1], [3], [4]]

    run(main)


def test_whoever_has_gone_is_not_scored_and_counted():
    async def main():
        async with Bench() as bench:
            stays, goes = bench.ask(1.0), bench.ask(2.0)
            await bench.settle()
            goes.cancel()
            await bench.settle()
            assert (bench.measures.queued_requests, bench.measures.queued_rows) == (1, 1)
            bench.scorer.open.set()
            assert (await stays).tolist() == [2.0]
        assert bench.scorer.batches == [[0.0], [1.0]]
        assert dropped(bench.measures) == (0, 1)

    run(main)


def test_whoever_waits_too_long_is_told_so_in_time_not_scored_and_counted():
    async def main():
        async with Bench() as bench:
            stays, late = bench.ask(1.0), bench.ask(2.0, deadline=perf_counter() + 0.05)
            with pytest.raises(Refusal) as refusal:
                await late  # while the first batch is still being scored
            assert refusal.value.status == 504
            bench.scorer.open.set()
            assert (await stays).tolist() == [2.0]
        assert bench.scorer.batches == [[0.0], [1.0]]
        assert dropped(bench.measures) == (1, 0)

    run(main)


def test_more_rows_than_may_wait_are_refused_at_once_and_the_others_answered():
    async def main():
        async with Bench(max_queue_rows=5) as bench:
            waiting = [bench.ask(1.0, 2.0, 3.0), bench.ask(4.0, 5.0)]
            await bench.settle()
            with pytest.raises(Refusal) as refusal:
                await bench.ask(6.0)
            assert refusal.value.status == 429
            assert (b"retry-after", b"1") in refusal.value.headers
            bench.scorer.open.set()
            assert [len(a) for a in await asyncio.gather(*waiting)] == [3, 2]

    run(main)


def test_what_cannot_be_done_in_time_is_not_begun():
    async def main():
        bench = Bench()
        bench.scorer.open.set()
        await bench.ask(0.0)
        for _ in range(200):
            bench.engine.measured(1, 1.0)
        with pytest.raises(Refusal) as refusal:
            await bench.ask(1.0, deadline=perf_counter() + 0.05)
        assert refusal.value.status == 504
        assert bench.scorer.batches == [[0.0]]

    run(main)


def test_a_model_that_miscounts_answers_nobody_with_somebody_elses_prediction():
    class Miscounts(Gated):
        def predict(self, batch, params=None):
            answer = super().predict(batch, params)
            return answer[:1] if len(answer) > 1 else answer

    async def main():
        async with Bench() as bench:
            bench.engine._threads._scorer = miscounts = Miscounts()
            miscounts.open.set()
            waiting = [bench.ask(float(i)) for i in range(3)]
            await bench.settle()
            bench.scorer.open.set()
            assert [a.tolist() for a in await asyncio.gather(*waiting)] == [[0.0], [2.0], [4.0]]

    run(main)


def dropped(measures: Measures) -> tuple[float, float]:
    """How many were dropped because they were late, and because nobody waited."""
    expired, abandoned = measures.cells[len(BATCH_BOUNDS) + 2 :]
    assert (EXPIRED, ABANDONED) == ("expired", "abandoned")
    return expired, abandoned
