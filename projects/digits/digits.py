"""1,797 images of digits, 8 by 8 pixels each, that 13 people wrote by hand; they come with scikit-learn.

They lie in the order of their writers, so that later rows are other people's, as they would be in production.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.datasets import load_digits

LABEL = "digit"
Images = NDArray[np.float32]
"""Shape (rows, 1, 8, 8), 0 for white to 1 for black."""


def digits(rows: str) -> tuple[Images, NDArray[np.int64]]:
    """Images and labels of some rows, such as ``0-1200`` (without row 1200)."""
    chosen, data = _numbers(rows), load_digits()
    return (data.images[chosen, None] / 16).astype(np.float32), data.target[chosen].astype(np.int64)


def held_out(rows: str) -> NDArray[np.bool_]:
    """Every fourth row, in every training: what one version learned from must not measure the next one."""
    return _numbers(rows) % 4 == 3


def _numbers(rows: str) -> NDArray[np.int64]:
    first, last = (int(row) for row in rows.split("-"))
    return np.arange(first, last)


def as_table(images: Images, labels: NDArray[np.int64]) -> pd.DataFrame:
    """One row an image: a column for each pixel, row by row, and the label. So gates see tensors."""
    names = load_digits().feature_names
    return pd.DataFrame(images.reshape(len(images), -1), columns=names).assign(**{LABEL: labels})


def shifted(images: Images, seed: int = 0) -> Images:
    """The images as another scanner might give them: one pixel to the right, and grainy."""
    moved = np.roll(images, 1, axis=3)
    grain = np.random.default_rng(seed).normal(0, 0.1, images.shape)
    return np.clip(moved + grain, 0, 1).astype(np.float32)
