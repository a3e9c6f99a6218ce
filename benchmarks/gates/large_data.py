"""Data quality and drift of one large file: our gates, plain Evidently and plain Great Expectations."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

BLOCK = 500_000
CITIES = [f"city {i:03}" for i in range(200)]


def block(rows: int, rng: np.random.Generator) -> pa.Table:
    """Rows like those of a real service; one number in fifty is missing."""
    numbers = {f"number_{i}": rng.normal(10 * i, 1 + i, rows) for i in range(10)}
    for values in numbers.values():
        values[rng.random(rows) < 0.02] = np.nan
    counts = {f"count_{i}": rng.poisson(5 * (i + 1), rows) for i in range(4)}
    texts = {
        f"text_{i}": pa.array(CITIES[: 10 * 4**i]).take(pa.array(rng.integers(0, min(200, 10 * 4**i), rows)))
        for i in range(4)
    }
    moments = np.datetime64("2026-01-01T00:00:00", "us") + rng.integers(0, 10**13, rows).astype("timedelta64[us]")
    columns = {name: pa.array(values, from_pandas=True) for name, values in numbers.items()}
    return pa.table({**columns, **counts, **texts, "flag": rng.random(rows) < 0.3, "moment": moments})


def write(path: Path, rows: int, seed: int) -> None:
    """Write a Parquet file of so many rows, block by block."""
    rng = np.random.default_rng(seed)
    aside = path.with_suffix(".part")
    with pq.ParquetWriter(aside, block(1, rng).schema) as writer:
        for start in range(0, rows, BLOCK):
            writer.write_table(block(min(BLOCK, rows - start), rng))
    aside.replace(path)


def ours(folder: Path, current: Path) -> str:
    """Both gates in one run, in their own process as usual."""
    from lifecycle.domain.model import ModelVersion, Snapshot, TrackedData
    from lifecycle.domain.policy import GateSpec
    from lifecycle.gates.run import GateJob, Progress
    from lifecycle.gates.subprocess_runner import run_isolated

    names = ["data_quality", "drift"]
    job = GateJob(
        gates=tuple(GateSpec(name, OPTIONS.get(name, {})) for name in names),
        stage="production",
        candidate=(ModelVersion("large", 1), Snapshot("0" * 64, folder)),
        tracked=TrackedData(folder / "reference.parquet", folder / "suite.json", None),
        current=str(current),
    )
    verdicts = run_isolated(job, Progress()).verdicts
    return "; ".join(f"{v.gate} {v.outcome} in {v.seconds:.1f} s" for v in verdicts)


OPTIONS: dict[str, dict[str, object]] = {"drift": {"max_prediction_distance": None}}
"""Without a model there are no predictions to compare."""


def evidently(folder: Path, current: Path) -> str:
    """Evidently's preset on both tables."""
    import pandas as pd
    from evidently import Dataset, Report
    from evidently.presets import DataDriftPreset

    sides = [Dataset.from_pandas(pd.read_parquet(path)) for path in (current, folder / "reference.parquet")]
    result = Report([DataDriftPreset()]).run(*sides).dict()
    return f"{len(result['metrics'])} metrics"


def great_expectations(folder: Path, current: Path) -> str:
    """The same suite on its pandas engine."""
    import great_expectations as gx
    import pandas as pd

    from lifecycle.gates.column_types import plain  # it does not treat pandas' own text type as text

    suite = json.loads((folder / "suite.json").read_text())
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    batch = context.data_sources.add_pandas("p").add_dataframe_asset("a").add_batch_definition_whole_dataframe("b")
    validated = batch.get_batch({"dataframe": plain(pd.read_parquet(current))}).validate(
        gx.ExpectationSuite(**suite)
    )
    figures = validated.statistics
    return f"{figures['successful_expectations']} of {figures['evaluated_expectations']} met"


CONTENDERS: dict[str, Callable[[Path, Path], str]] = {
    "ours": ours,
    "evidently": evidently,
    "great_expectations": great_expectations,
}


def measure(name: str, folder: Path, current: Path, limit: float) -> dict[str, object]:
    """One contender in a new process: wall and CPU seconds, and peak MiB."""
    command = [sys.executable, __file__, "--contender", name, "--folder", str(folder), "--current", str(current)]
    started, peak, cpu = time.monotonic(), 0, {0: 0.0}
    process = psutil.Popen(command, stdout=subprocess.PIPE, text=True)
    while process.poll() is None:
        peak = max(peak, _memory(process, cpu))
        if time.monotonic() - started > limit:
            for child in [*process.children(recursive=True), process]:
                child.kill()
            process.wait()
            return _row(name, f"stopped after {limit:g} s", time.monotonic() - started, cpu, peak)
        time.sleep(0.2)
    said = process.stdout.read().strip().splitlines() if process.stdout else []
    return _row(name, said[-1] if said else f"exit {process.returncode}", time.monotonic() - started, cpu, peak)


def _row(name: str, said: str, seconds: float, cpu: dict[int, float], peak: int) -> dict[str, object]:
    return {
        "contender": name,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(sum(cpu.values()), 1),
        "peak_mib": round(peak / 2**20),
        "said": said,
    }


def _memory(process: psutil.Process, cpu: dict[int, float]) -> int:
    total = 0
    try:
        for one in [process, *process.children(recursive=True)]:
            total += one.memory_full_info().pss
            times = one.cpu_times()
            cpu[one.pid] = times.user + times.system
    except psutil.NoSuchProcess:
        pass
    return total


def main() -> None:
    """Make the data, run the contenders, print a line of JSON for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--only", choices=CONTENDERS, help="run this one alone")
    parser.add_argument("--limit", type=float, default=1800, help="seconds after which a contender is stopped")
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help="keep the data here and use it again")
    parser.add_argument("--current", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.contender:
        print(CONTENDERS[arguments.contender](arguments.folder, arguments.current))
        return
    with tempfile.TemporaryDirectory(prefix="lifecycle-benchmark-") as scratch:
        folder = arguments.folder or Path(scratch)
        current = folder / f"current-{arguments.rows}.parquet"
        _prepare(folder, current, arguments.rows)
        for name in [arguments.only] if arguments.only else CONTENDERS:
            print(json.dumps(measure(name, folder, current, arguments.limit)), flush=True)


def _prepare(folder: Path, current: Path, rows: int) -> None:
    from lifecycle.gates.data_quality.profiler import derive_suite

    folder.mkdir(exist_ok=True)
    if not current.exists():
        write(current, rows, seed=1)
    write(folder / "reference.parquet", 20_000, seed=2)
    reference = pq.read_table(folder / "reference.parquet").to_pandas()
    (folder / "suite.json").write_text(json.dumps(derive_suite(reference)))
    (folder / "MLmodel").write_text("flavors: {}\n")


if __name__ == "__main__":
    main()
