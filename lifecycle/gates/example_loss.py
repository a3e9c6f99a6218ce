"""What an input example loses on its way through the signature."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifecycle.scoring.contract import Batch


def lossy_columns(content: Any, batch: Batch) -> list[str]:
    """Columns of the example that the signature drops, or whose numbers it rounds.

    Args:
        content: The example as it was logged, in one of MLflow's four shapes.
        batch: The same as the signature made it.

    Returns:
        Names in quotes.
    """
    given = _columns(content, batch)
    return [repr(name) for name, values in given.items() if name not in batch or not _kept(values, batch[name])]


def _columns(content: Any, batch: Batch) -> Mapping[str, Any]:
    if "dataframe_split" in content:
        split = content["dataframe_split"]
        return dict(zip(split.get("columns", batch), zip(*split["data"], strict=True), strict=True))
    given = next(content[shape] for shape in ("dataframe_records", "instances", "inputs") if shape in content)
    if isinstance(given, list) and isinstance(given[0], dict):
        return {name: [row.get(name) for row in given] for name in dict.fromkeys(_names(given))}
    return given if isinstance(given, dict) else dict.fromkeys(batch, given)


def _names(records: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    return (name for record in records for name in record)


def _kept(given: Any, values: NDArray[Any]) -> bool:
    """Whether every number is exactly the same; texts and times are taken as they are, or refused."""
    before = np.array(given, dtype=object).ravel()  # as Python's own numbers, which compare exactly
    return all(
        kept == value
        for value, kept in zip(before, values.ravel().tolist(), strict=True)
        if isinstance(value, int | float)
    )
