"""Whether the rows of today still look like those that the model was trained on. Evidently measures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from lifecycle.domain.verdict import Figure, Verdict
from lifecycle.gates.contract import GateOptions
from lifecycle.gates.data.dataset import Dataset
from lifecycle.gates.subject import Subject
from lifecycle.gates.verdicts import (
    broke,
    failed,
    inconclusive,
    listing,
    no_current_data,
    passed,
    percent,
    too_few_rows,
)
from lifecycle.scoring.signature import NoSignature

if TYPE_CHECKING:
    import pandas as pd

    from lifecycle.gates.column_drift import ColumnDrift, Finding


class DriftOptions(GateOptions):
    """Which rows and columns to compare, and how much may change."""

    current: str | None = Field(default=None, description="File with today's rows.")
    columns: tuple[str, ...] | None = Field(
        default=None, min_length=1, description="Columns to compare; by default the model's inputs."
    )
    max_drifted_share: float = Field(
        default=0.3, ge=0, lt=1, description="Largest share of columns that may have drifted."
    )
    max_null_change: float = Field(
        default=0.1, ge=0, lt=1, description="A column whose share of nulls changes by more has drifted."
    )
    min_rows: int = Field(default=500, ge=1, description="Rows needed on either side.")
    sample_rows: int = Field(
        default=20_000, ge=1, description="Rows to compare at most on either side, drawn at random."
    )
    seed: int = Field(default=0, ge=0, description="Seed of that draw.")


@dataclass(frozen=True, slots=True)
class DriftGate:
    """Compares the distribution of each input between the reference rows and the current ones.

    Numbers and datetimes by Wasserstein distance in standard deviations of the reference, text and
    true/false by Jensen-Shannon distance, both with Evidently's threshold of 0.1. These are measures of
    effect and not of significance, so the verdict does not depend on the number of rows; Evidently's
    own choice would switch from significance tests to them at 1000 rows.

    Columns that are empty on both sides don't count. Columns of the current data that the model doesn't
    take are not looked at. A single column that cannot be judged keeps the gate from passing: leave it
    out with ``columns``.
    """

    Options: ClassVar[type[GateOptions]] = DriftOptions
    name: ClassVar[str] = "drift"

    options: DriftOptions

    def evaluate(self, subject: Subject) -> Verdict:
        """FAILED when too many columns drifted, one is missing, or one holds another kind of values."""
        reference, current = subject.reference, subject.current(self.options.current)
        if reference is None:
            return inconclusive(
                self.name,
                "no_reference",
                "There are no reference rows. Call lifecycle.track(reference) in the training run.",
            )
        if current is None:
            return no_current_data(self.name)
        columns = self._columns(subject, reference)
        return (
            too_few_rows(self.name, reference, self.options.min_rows)
            or too_few_rows(self.name, current, self.options.min_rows)
            or self._unlike(columns, reference, current)
            or self._judge(columns, reference, current)
        )

    def _columns(self, subject: Subject, reference: Dataset) -> tuple[str, ...]:
        if self.options.columns:
            return tuple(dict.fromkeys(self.options.columns))
        try:
            signature = subject.candidate.signature
        except NoSignature:
            return tuple(reference.inputs)
        return tuple(reference.inputs) if signature.is_tensor else signature.names

    def _unlike(self, columns: tuple[str, ...], reference: Dataset, current: Dataset) -> Verdict | None:
        """The verdict where rows cannot be compared at all: columns missing or of another kind."""
        from lifecycle.gates.kinds import Kind, kind_of

        unknown = [repr(c) for c in columns if c not in reference.columns]
        if unknown:
            message = f"The reference rows lack {listing(unknown)}, so there is nothing to compare with."
            return inconclusive(self.name, "not_in_reference", message)
        missing = [repr(c) for c in columns if c not in current.columns]
        if missing:
            message = f"{current.source} lacks {listing(missing)}, which the reference rows have."
            return failed(self.name, "missing_columns", message, {"missing_columns": len(missing)})
        kinds = {c: (kind_of(reference.column(c)), kind_of(current.column(c))) for c in columns}
        changed = [
            f"{c!r} (was {before}, is {now})"
            for c, (before, now) in kinds.items()
            if before is not now and Kind.EMPTY not in (before, now)
        ]
        if changed:
            message = (
                f"{current.source} holds other kinds of values than the reference in: {listing(changed)}. "
                "If it is a CSV file, give Parquet, which keeps types."
            )
            return failed(self.name, "type_changed", message, {"changed_columns": len(changed)})
        return None

    def _judge(self, columns: tuple[str, ...], reference: Dataset, current: Dataset) -> Verdict:
        from lifecycle.gates.column_drift import Finding, judge_column

        before, now = self._sample(reference), self._sample(current)
        options = self.options
        found = [judge_column(c, before[c], now[c], options.max_null_change, options.seed) for c in columns]
        counted = [c for c in found if c.finding is not Finding.EMPTY]
        if not counted:
            return inconclusive(self.name, "no_values", "All columns are empty on both sides.")
        return self._verdict(counted, current.source, self._figures(counted, before, now))

    def _verdict(self, found: list[ColumnDrift], source: str, figures: dict[str, Figure]) -> Verdict:
        from lifecycle.gates.column_drift import Finding

        drifted, allowed = _words(found, Finding.DRIFTED), self.options.max_drifted_share
        share = len(drifted) / len(found)
        summary = f"{len(drifted)} of {len(found)} columns of {source} have drifted ({percent(share)})"
        if share > allowed:
            message = f"{summary}; {percent(allowed)} may. Drifted: {listing(drifted)}. Retrain on newer rows."
            return failed(self.name, "share_exceeded", message, figures)
        broken, unjudged = _words(found, Finding.BROKE), _words(found, Finding.UNJUDGED)
        if broken:
            return broke(
                self.name, "column_broke", f"{summary}, but Evidently broke on {listing(broken)}.", figures
            )
        if unjudged:
            message = f"{summary}, but these cannot be judged: {listing(unjudged)}. Leave them out with 'columns'."
            return inconclusive(self.name, "columns_unjudged", message, figures)
        named = f": {listing(drifted)}" if drifted else ""
        return passed(self.name, f"{summary}, at most {percent(allowed)} may{named}.", figures)

    def _sample(self, rows: Dataset) -> pd.DataFrame:
        return rows.sample(self.options.sample_rows, self.options.seed)

    def _figures(self, found: list[ColumnDrift], before: pd.DataFrame, now: pd.DataFrame) -> dict[str, Figure]:
        from lifecycle.gates.column_drift import Finding

        drifted = len(_words(found, Finding.DRIFTED))
        measured = sorted((c for c in found if c.distance is not None), key=lambda c: -(c.distance or 0))
        return {
            "columns": len(found),
            "drifted": drifted,
            "drifted_share": drifted / len(found),
            "max_drifted_share": self.options.max_drifted_share,
            "reference_rows": len(before),
            "current_rows": len(now),
            "seed": self.options.seed,
            **{f"distance.{c.name}": round(c.distance or 0, 4) for c in measured[:10]},
        }


def _words(found: list[ColumnDrift], finding: Finding) -> list[str]:
    return [c.words for c in found if c.finding is finding]
