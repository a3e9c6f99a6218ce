"""Charts of the drift gate: histograms of columns, and Evidently's report on a sample of the rows."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lifecycle.domain.charts import EmbeddedPage, Histogram
from lifecycle.gates.column_types import ColumnType, column_type
from lifecycle.gates.drift.columns import BinShares
from lifecycle.gates.drift.decide import ColumnResult, DriftOptions, DriftResults

_MOST_PICTURES = 12
_MOST_COLUMNS = 20  # in Evidently's report: 2 s, and 0.1 s for each more


def histograms(findings: DriftResults) -> tuple[Histogram, ...]:
    """Histograms of what drifted first, then of labels and predictions, then of the columns that moved most."""
    found = [*findings.labels, *findings.answers, *sorted(findings.counted, key=ColumnResult.rank)]
    shown = [(one, picture) for one in sorted(found, key=lambda one: not one.moved) if (picture := _picture(one))]
    return tuple(
        Histogram(one.column.name, _note(one), p.labels, p.reference, p.current, one.moved, p.ordered)
        for one, p in shown[:_MOST_PICTURES]
    )


def evidently_page(
    findings: DriftResults, samples: tuple[pd.DataFrame, pd.DataFrame], options: DriftOptions
) -> tuple[EmbeddedPage, ...]:
    """Evidently's report on the columns with the largest distances; nothing if no column has values."""
    shown = [one.column.name for one in sorted(findings.counted, key=ColumnResult.rank) if one.column.values]
    if not shown:
        return ()
    html = evidently_report(*samples, shown[:_MOST_COLUMNS], options.drift_distance, options.max_drifted_share)
    rows = f"{len(samples[1]):,} rows against {len(samples[0]):,} of the reference"
    return (EmbeddedPage("evidently.html", f"Evidently's report ({rows})", html, needs_scripts=True),)


def _picture(one: ColumnResult) -> BinShares | None:
    values, nulls = one.column.values, one.column.nulls
    if values:
        return values.picture
    if one.moved and nulls:
        return BinShares(("values", "nulls"), (1 - nulls.before, nulls.before), (1 - nulls.now, nulls.now))
    return None


def _note(one: ColumnResult) -> str:
    values = one.column.values
    if values is None:
        return f"{one.why}: {one.finding}"
    measured = f"{values.unit} {values.distance:.2f}, chance gives {values.chance.distance:.2f}, p = {one.p:.2g}"
    return f"{measured}: {one.finding}"


# Evidently writes column and category names unescaped into its HTML, where they could run as script
_UNSAFE = re.compile(r"[^A-Za-z0-9 _.,:+-]")
_LONGEST = 60
_MOST_CATEGORIES = 30
_MOMENTS = (ColumnType.DATETIME, ColumnType.ZONED_DATETIME)
Sides = tuple["pd.Series[Any]", "pd.Series[Any]"]
_DAY = pd.Timedelta(days=1)


def evidently_report(
    reference: pd.DataFrame, current: pd.DataFrame, columns: Sequence[str], threshold: float, max_share: float
) -> str:
    """Evidently's report on data drift, as one HTML page of about 5 MB.

    Columns without a finite value on either side are left out: Evidently breaks on them. Methods are named,
    because Evidently's own choice changes at 1000 rows: those of the gate are used.

    Args:
        columns: Those to show, in this order.
        threshold: Distance from which a column has drifted.
        max_share: Largest share of columns that may have.
    """
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    sides = _sides(reference, current, columns)
    numbers = [name for name, (before, _) in sides.items() if before.dtype.kind == "f"]
    definition = DataDefinition(
        numerical_columns=numbers, categorical_columns=[n for n in sides if n not in numbers]
    )
    before, now = (
        Dataset.from_pandas(
            pd.DataFrame({name: pair[side].to_numpy() for name, pair in sides.items()}), data_definition=definition
        )
        for side in (0, 1)
    )
    preset = DataDriftPreset(
        columns=list(sides),
        num_method="wasserstein",
        num_threshold=threshold,
        cat_method="jensenshannon",
        cat_threshold=threshold,
        drift_share=max_share,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        html: str = Report([preset]).run(now, before).get_html_str(as_iframe=False)
    return html


def _sides(reference: pd.DataFrame, current: pd.DataFrame, columns: Sequence[str]) -> dict[str, Sides]:
    """Reference and current values of each column, by a name without special characters."""
    found = {}
    for column, name in zip(columns, _distinct(map(_safe, columns)), strict=True):
        before, now = _plain(reference[column]), _plain(current[column])
        if before.notna().any() and now.notna().any():
            if before.dtype.kind != "f":
                shown = pd.concat([before, now]).value_counts().index[:_MOST_CATEGORIES]
                before, now = (side.where(side.isin(shown) | side.isna(), "all others") for side in (before, now))
            found[name] = before, now
    return found


def _plain(column: pd.Series[Any]) -> pd.Series[Any]:
    """Numbers as floats, datetimes as days since 1970, everything else as safe text; NaN for missing values."""
    kind = column_type(column)
    if kind is ColumnType.NUMBER:
        numbers = column.astype(float)
        return numbers.where(np.isfinite(numbers))
    if kind in _MOMENTS:
        moments = pd.to_datetime(column, utc=True)
        return (moments - pd.Timestamp(0, tz="UTC")) / _DAY
    return column.astype(object).map(lambda value: _safe(str(value)), na_action="ignore")


def _safe(text: str) -> str:
    return _UNSAFE.sub("_", text)[:_LONGEST] or "_"


def _distinct(names: Iterable[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        found.append(name if name not in found else f"{name} ({len(found)})")
    return found
