"""The contract suite of gates: inherit the class and supply its two fixtures. A fake gate passes it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import pandas as pd
import pytest
from pydantic import Field, ValidationError

from lifecycle.data.dataset import Dataset, dataset_from_frame
from lifecycle.domain.charts import Chart
from lifecycle.domain.verdict import Figure, Outcome, Verdict
from lifecycle.gates.contract import ExplainingGate, Gate, GateOptions
from lifecycle.gates.subject import Subject

TELLTALE = "planted-5ecret"
TELLTALE_NUMBER = 918273645.5


class GateContract:
    """Tests that every gate passes.

    A subclass supplies these fixtures:

    - ``gate``: a gate with its options.
    - ``subject``: a subject that it passes, with reference and current rows.

    It may override :meth:`starved`, where the gate cannot do without other things than rows.
    """

    def starved(self, subject: Subject) -> Mapping[str, Subject]:
        """Subjects with too little data, by what they lack."""
        return {
            "no data at all": with_rows(subject, lambda _: None),
            "zero rows": with_rows(subject, lambda rows: rows.head(0)),
            "one row": with_rows(subject, lambda rows: rows.head(1)),
            "no columns": with_rows(subject, lambda rows: rows[[]]),
            "nothing but nulls": with_rows(subject, nulls_only),
        }

    def test_it_passes_what_is_good(self, gate: Gate, subject: Subject) -> None:
        verdict = gate.evaluate(subject)
        assert verdict.outcome is Outcome.PASSED, verdict.message

    def test_it_never_passes_for_want_of_data(self, gate: Gate, subject: Subject) -> None:
        answers = {lack: _answer(gate, starved) for lack, starved in self.starved(subject).items()}
        assert [lack for lack, outcome in answers.items() if outcome is Outcome.PASSED] == []

    def test_its_verdicts_can_be_recorded_and_read(self, gate: Gate, subject: Subject) -> None:
        for judged in (subject, *self.starved(subject).values()):
            try:
                verdict = gate.evaluate(judged)
            except Exception:  # noqa: S112  # the runner's part, and not a verdict
                continue
            assert_well_formed(gate, verdict)

    def test_it_changes_no_rows(self, gate: Gate, subject: Subject) -> None:
        seen = [data for data in (subject.reference, subject.current()) if data is not None]
        before = [data.whole() for data in seen]
        gate.evaluate(subject)
        for data, frame in zip(seen, before, strict=True):
            pd.testing.assert_frame_equal(data.whole(), frame)

    def test_it_gives_the_same_answer_twice(self, gate: Gate, subject: Subject) -> None:
        first, second = (replace(gate.evaluate(subject), seconds=0.0) for _ in range(2))
        assert first == second

    def test_its_verdict_quotes_no_row(self, gate: Gate, subject: Subject) -> None:
        for share in (0.001, 0.5):
            try:
                verdict = gate.evaluate(with_rows(subject, partial(with_telltales, share=share)))
            except Exception:  # noqa: S112  # the runner gives no exception's text away
                continue
            said = f"{verdict.message} {verdict.reason} {dict(verdict.figures)}"
            assert TELLTALE not in said
            assert str(int(TELLTALE_NUMBER)) not in said

    def test_it_can_explain_its_verdict_by_charts(self, gate: Gate, subject: Subject) -> None:
        if not isinstance(gate, ExplainingGate):
            return
        assert all(isinstance(chart, Chart) for chart in gate.explain(subject, gate.evaluate(subject)))

    def test_it_declares_what_the_runner_reads(self, gate: Gate) -> None:
        assert isinstance(gate.name, str)
        assert gate.name
        assert issubclass(gate.Options, GateOptions)
        assert isinstance(gate.before_loading, bool)

    def test_an_unknown_option_is_refused(self, gate: Gate) -> None:
        with pytest.raises(ValidationError, match="colour"):
            gate.Options.model_validate({"colour": "red"})

    def test_every_option_is_described(self, gate: Gate) -> None:
        assert [name for name, field in gate.Options.model_fields.items() if not field.description] == []


def with_rows(subject: Subject, change: Callable[[pd.DataFrame], pd.DataFrame | None]) -> Subject:
    """The subject with its reference and current rows changed; None takes them away."""

    def changed(data: Dataset | None) -> Dataset | None:
        frame = None if data is None else change(data.whole())
        return None if data is None or frame is None else dataset_from_frame(frame, data.label, data.source)

    reference, current = changed(subject.reference), changed(subject.current())
    return replace(subject, load_reference=lambda: reference, load_current=lambda _: current)


def nulls_only(rows: pd.DataFrame) -> pd.DataFrame:
    """The same number of rows with only nulls."""
    return pd.DataFrame(None, index=rows.index, columns=rows.columns, dtype=object)


def with_telltales(rows: pd.DataFrame, share: float) -> pd.DataFrame:
    """The rows with marked texts or numbers in the first rows of each column."""
    rows = rows.reset_index(drop=True)
    planted = rows.index < max(1, int(share * len(rows)))
    return pd.DataFrame({name: rows[name].astype(object).mask(planted, _telltale(rows[name])) for name in rows})


def assert_well_formed(gate: Gate, verdict: Verdict) -> None:
    """Check that the verdict can be recorded and displayed."""
    assert verdict.gate == gate.name
    assert verdict.reason.startswith(f"{gate.name}.")
    assert verdict.reason == verdict.reason.lower()
    assert verdict.message
    assert "\n" not in verdict.message
    assert all(isinstance(figure, Figure) for figure in verdict.figures.values())
    json.dumps(dict(verdict.figures), allow_nan=False)


def _answer(gate: Gate, subject: Subject) -> Outcome:
    try:
        return gate.evaluate(subject).outcome
    except Exception:  # the runner makes it an ERROR verdict
        return Outcome.ERROR


def _telltale(column: pd.Series[Any]) -> object:
    return TELLTALE_NUMBER if pd.api.types.is_numeric_dtype(column) else TELLTALE


class FakeGateOptions(GateOptions):
    """The verdict to give."""

    outcome: Outcome = Field(default=Outcome.PASSED, description="The outcome, for every subject.")


@dataclass(frozen=True, slots=True)
class FakeGate:
    """Gives the verdict of its options. It has no entry point, so no policy can name it."""

    Options: ClassVar[type[GateOptions]] = FakeGateOptions
    name: ClassVar[str] = "fake"
    before_loading: ClassVar[bool] = False

    options: FakeGateOptions

    def evaluate(self, subject: Subject) -> Verdict:  # noqa: ARG002
        """The verdict that the options name."""
        outcome = self.options.outcome
        return Verdict(self.name, outcome, f"{self.name}.{outcome.lower()}", "As the options say.")
