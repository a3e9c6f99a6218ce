"""What each gate makes of data that is hardly any, stated for all of it: never PASSED for want of data."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from lifecycle.data.dataset import dataset_from_frame
from lifecycle.domain.model import ModelVersion
from lifecycle.domain.policy import GateSpec
from lifecycle.gates.data_quality.profiler import derive_suite
from lifecycle.gates.run import run_gates
from lifecycle.gates.subject import Candidate, Subject
from lifecycle.scoring.pyfunc_scorer import PyfuncScorer
from tests.proof import some

pytestmark = pytest.mark.slow

ROWS = 600
NUMBERS, TEXTS, LABEL = ["month", "sched_dep_time", "dep_delay", "distance"], ["carrier", "origin"], "late"
USUAL = [
    "no current data",
    "no rows",
    "one current row",
    "no columns",
    "nothing but nulls on either side",
    "a missing column",
    "a constant number",
    "an infinite number",
    "a number and text mixed",
    "a category for every row",
    "labels of one class on either side",
    "no labels",
    "no reference",
    "an infinite reference",
]
GATES = {
    "data_quality": {"min_rows": 100},
    "drift": {"min_rows": 500, "columns": ["sched_dep_time", "dep_delay", "distance", "carrier", "origin"]},
    "performance": {"metric": "roc_auc", "min": 0.6, "min_rows": 200},
    "parity": {},
    "latency": {"p99_ms": 60_000, "repeats": 100},
}
OF_THE_REFERENCE = ("parity", "latency")
"""Gates that look at no current rows: asked only about degenerate reference rows."""

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
    "no data on either side": both(
        gone,
        "INCONCLUSIVE no_current_data | INCONCLUSIVE no_reference | INCONCLUSIVE no_labels | INCONCLUSIVE no_rows | PASSED",  # noqa: E501
    ),
    "no current data": Input("INCONCLUSIVE no_current_data | INCONCLUSIVE no_current_data | PASSED", current=gone),
    "no rows": both(
        first(0),
        "INCONCLUSIVE no_suite | INCONCLUSIVE too_few_rows | INCONCLUSIVE no_labels | INCONCLUSIVE too_few_rows | PASSED",  # noqa: E501
    ),
    "no current rows": Input(
        "INCONCLUSIVE too_few_rows | INCONCLUSIVE too_few_rows | INCONCLUSIVE no_labels", current=first(0)
    ),
    "one current row": Input(
        "INCONCLUSIVE too_few_rows | INCONCLUSIVE too_few_rows | INCONCLUSIVE too_few_rows", current=first(1)
    ),
    "two current rows": Input(
        "INCONCLUSIVE too_few_rows | INCONCLUSIVE too_few_rows | INCONCLUSIVE too_few_rows", current=first(2)
    ),
    "a row less than any gate wants": Input(
        "INCONCLUSIVE too_few_rows | INCONCLUSIVE too_few_rows | INCONCLUSIVE too_few_rows", current=first(99)
    ),
    "a row less than drift wants": Input("PASSED | INCONCLUSIVE too_few_rows | PASSED", current=first(499)),
    "no columns": Input("FAILED missing_columns | FAILED missing_columns | PASSED", current=lambda rows: rows[[]]),
    "only the label": Input(
        "FAILED missing_columns | FAILED missing_columns | INCONCLUSIVE rows_do_not_fit", current=no_inputs
    ),
    "only an unknown column": Input(
        "FAILED missing_columns | FAILED missing_columns | PASSED",
        current=lambda rows: pd.DataFrame({"x": np.arange(len(rows))}),
    ),
    "nothing but nulls": Input(
        "FAILED expectations_not_met | FAILED share_exceeded | INCONCLUSIVE no_labels", current=nulls
    ),
    "nothing but nulls on either side": both(
        nulls,
        "INCONCLUSIVE no_values | INCONCLUSIVE no_values | INCONCLUSIVE no_labels | INCONCLUSIVE no_values | PASSED",  # noqa: E501
    ),
    "a number of nulls only": Input(
        "FAILED expectations_not_met | FAILED column_exceeded | PASSED",
        current=set_column("distance", None),
    ),
    "a number of nulls only on either side": both(
        set_column("distance", None),
        "PASSED | PASSED | PASSED | PASSED | PASSED",
    ),
    "a text of nulls only": Input(
        "FAILED expectations_not_met | FAILED column_exceeded | PASSED",
        current=set_column("carrier", None),
    ),
    "half of a number null": Input(
        "FAILED expectations_not_met | FAILED column_exceeded | PASSED", current=sparse(0.5, "distance")
    ),
    "half of a text null": Input(
        "FAILED expectations_not_met | FAILED column_exceeded | PASSED", current=sparse(0.5, "carrier")
    ),
    "a missing column": Input(
        "FAILED missing_columns | FAILED missing_columns | INCONCLUSIVE rows_do_not_fit",
        current=without("distance"),
    ),
    "two missing columns": Input(
        "FAILED missing_columns | FAILED missing_columns | INCONCLUSIVE rows_do_not_fit",
        current=without("distance", "carrier"),
    ),
    "a constant number": Input(
        "FAILED expectations_not_met | FAILED column_exceeded | PASSED",
        current=set_column("distance", 500.0),
    ),
    "a constant text": Input(
        "FAILED expectations_not_met | FAILED column_exceeded | PASSED", current=set_column("carrier", "UA")
    ),
    "one row again and again": Input(
        "FAILED expectations_not_met | FAILED share_exceeded | INCONCLUSIVE one_class",
        current=lambda rows: pd.concat([rows.head(1)] * len(rows)),
    ),
    "an infinite number": Input(
        "FAILED expectations_not_met | FAILED column_exceeded | FAILED model_raises",
        current=set_column("distance", float("inf")),
    ),
    "one infinity": Input(
        "FAILED expectations_not_met | FAILED column_exceeded | FAILED model_raises",
        current=lambda rows: rows.assign(distance=[float("inf"), *rows.distance[1:]]),
    ),
    "numbers beyond reason": Input(
        "FAILED expectations_not_met | FAILED predictions_drifted | FAILED below_min", current=every(1e300)
    ),
    "whole numbers beyond 64 bits": Input(
        "FAILED expectations_not_met | FAILED column_exceeded | FAILED below_min",
        current=set_column("distance", 2**70),
    ),
    "the largest unsigned numbers": Input(
        "FAILED expectations_not_met | FAILED column_exceeded | FAILED below_min",
        current=set_column("distance", np.uint64(2**64 - 1)),
    ),
    "a number as text": Input(
        "FAILED expectations_not_met | FAILED type_changed | INCONCLUSIVE rows_do_not_fit",
        current=set_column("distance", lambda c: c.astype(str)),
    ),
    "a number and text mixed": Input(
        "FAILED expectations_not_met | FAILED type_changed | INCONCLUSIVE rows_do_not_fit",
        current=mixed("distance"),
    ),
    "a number as true and false": Input(
        "FAILED expectations_not_met | FAILED type_changed | INCONCLUSIVE rows_do_not_fit",
        current=set_column("distance", lambda c: c > c.median()),
    ),
    "a text as numbers": Input(
        "FAILED expectations_not_met | FAILED type_changed | INCONCLUSIVE rows_do_not_fit",
        current=set_column("carrier", lambda c: c.factorize()[0]),
    ),
    "a number as times": Input(
        "FAILED expectations_not_met | FAILED type_changed | INCONCLUSIVE rows_do_not_fit",
        current=set_column("distance", lambda c: pd.to_datetime(c, unit="s")),
    ),
    "a number as times of a zone": Input(
        "FAILED expectations_not_met | FAILED type_changed | INCONCLUSIVE rows_do_not_fit",
        current=set_column("distance", lambda c: pd.to_datetime(c, unit="s", utc=True)),
    ),
    "lists": Input(
        "FAILED expectations_not_met | FAILED type_changed | INCONCLUSIVE rows_do_not_fit",
        current=set_column("carrier", ["UA"]),
    ),
    "bytes": Input(
        "FAILED expectations_not_met | FAILED type_changed | INCONCLUSIVE rows_do_not_fit",
        current=set_column("carrier", b"UA"),
    ),
    "a category for every row": Input(
        "FAILED expectations_not_met | FAILED column_exceeded | PASSED",
        current=set_column("carrier", lambda c: [f"c{i}" for i in range(len(c))]),
    ),
    "a new category in half of the rows": Input(
        "FAILED expectations_not_met | FAILED column_exceeded | PASSED",
        current=set_column("carrier", lambda c: [v if i % 2 else "??" for i, v in enumerate(c)]),
    ),
    "empty texts": Input(
        "FAILED expectations_not_met | FAILED column_exceeded | PASSED", current=set_column("carrier", "")
    ),
    "labels of one class": Input(
        "PASSED | FAILED target_drifted | INCONCLUSIVE one_class", current=set_column(LABEL, True)
    ),
    "labels of one class on either side": both(
        set_column(LABEL, True),
        "PASSED | PASSED | INCONCLUSIVE one_class | PASSED | PASSED",
    ),
    "no labels": Input("PASSED | PASSED | PASSED", current=without(LABEL)),
    "no labels on either side": both(without(LABEL), "PASSED | PASSED | INCONCLUSIVE no_labels | PASSED | PASSED"),
    "null labels": Input("PASSED | PASSED | INCONCLUSIVE no_labels", current=set_column(LABEL, None)),
    "labels of a third class": Input(
        "PASSED | FAILED type_changed | INCONCLUSIVE classes_differ",
        current=set_column(LABEL, lambda c: ["yes", "no", "maybe"] * (len(c) // 3)),
    ),
    "no reference": Input(
        "INCONCLUSIVE no_suite | INCONCLUSIVE no_reference | PASSED | PASSED | PASSED",
        reference=gone,
    ),
    "an empty reference": Input(
        "INCONCLUSIVE no_suite | INCONCLUSIVE too_few_rows | PASSED | INCONCLUSIVE too_few_rows | PASSED",
        reference=first(0),
    ),
    "one reference row": Input(
        "FAILED expectations_not_met | INCONCLUSIVE too_few_rows | PASSED | INCONCLUSIVE too_few_rows | PASSED",
        reference=first(1),
    ),
    "a reference without a column": Input(
        "PASSED | INCONCLUSIVE not_in_reference | PASSED | INCONCLUSIVE rows_do_not_fit | INCONCLUSIVE rows_do_not_fit",  # noqa: E501
        reference=without("distance"),
    ),
    "a constant reference column": Input(
        "FAILED expectations_not_met | FAILED column_exceeded | PASSED | PASSED | PASSED",
        reference=set_column("distance", 500.0),
    ),
    "an infinite reference": Input(
        "PASSED | FAILED column_exceeded | PASSED | FAILED model_raises | FAILED model_raises",
        reference=set_column("distance", float("inf")),
    ),
    "a reference of nulls only": Input(
        "INCONCLUSIVE no_values | FAILED share_exceeded | PASSED | INCONCLUSIVE no_values | PASSED",
        reference=nulls,
    ),
}
"""Outcome and reason of each of GATES, in this order."""


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


def judged(
    candidate: Candidate,
    reference: pd.DataFrame | None,
    current: pd.DataFrame | None,
    gates: Iterable[str] = GATES,
) -> dict[str, str]:
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
    verdicts = run_gates([GateSpec(name, GATES[name]) for name in gates], subject)
    return {v.gate: f"{v.outcome} {v.reason.partition('.')[2]}".removesuffix(" passed") for v in verdicts}


def test_data_that_is_not_degenerate_passes_every_gate(candidate, sides):
    assert set(judged(candidate, *sides).values()) == {"PASSED"}


@pytest.mark.parametrize("name", some(INPUTS, *USUAL))
def test_each_gate_says_what_the_table_says(candidate, sides, name):
    reference, current = sides
    change = INPUTS[name]
    changed = change.reference(reference)
    asked = [gate for gate in GATES if gate not in OF_THE_REFERENCE or changed is not reference]
    assert " | ".join(judged(candidate, changed, change.current(current), asked).values()) == change.says


def test_the_table_is_large_enough():
    assert len(INPUTS) >= 40
