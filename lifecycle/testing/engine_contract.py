"""Contract tests for batch engines. Inherit ``EngineContract`` and supply the fixture ``engine``."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lifecycle.errors import DeploymentFailed
from lifecycle.scoring.contract import Batch, Params, Predictions, Scorer
from lifecycle.scoring.signature import Column, Signature
from lifecycle.targets.batch.chunks import addresses_of
from lifecycle.targets.batch.engine import BatchEngine, ScoringJob
from lifecycle.targets.batch.plan import BatchPlan, InputChanged, InputFile

SIGNATURE = Signature((Column("x", "double"),))
ROWS, CHUNK_ROWS = 25, 4


MakeEngine = Callable[[ScoringJob], BatchEngine]


class DoublingScorer:
    """Doubles ``x``."""

    kind = "pyfunc"
    signature = SIGNATURE

    def predict(self, batch: Batch, params: Params | None = None) -> Predictions:
        del params
        return 2 * batch["x"]

    def close(self) -> None:
        pass


class EngineContract:
    """Tests that every engine passes.

    A subclass supplies the fixture ``engine``: a function from a :class:`ScoringJob` to the engine that runs it.
    """

    @pytest.fixture
    def plan(self, tmp_path: Path) -> BatchPlan:
        """A Parquet and a CSV file; one row of the second does not fit, and one is too long."""
        source = tmp_path / "input"
        source.mkdir()
        pq.write_table(pa.table({"x": [float(n) for n in range(ROWS)]}), source / "a.parquet", row_group_size=6)
        lines = [str(n) for n in range(ROWS)]
        lines[7], lines[20] = "seven", "20,20"
        (source / "b.csv").write_text("x\n" + "\n".join(lines), encoding="utf-8")
        paths = sorted(source.iterdir())
        files = tuple(map(InputFile.pin, paths))
        chunks = addresses_of(paths, CHUNK_ROWS)
        return BatchPlan(source, files, "m", 1, "0" * 64, CHUNK_ROWS, ("x",), chunks)

    def test_each_chunk_is_done_once_and_every_row_accounted_for(
        self, engine: MakeEngine, plan: BatchPlan, tmp_path: Path
    ) -> None:
        done = list(engine(_job(tmp_path / "out")).run(plan, plan.chunks))
        assert sorted(chunk.chunk for chunk in done) == [address.number for address in plan.chunks]
        assert {chunk.chunk: chunk.rows_in for chunk in done} == {a.number: a.rows for a in plan.chunks}
        assert sum(chunk.rows_out for chunk in done) == 2 * ROWS - 2
        assert sum(chunk.rows_rejected for chunk in done) == 2
        assert {chunk.scorer for chunk in done} == {"pyfunc"}
        for part in (part for chunk in done for part in chunk.parts):
            content = (tmp_path / "out" / part.path).read_bytes()
            assert (len(content), hashlib.sha256(content).hexdigest()) == (part.bytes, part.sha256)

    def test_a_chunk_has_the_same_bytes_alone_and_among_others(
        self, engine: MakeEngine, plan: BatchPlan, tmp_path: Path
    ) -> None:
        together = {done.chunk: done for done in engine(_job(tmp_path / "out")).run(plan, plan.chunks)}
        for address in plan.chunks[::-3]:
            folder = tmp_path / f"alone-{address.number}"
            (alone,) = engine(_job(folder)).run(plan, [address])
            assert alone == together[address.number]

    def test_predictions_stand_beside_their_own_rows(
        self, engine: MakeEngine, plan: BatchPlan, tmp_path: Path
    ) -> None:
        for chunk in engine(_job(tmp_path / "out")).run(plan, plan.chunks[:3]):
            assert chunk.part is not None
            table = pq.read_table(tmp_path / "out" / chunk.part.path)
            first = plan.chunks[chunk.chunk].first_row - 1
            assert table["x"].to_pylist() == [float(n) for n in range(first, first + chunk.rows_in)]
            assert table["prediction"].to_pylist() == [2 * x for x in table["x"].to_pylist()]

    def test_nothing_missing_is_nothing_done_and_no_model_loaded(
        self, engine: MakeEngine, plan: BatchPlan, tmp_path: Path
    ) -> None:
        job = replace(_job(tmp_path / "out"), load=_no_model)
        assert list(engine(job).run(plan, [])) == []
        assert list((tmp_path / "out").iterdir()) == []

    def test_a_model_that_does_not_load_is_said_to(
        self, engine: MakeEngine, plan: BatchPlan, tmp_path: Path
    ) -> None:
        job = replace(_job(tmp_path / "out"), load=_no_model)
        with pytest.raises(DeploymentFailed, match="does not load"):
            list(engine(job).run(plan, plan.chunks))

    def test_a_file_that_is_not_the_pinned_one_is_not_scored(
        self, engine: MakeEngine, plan: BatchPlan, tmp_path: Path
    ) -> None:
        with plan.files[1].path.open("a", encoding="utf-8") as file:
            file.write("\n25")
        with pytest.raises(InputChanged, match=r"b\.csv"):
            list(engine(_job(tmp_path / "out")).run(plan, plan.chunks))


def _job(folder: Path) -> ScoringJob:
    folder.mkdir(exist_ok=True)
    return ScoringJob(folder, SIGNATURE, DoublingScorer)


def _no_model() -> Scorer:
    raise ImportError("no such library")
