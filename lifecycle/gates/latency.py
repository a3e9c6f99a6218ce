"""The latency gate: whether the model is fast and small enough, as measured in this run."""

from __future__ import annotations

import json
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from lifecycle.domain.charts import Bar, BarChart
from lifecycle.domain.verdict import Figure, Verdict
from lifecycle.gates.contract import GateOptions, broke, failed, inconclusive, limit_field, passed
from lifecycle.gates.latency_probe import Request
from lifecycle.gates.subject import Candidate, Subject, ask, batches_of, has_values
from lifecycle.scoring.contract import Batch, row_count
from lifecycle.scoring.json_rows import golden_batch
from lifecycle.scoring.signature import InvalidInput, NoSignature

_TIMES = ("p50_ms", "p99_ms", "batch_p50_ms", "batch_p99_ms")
_SIZES = {"max_mib_disk": "mib_disk", "max_mib_memory": "mib_memory"}


class LatencyOptions(GateOptions):
    """Limits for latency and size. At least one is required."""

    p50_ms: float | None = limit_field("Milliseconds that half of the calls with one row may take at most.", gt=0)
    p99_ms: float | None = limit_field("Milliseconds that 99 % of the calls with one row may take at most.", gt=0)
    batch_p50_ms: float | None = limit_field("As p50_ms, for calls with batch_rows rows.", gt=0)
    batch_p99_ms: float | None = limit_field("As p99_ms, for calls with batch_rows rows.", gt=0)
    max_mib_disk: float | None = limit_field(
        "MiB of the snapshot's files, with the compiled form where there is one.", gt=0
    )
    max_mib_memory: float | None = limit_field(
        "MiB that a process grows by that loads the model and scores batches.", gt=0
    )
    batch_rows: int = Field(default=1000, ge=1, description="Rows of a batch.")
    repeats: int = Field(
        default=100, ge=100, description="Measured calls in each of three rounds, at least; fewer have no 99 %."
    )
    warmup: int = Field(default=20, ge=1, description="Calls before the first round.")

    @model_validator(mode="after")
    def _demands_something(self) -> Self:
        if not self.limits:
            raise ValueError(f"no limit is set: give one of {', '.join([*_TIMES, *_SIZES])}")
        return self

    @property
    def limits(self) -> Mapping[str, float]:
        """The limits that are demanded, by option."""
        return {name: limit for name in (*_TIMES, *_SIZES) if (limit := getattr(self, name)) is not None}


@dataclass(frozen=True, slots=True)
class LatencyGate:
    """Measures latency and memory of the scorer that would serve, in a process of its own: compiled, else pyfunc.

    It scores the reference rows, or without them the input example, one at a time and in batches. What a target
    adds (decoding, network, queues) is not in it.
    """

    Options: ClassVar[type[GateOptions]] = LatencyOptions
    name: ClassVar[str] = "latency"
    before_loading: ClassVar[bool] = False

    options: LatencyOptions

    def evaluate(self, subject: Subject) -> Verdict:
        """INCONCLUSIVE without any rows; ERROR where the model raises or crashes on them."""
        try:
            rows = self._rows(subject)
        except InvalidInput as exc:
            return inconclusive(self.name, "rows_do_not_fit", f"The rows do not fit the signature: {exc}.")
        except NoSignature as exc:
            return inconclusive(self.name, "no_signature", f"{str(exc).capitalize()}.")
        if rows is None:
            message = "There are no rows to score. Log the model with input_example=inputs.head(5)."
            return inconclusive(self.name, "no_rows", message)
        # refuses if loading is forbidden, and breaks the gate if the model cannot score these rows
        ask(subject.candidate.scorer, rows)
        with tempfile.TemporaryDirectory(prefix="lifecycle-latency-") as folder:
            return self._measure(subject.candidate, rows, Path(folder))

    def _rows(self, subject: Subject) -> Batch | None:
        """A batch of rows, repeated where there are fewer; None without any row that has values."""
        reference, signature = subject.reference, subject.candidate.signature
        batch = None
        if reference is not None and reference.count:
            rows = reference.sample(self.options.batch_rows)[list(reference.inputs)]
            batch = next(batches_of(rows, signature))
        if batch is None or not has_values(batch):
            batch = golden_batch(subject.candidate.snapshot.path)
        if batch is None or not row_count(batch):
            return None
        again = np.arange(self.options.batch_rows) % row_count(batch)
        return {name: values[again] for name, values in batch.items()}

    def _measure(self, candidate: Candidate, rows: Batch, folder: Path) -> Verdict:
        compiled = _compiled(candidate, folder, rows)
        request = Request(candidate.snapshot.path, compiled, rows, self.options.repeats, self.options.warmup)
        (folder / "request.pickle").write_bytes(pickle.dumps(request))
        probe = [sys.executable, "-P", "-m", "lifecycle.gates.latency_probe", str(folder)]
        ended = subprocess.run(probe, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False).returncode
        if ended:
            why = f"signal {signal.Signals(-ended).name}" if ended < 0 else f"exit status {ended}"
            return broke(self.name, "not_measured", f"The process that scores the rows ended with {why}.")
        measured = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
        if "raised" in measured:
            return broke(self.name, "not_measured", f"The model raises {measured['raised']} on the rows.")
        files = [path for folder in (candidate.snapshot.path, compiled) if folder for path in folder.rglob("*")]
        measured["mib_disk"] = sum(path.stat().st_size for path in files if path.is_file()) / 2**20
        return self._judge(measured, "compiled" if compiled else "pyfunc")

    def _judge(self, measured: Mapping[str, float], scorer: str) -> Verdict:
        limits = self.options.limits
        figures: dict[str, Figure] = {
            "scorer": scorer,
            "batch_rows": self.options.batch_rows,
            "repeats": self.options.repeats,
            **{name: round(value, 4) for name, value in measured.items()},
            **{name if name in _SIZES else f"max_{name}": limit for name, limit in limits.items()},
        }
        exceeded = [name for name, limit in limits.items() if measured[_SIZES.get(name, name)] > limit]
        compared = ", ".join(
            f"{_SIZES.get(name, name)} is {measured[_SIZES.get(name, name)]:.4g} of {limit:g} allowed"
            for name, limit in limits.items()
            if name in exceeded or not exceeded
        )
        message = f"Measured with the {scorer} scorer: {compared}."
        if set(exceeded) & set(_TIMES):
            return failed(self.name, "too_slow", message, figures)
        if exceeded:
            return failed(self.name, "too_large", message, figures)
        return passed(self.name, message, figures)

    def explain(self, subject: Subject, verdict: Verdict) -> Iterator[BarChart]:  # noqa: ARG002  # of the contract
        """The measured times as bars, for one row and for a batch."""
        limits, measured = self.options.limits, verdict.figures
        if not measured:
            return
        for prefix, what in (("", "one row"), ("batch_", f"{self.options.batch_rows:,} rows")):
            bars = [
                Bar(label, value := float(measured[name]), bad=value > limits.get(name, value))
                for label, name in (
                    ("half of the calls", f"{prefix}p50_ms"),
                    ("99 % of the calls", f"{prefix}p99_ms"),
                )
            ]
            yield BarChart(f"Milliseconds to score {what}", tuple(bars), limits.get(f"{prefix}p99_ms"))


def _compiled(candidate: Candidate, folder: Path, rows: Batch) -> Path | None:
    """The compiled model where there is one that predicts as the original does, else None."""
    from lifecycle.bundle.cache import compile_snapshot
    from lifecycle.scoring.compilers.contract import NotCompilable

    try:
        return compile_snapshot(candidate.snapshot, folder / "compiled", rows)
    except NotCompilable:
        return None
