"""The options of the performance gate."""

from __future__ import annotations

from typing import Self

from pydantic import Field, field_validator, model_validator

from lifecycle.errors import unknown
from lifecycle.gates.contract import GateOptions, limit_field
from lifecycle.gates.performance.metrics import METRICS, Metric


class PerformanceOptions(GateOptions):
    """Metric and demands. At least one of min, max and max_drop_vs_champion is needed."""

    metric: str = Field(description=f"What to measure: {', '.join(METRICS)}.")
    min: float | None = limit_field("Lowest value that passes; for metrics where higher is better.")
    max: float | None = limit_field("Highest value that passes; for metrics where lower is better.")
    max_drop_vs_champion: float | None = limit_field(
        "How much worse than today's champion it may be on the same rows.", ge=0
    )
    by: tuple[str, ...] = Field(default=(), description="Columns: it must hold up on the rows of each value too.")
    slice_min: float | None = limit_field("As min, for each slice.")
    slice_max: float | None = limit_field("As max, for each slice.")
    max_slice_drop: float | None = limit_field(
        "As max_drop_vs_champion, for each slice; without it that one holds for slices too.", ge=0
    )
    min_slice_rows: int = Field(default=200, ge=50, description="Slices of fewer rows are not judged.")
    confidence: float = Field(
        default=0.95, ge=0.5, lt=1, description="Confidence of the intervals, and of all slice tests together."
    )
    min_rows: int = Field(default=200, ge=1, description="Labelled rows needed to judge.")
    max_rows: int = Field(default=100_000, ge=1, description="Labelled rows to score at most, drawn at random.")
    seed: int = Field(default=0, ge=0, description="Seed of that draw.")
    current: str | None = Field(
        default=None, description="File with today's rows; the reference rows if it has no labels."
    )

    @property
    def measured(self) -> Metric:
        """The metric."""
        return METRICS[self.metric]

    @property
    def limit(self) -> float | None:
        """Threshold of the metric on all rows."""
        return self.min if self.measured.higher_is_better else self.max

    @property
    def slice_limit(self) -> float | None:
        """Threshold of the metric on each slice."""
        return self.slice_min if self.measured.higher_is_better else self.slice_max

    @property
    def slice_drop(self) -> float | None:
        """How much worse than the champion each slice may be."""
        return self.max_drop_vs_champion if self.max_slice_drop is None else self.max_slice_drop

    @field_validator("metric")
    @classmethod
    def _known(cls, metric: str) -> str:
        if metric not in METRICS:
            raise ValueError(unknown("metric", metric, METRICS))
        return metric

    @field_validator("by", mode="before")
    @classmethod
    def _columns(cls, by: object) -> object:
        columns = [by] if isinstance(by, str) else by
        return list(dict.fromkeys(columns)) if isinstance(columns, list | tuple) else columns

    @model_validator(mode="after")
    def _demands_something(self) -> Self:
        higher = self.measured.higher_is_better
        better, use, not_ = ("higher", "min", "max") if higher else ("lower", "max", "min")
        for prefix in ("", "slice_"):
            if getattr(self, f"{prefix}{not_}") is not None:
                raise ValueError(
                    f"{self.metric} is better when {better}: use '{prefix}{use}' and not '{prefix}{not_}'"
                )
        if self.limit is self.max_drop_vs_champion is None:
            raise ValueError(f"no limit is set: give {use!r} or 'max_drop_vs_champion'")
        if self.max_rows < self.min_rows:
            raise ValueError("'max_rows' is less than 'min_rows', so there would never be enough")
        self._check_slices(f"slice_{use}")
        return self

    def _check_slices(self, limit: str) -> None:
        if not self.by:
            given = next(
                (n for n in ("slice_min", "slice_max", "max_slice_drop") if getattr(self, n) is not None), None
            )
            if given:
                raise ValueError(f"{given!r} needs 'by', which names the columns to slice by")
            return
        if self.slice_limit is self.slice_drop is None:
            raise ValueError(f"no limit is set for the slices: give {limit!r} or 'max_slice_drop'")
        if self.measured.influence is None:
            raise ValueError(f"{self.metric} is decided by a single row, so slices cannot be judged by it")
