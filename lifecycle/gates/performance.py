"""Whether the model is good enough, and no worse than the one it replaces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from pydantic import Field, field_validator, model_validator

from lifecycle.domain.verdict import Figure, Verdict
from lifecycle.errors import unknown
from lifecycle.gates.contract import GateOptions
from lifecycle.gates.data.dataset import Dataset
from lifecycle.gates.data.frame import dataset_from_frame
from lifecycle.gates.metrics import METRICS, Array, Unmeasurable, measure
from lifecycle.gates.subject import Candidate, Subject
from lifecycle.gates.verdicts import failed, inconclusive, passed, too_few_rows
from lifecycle.scoring.contract import Predictions
from lifecycle.scoring.signature import InvalidInput, NoSignature


class PerformanceOptions(GateOptions):
    """What to measure and what to demand. At least one of min, max and max_drop_vs_champion."""

    metric: str = Field(description=f"What to measure: {', '.join(METRICS)}.")
    min: float | None = Field(
        default=None,
        description="Lowest value that passes; for metrics where higher is better.",
        allow_inf_nan=False,
    )
    max: float | None = Field(
        default=None,
        description="Highest value that passes; for metrics where lower is better.",
        allow_inf_nan=False,
    )
    max_drop_vs_champion: float | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        description="How much worse than today's champion it may be on the same rows.",
    )
    min_rows: int = Field(default=200, ge=1, description="Labelled rows needed to judge.")
    current: str | None = Field(
        default=None, description="File with today's rows; the reference rows if it has no labels."
    )

    @field_validator("metric")
    @classmethod
    def _known(cls, metric: str) -> str:
        if metric not in METRICS:
            raise ValueError(unknown("metric", metric, METRICS))
        return metric

    @model_validator(mode="after")
    def _demands_something(self) -> Self:
        higher = METRICS[self.metric].higher_is_better
        if (self.max if higher else self.min) is not None:
            better, use, not_ = ("higher", "min", "max") if higher else ("lower", "max", "min")
            raise ValueError(f"{self.metric} is better when {better}: use {use!r} and not {not_!r}")
        if self.min is self.max is self.max_drop_vs_champion:
            raise ValueError(f"nothing is demanded: give {'min' if higher else 'max'!r} or 'max_drop_vs_champion'")
        return self


@dataclass(frozen=True, slots=True)
class PerformanceGate:
    """Scores labelled rows with the snapshot's own scorer and compares a metric with its thresholds.

    The rows are the current data where they have labels, else the reference rows, which the training run
    held out and logged. The champion is scored on the same rows. scikit-learn's metrics are called
    directly: ``mlflow.models.evaluate`` computes the same numbers after many seconds of set-up, and
    scores through another path than the one that will serve.
    """

    Options: ClassVar[type[GateOptions]] = PerformanceOptions
    name: ClassVar[str] = "performance"

    options: PerformanceOptions

    def evaluate(self, subject: Subject) -> Verdict:
        """INCONCLUSIVE without enough labelled rows, or where the metric cannot be computed."""
        rows = _labelled(subject.current(self.options.current)) or _labelled(subject.reference)
        if rows is None:
            return inconclusive(
                self.name,
                "no_labels",
                "There are no labelled rows. Log some with lifecycle.track(reference, label=...), "
                "or give current data that has the label column.",
            )
        return too_few_rows(self.name, rows, self.options.min_rows) or self._judge(subject, rows)

    def _judge(self, subject: Subject, rows: Dataset) -> Verdict:
        try:
            value = _measure(self.options.metric, subject.candidate, rows)
        except InvalidInput as exc:
            return inconclusive(self.name, "rows_do_not_fit", f"{rows.source} does not fit the signature: {exc}.")
        except (Unmeasurable, NoSignature) as exc:
            what = exc.what if isinstance(exc, Unmeasurable) else "no_signature"
            return inconclusive(
                self.name, what, f"{self.options.metric} cannot be measured on {rows.source}: {exc}."
            )
        figures = self._figures(value, rows)
        return self._against_threshold(value, rows, figures) or self._against_champion(
            value, subject, rows, figures
        )

    def _against_threshold(self, value: float, rows: Dataset, figures: dict[str, Figure]) -> Verdict | None:
        """FAILED when the threshold is missed, else None."""
        low, high, metric = self.options.min, self.options.max, self.options.metric
        measured = f"{metric} is {value:.4f} on {rows.count:,} rows of {rows.source}"
        if low is not None and value < low:
            return failed(self.name, "below_min", f"{measured}; at least {low:g} is demanded.", figures)
        if high is not None and value > high:
            return failed(self.name, "above_max", f"{measured}; at most {high:g} is demanded.", figures)
        return None

    def _against_champion(
        self, value: float, subject: Subject, rows: Dataset, figures: dict[str, Figure]
    ) -> Verdict:
        """The last word: the champion's value where the policy compares with it."""
        allowed, metric, champion = self.options.max_drop_vs_champion, self.options.metric, subject.champion
        measured = f"{metric} is {value:.4f} on {rows.count:,} rows of {rows.source}"
        if allowed is None or champion is None:
            if self.options.min is self.options.max:
                message = f"{measured}, and there is no champion to compare with. Demand a threshold too."
                return inconclusive(self.name, "no_champion", message, figures)
            return passed(self.name, f"{measured}, as demanded.", figures)
        version = champion.version.version
        try:
            best = _measure(metric, champion, rows)
        except (InvalidInput, Unmeasurable, NoSignature) as exc:
            message = f"{measured}, but version {version}, the champion, cannot be measured on them: {exc}."
            return inconclusive(self.name, "champion_unmeasurable", message, figures)
        drop = best - value if METRICS[metric].higher_is_better else value - best
        figures = figures | {
            "champion_version": version,
            "champion_value": best,
            "max_drop": allowed,
            "drop": drop,
        }
        compared = f"{measured}; the champion, version {version}, has {best:.4f} on the same rows"
        if drop > allowed:
            return failed(self.name, "worse_than_champion", f"{compared}; {allowed:g} worse is allowed.", figures)
        return passed(self.name, f"{compared}.", figures)

    def _figures(self, value: float, rows: Dataset) -> dict[str, Figure]:
        demanded = {"min": self.options.min, "max": self.options.max}
        given = {name: limit for name, limit in demanded.items() if limit is not None}
        return {"metric": self.options.metric, "value": value, "rows": rows.count, **given}


def _labelled(rows: Dataset | None) -> Dataset | None:
    """Only the rows that have a label; None where there is none."""
    if rows is None or not rows.has_labels:
        return None
    frame = rows.whole()
    labelled = frame[frame[rows.label].notna()]
    return dataset_from_frame(labelled, rows.label, rows.source) if len(labelled) else None


def _measure(metric: str, candidate: Candidate, rows: Dataset) -> float:
    from lifecycle.scoring.frames import batch_from_frame

    frame = rows.whole()
    labels = np.array(frame.pop(rows.label).tolist())
    predictions = candidate.scorer.predict(batch_from_frame(frame, candidate.signature))
    return measure(metric, labels, _one_array(predictions))


def _one_array(predictions: Predictions) -> Array:
    if isinstance(predictions, np.ndarray):
        return predictions
    if len(predictions) == 1:
        return next(iter(predictions.values()))
    raise Unmeasurable(
        "several_outputs",
        f"the model answers with {len(predictions)} named columns, and it is not known which counts",
    )
