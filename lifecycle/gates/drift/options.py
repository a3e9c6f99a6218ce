"""The options of the drift gate."""

from __future__ import annotations

from pydantic import Field

from lifecycle.gates.contract import GateOptions


class DriftOptions(GateOptions):
    """Rows and columns to compare, and limits of change."""

    current: str | None = Field(default=None, description="Today's rows: a file, a directory, a glob or a query.")
    columns: tuple[str, ...] | None = Field(
        default=None, min_length=1, description="Columns to compare; by default the model's inputs."
    )
    leave_out: tuple[str, ...] | None = Field(
        default=None, description="Columns not to compare, such as one that counts months."
    )
    drift_distance: float = Field(default=0.1, ge=0, le=100, description="A column further away has drifted.")
    max_drifted_share: float = Field(
        default=0.3, ge=0, lt=1, description="Largest share of columns that may have drifted."
    )
    max_column_distance: float = Field(
        default=0.6, ge=0, allow_inf_nan=False, description="No single column may be further away."
    )
    max_null_change: float = Field(
        default=0.1, ge=0, lt=1, description="No column's share of nulls may change by more."
    )
    max_new_category_share: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="No column may have a larger share of rows in categories that the reference lacks.",
    )
    max_prediction_distance: float | None = Field(
        default=0.3,
        ge=0,
        allow_inf_nan=False,
        description="The model's predictions may be no further away; null to not compare them.",
    )
    max_target_distance: float | None = Field(
        default=0.2,
        ge=0,
        allow_inf_nan=False,
        description="The labels may be no further away, where both sides have them; null to not compare them.",
    )
    false_discovery_rate: float = Field(
        default=0.05, gt=0, lt=1, description="Share of the findings that may be chance, over all columns."
    )
    min_rows: int = Field(default=500, ge=1, description="Rows needed on either side.")
    sample_rows: int = Field(
        default=5_000,
        ge=1,
        description="Rows that the model scores, and that Evidently's report shows, on either side.",
    )
    seed: int = Field(
        default=0, ge=0, description="Seed of that sample, and of the random splits that measure chance."
    )
