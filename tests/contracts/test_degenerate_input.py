"""What each gate makes of data that is hardly any, stated for all of it: never PASSED for want of data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from lifecycle.domain.model_version import ModelVersion
from lifecycle.domain.policy import GateSpec
from lifecycle.gates.data.frame import dataset_from_frame
from lifecycle.gates.data_quality.expectations import derive_suite
from lifecycle.gates.run import run_gates
from lifecycle.gates.subject import Candidate, Subject
from lifecycle.scoring.pyfunc_scorer import PyfuncScorer

pytestmark = pytest.mark.slow

ROWS = 600
NUMBERS, TEXTS, LABEL = ["month", "sched_dep_time", "dep_delay", "distance"], ["carrier", "origin"], "late"
GATES = {
    "data_quality": {"min_rows": 100},
    "drift": {"min_rows": 500, "columns": ["sched_dep_time", "dep_delay", "distance", "carrier", "origin"]},
    "performance": {"metric": "roc_auc", "min": 0.6, "min_rows": 200},
    "parity": {},
    "latency": {"p99_ms": 60_000, "repeats": 100},
}

Change = Callable[[pd.DataFrame], "pd.DataFrame | None"]


@dataclass(frozen=True)
class Input:
    """Rows that are made degenerate, and what each gate says: the outcome's first letter, and the reason."""

    says: str
    current: Change = lambda rows: rows
    reference: Change = lambda rows: rows


def set_column(name: str, value: object) -> Change:
    def change(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(**{name: [value] * len(rows) if not callable(value) else value(rows[name])})

    return change


def without(*names: str) -> Change:
    return lambda rows: rows.drop(columns=list(names))


def sparse(share: float, name: str) -> Change:
    def change(rows: pd.DataFrame) -> pd.DataFrame:
        gone = np.random.default_rng(0).random(len(rows)) < share
        return rows.assign(**{name: rows[name].astype(object).mask(gone, None).infer_objects()})

    return change


def every(value: object) -> Change:
    return lambda rows: rows.assign(**dict.fromkeys(NUMBERS, value))


def nulls(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(None, index=rows.index, columns=rows.columns, dtype=object)


def first(count: int) -> Change:
    return lambda rows: rows.head(count)


def gone(rows: pd.DataFrame) -> None:
    return None


def both(change: Change, says: str) -> Input:
    return Input(says, current=change, reference=change)


def mixed(name: str) -> Change:
    return lambda rows: rows.assign(
        **{name: [value if i % 2 else str(value) for i, value in enumerate(rows[name])]}
    )


def no_inputs(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[[LABEL]]


INPUTS = {
    "no data on either side": both(gone, ""),
    "no current data": Input("", current=gone),
    "no rows": both(first(0), ""),
    "no current rows": Input("", current=first(0)),
    "one current row": Input("", current=first(1)),
    "two current rows": Input("", current=first(2)),
    "a row less than any gate wants": Input("", current=first(99)),
    "a row less than drift wants": Input("", current=first(499)),
    "no columns": Input("", current=lambda rows: rows[[]]),
    "only the label": Input("", current=no_inputs),
    "only an unknown column": Input("", current=lambda rows: pd.DataFrame({"x": np.arange(len(rows))})),
    "nothing but nulls": Input("", current=nulls),
    "nothing but nulls on either side": both(nulls, ""),
    "a number of nulls only": Input("", current=set_column("distance", None)),
    "a number of nulls only on either side": both(set_column("distance", None), ""),
    "a text of nulls only": Input("", current=set_column("carrier", None)),
    "half of a number null": Input("", current=sparse(0.5, "distance")),
    "half of a text null": Input("", current=sparse(0.5, "carrier")),
    "a missing column": Input("", current=without("distance")),
    "two missing columns": Input("", current=without("distance", "carrier")),
    "a constant number": Input("", current=set_column("distance", 500.0)),
    "a constant text": Input("", current=set_column("carrier", "UA")),
    "one row again and again": Input("", current=lambda rows: pd.concat([rows.head(1)] * len(rows))),
    "an infinite number": Input("", current=set_column("distance", float("inf"))),
    "one infinity": Input("", current=lambda rows: rows.assign(distance=[float("inf"), *rows.distance[1:]])),
    "numbers beyond reason": Input("", current=every(1e300)),
    "whole numbers beyond 64 bits": Input("", current=set_column("distance", 2**70)),
    "the largest unsigned numbers": Input("", current=set_column("distance", np.uint64(2**64 - 1))),
    "a number as text": Input("", current=set_column("distance", lambda c: c.astype(str))),
    "a number and text mixed": Input("", current=mixed("distance")),
    "a number as true and false": Input("", current=set_column("distance", lambda c: c > c.median())),
    "a text as numbers": Input("", current=set_column("carrier", lambda c: c.factorize()[0])),
    "a number as times": Input("", current=set_column("distance", lambda c: pd.to_datetime(c, unit="s"))),
    "a number as times of a zone": Input(
        "", current=set_column("distance", lambda c: pd.to_datetime(c, unit="s", utc=True))
    ),
    "lists": Input("", current=set_column("carrier", ["UA"])),
    "bytes": Input("", current=set_column("carrier", b"UA")),
    "a category for every row": Input(
        "", current=set_column("carrier", lambda c: [f"c{i}" for i in range(len(c))])
    ),
    "a new category in half of the rows": Input(
        "", current=set_column("carrier", lambda c: [v if i % 2 else "??" for i, v in enumerate(c)])
    ),
    "empty texts": Input("", current=set_column("carrier", "")),
    "labels of one class": Input("", current=set_column(LABEL, True)),
    "labels of one class on either side": both(set_column(LABEL, True), ""),
    "no labels": Input("", current=without(LABEL)),
    "no labels on either side": both(without(LABEL), ""),
    "null labels": Input("", current=set_column(LABEL, None)),
    "labels of a third class": Input(
        "", current=set_column(LABEL, lambda c: ["yes", "no", "maybe"] * (len(c) // 3))
    ),
    "no reference": Input("", reference=gone),
    "an empty reference": Input("", reference=first(0)),
    "one reference row": Input("", reference=first(1)),
    "a reference without a column": Input("", reference=without("distance")),
    "a constant reference column": Input("", reference=set_column("distance", 500.0)),
    "an infinite reference": Input("", reference=set_column("distance", float("inf"))),
    "a reference of nulls only": Input("", reference=nulls),
}
"""Outcome and reason of data_quality, drift, performance, parity and latency, in this order."""


@pytest.fixture(scope="module")
def candidate(lifecycle_models):
    model = lifecycle_models[0]
    scorer = PyfuncScorer(model.snapshot.path)
    return Candidate(ModelVersion("flights-delay", 1), model.snapshot, lambda: scorer)


@pytest.fixture(scope="module")
def sides(flights):
    """Reference and current rows that every gate can judge."""
    columns = [*NUMBERS, *TEXTS, LABEL]
    rows = flights[flights.month == 6][columns].sample(2 * ROWS, random_state=1).reset_index(drop=True)
    rows = rows.astype(dict.fromkeys(NUMBERS, "float64"))
    return rows[:ROWS].reset_index(drop=True), rows[ROWS:].reset_index(drop=True)


def judged(candidate: Candidate, reference: pd.DataFrame | None, current: pd.DataFrame | None) -> dict[str, str]:
    """Outcome and reason of each gate."""

    def load(frame: pd.DataFrame | None, name: str):
        return None if frame is None else dataset_from_frame(frame, LABEL, name)

    suite = (
        derive_suite(reference.drop(columns=[LABEL], errors="ignore"))
        if reference is not None and len(reference)
        else None
    )
    subject = Subject(
        candidate,
        "production",
        load_reference=lambda: load(reference, "the reference rows"),
        load_current=lambda _: load(current, "today's rows"),
        load_suite=lambda: suite,
        load_champion=lambda: None,
    )
    verdicts = run_gates([GateSpec(name, options) for name, options in GATES.items()], subject)
    return {v.gate: f"{v.outcome} {v.reason.partition('.')[2]}" for v in verdicts}


def test_data_that_is_not_degenerate_passes_every_gate(candidate, sides):
    assert set(judged(candidate, *sides).values()) == {"PASSED passed"}
