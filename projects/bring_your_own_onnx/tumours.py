"""569 tumours, benign or not, with 30 measures of their cells each, which come with scikit-learn; and a file.

They are in a random order, always the same. The maker of the model had the first of them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer

LABEL = "benign"


def tumours(rows: str) -> pd.DataFrame:
    """Measures and label of some rows, such as ``0-250``."""
    first, last = (int(row) for row in rows.split("-"))
    data = load_breast_cancer(as_frame=True)
    measures = data.data.astype(np.float32).rename(columns=lambda name: name.replace(" ", "_"))
    return measures.assign(**{LABEL: data.target}).sample(frac=1, random_state=0).iloc[first:last]


def arrived(file: Path, rows: str) -> Path:
    """Stand-in for a model that somebody else trained: made of a scikit-learn pipeline if the file is not there.

    It takes an array of shape (rows, 30) and answers with two probabilities a row.
    """
    if file.exists():
        return file
    from skl2onnx import to_onnx
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    learn = tumours(rows)
    measures = learn.drop(columns=LABEL).to_numpy()
    theirs = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(measures, learn[LABEL])
    model = to_onnx(theirs, measures[:1], options={"zipmap": False}, target_opset=18)
    del model.graph.output[0]  # the class, which follows from the probabilities
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(model.SerializeToString())
    return file
