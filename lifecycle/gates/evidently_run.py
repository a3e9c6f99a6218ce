"""The only caller of Evidently: how far two samples of one column are apart."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.metrics import ValueDrift

# The user's column names stay out of Evidently: it writes them unescaped into its HTML.
_COLUMN = "value"


class NotFinite(ArithmeticError):
    """Evidently answered with no finite number."""


def number_distance(reference: pd.Series[Any], current: pd.Series[Any]) -> float:
    """Wasserstein distance in standard deviations of the reference.

    Expects finite numbers, at least two different ones in ``reference``. Evidently divides by the standard
    deviation but never by less than 0.001, which hides any change in a column of small numbers: so both
    sides are brought to the reference's scale first.
    """
    middle, scale = float(reference.mean()), float(reference.std(ddof=0))
    if not (math.isfinite(scale) and scale > 0):
        raise NotFinite("the reference has no finite scale")
    return _distance(
        (reference.astype(float) - middle) / scale,
        (current.astype(float) - middle) / scale,
        DataDefinition(numerical_columns=[_COLUMN]),
        "wasserstein",
    )


def category_distance(reference: pd.Series[Any], current: pd.Series[Any]) -> float:
    """Jensen-Shannon distance: 0 for equal shares, 0.83 for no category in common.

    Categories that only one side has are taken together. That leaves the distance as it is, and spares
    Evidently a search that takes minutes for some thousands of them.
    """
    common = {value: f"category {i}" for i, value in enumerate(set(reference.unique()) & set(current.unique()))}
    return _distance(
        reference.astype(object).map(common).fillna("only in the reference").astype(object),
        current.astype(object).map(common).fillna("only in the current rows").astype(object),
        DataDefinition(categorical_columns=[_COLUMN]),
        "jensenshannon",
    )


def _distance(
    reference: pd.Series[Any], current: pd.Series[Any], definition: DataDefinition, method: str
) -> float:
    sides = [
        Dataset.from_pandas(pd.DataFrame({_COLUMN: side.to_numpy()}), data_definition=definition)
        for side in (current, reference)
    ]
    # The method is named, as Evidently's own choice jumps at 1000 rows. The threshold is ours to apply.
    result = Report([ValueDrift(column=_COLUMN, method=method)]).run(*sides)
    distance = float(result.dict()["metrics"][0]["value"])
    if not math.isfinite(distance):
        raise NotFinite("the distance is not finite")
    return distance
