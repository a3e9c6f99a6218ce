"""The only caller of Evidently, which takes 5 s to import: its own report, on a sample of the rows."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset

from lifecycle.gates.kinds import Kind, kind_of

# Evidently writes names of columns and categories into its HTML as they are, where they would be run as script.
_UNSAFE = re.compile(r"[^A-Za-z0-9 _.,:+-]")
_LONGEST = 60
_MOST_CATEGORIES = 30
_MOMENTS = (Kind.DATETIME, Kind.ZONED_DATETIME)
Sides = tuple["pd.Series[Any]", "pd.Series[Any]"]
_DAY = pd.Timedelta(days=1)


def evidently_report(
    reference: pd.DataFrame, current: pd.DataFrame, columns: Sequence[str], threshold: float, max_share: float
) -> str:
    """Evidently's report on data drift, as one HTML page of about 5 MB.

    Columns without a finite value on either side are left out: Evidently breaks on them. Methods are named,
    because its own choice jumps at 1000 rows: those by which the gate judges all rows.

    Args:
        columns: Those to show, in this order.
        threshold: Distance from which a column has drifted.
        max_share: Largest share of columns that may have.
    """
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
    """Both sides of each column by a harmless name, as Evidently takes them."""
    found = {}
    for column, name in zip(columns, _distinct(map(_safe, columns)), strict=True):
        before, now = _plain(reference[column]), _plain(current[column])
        if before.notna().any() and now.notna().any():
            found[name] = (before, now) if before.dtype.kind == "f" else _largest_categories(before, now)
    return found


def _plain(column: pd.Series[Any]) -> pd.Series[Any]:
    """Numbers as floats, moments as days since 1970, all else as safe text; NaN where there is nothing to show."""
    kind = kind_of(column)
    if kind is Kind.NUMBER:
        numbers = column.astype(float)
        return numbers.where(np.isfinite(numbers))
    if kind in _MOMENTS:
        moments = pd.to_datetime(column, utc=True)
        return (moments - pd.Timestamp(0, tz="UTC")) / _DAY
    return column.astype(object).map(lambda value: _safe(str(value)), na_action="ignore")


def _largest_categories(before: pd.Series[Any], now: pd.Series[Any]) -> Sides:
    shown = pd.concat([before, now]).value_counts().index[:_MOST_CATEGORIES]
    first, second = (side.where(side.isin(shown) | side.isna(), "all others") for side in (before, now))
    return first, second


def _safe(text: str) -> str:
    return _UNSAFE.sub("_", text)[:_LONGEST] or "_"


def _distinct(names: Iterable[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        found.append(name if name not in found else f"{name} ({len(found)})")
    return found
