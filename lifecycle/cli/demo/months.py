"""The rows of the story: real months, and two that something happened to."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def write_months(project: Path, folder: Path) -> None:
    """Write ``july``, ``august``, ``broken`` and ``shifted`` as Parquet files."""
    flights: Callable[[range], pd.DataFrame] = runpy.run_path(str(project / "flights.py"))["flights"]
    folder.mkdir(parents=True, exist_ok=True)
    july, august = flights(range(7, 8)), flights(range(8, 9))
    for name, rows in {
        "july": july,
        "august": august,
        "broken": _broken(august),
        "shifted": _shifted(august),
    }.items():
        rows.to_parquet(folder / f"{name}.parquet", index=False)


def _broken(rows: pd.DataFrame) -> pd.DataFrame:
    """A feed that lost a third of its departure delays and sends metres where it sent miles."""
    rows = rows.copy()
    rows.loc[rows.index % 3 == 0, "dep_delay"] = float("nan")
    rows["distance"] *= 1609.344
    return rows


def _shifted(rows: pd.DataFrame) -> pd.DataFrame:
    """Evening long-haul flights from one airport only: every value is valid, the mix is another."""
    return rows[(rows["origin"] == "JFK") & (rows["distance"] > 1000) & (rows["hour"] >= 15)]
