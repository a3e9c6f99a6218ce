"""BentoML: ``bentoml serve bento:Plain`` or ``bento:Batch``, with the model's folder in MODEL."""

import os
import pickle
from pathlib import Path

import bentoml
import numpy as np
import pandas as pd

MODEL = Path(os.environ["MODEL"])
COLUMNS = os.environ["COLUMNS"].split(",")


def load():
    return pickle.loads((MODEL / "model.pkl").read_bytes())  # noqa: S301  our own file


@bentoml.service(workers=1, traffic={"timeout": 60})
class Plain:
    def __init__(self):
        self.model = load()

    @bentoml.api(route="/invocations")
    def invocations(self, dataframe_split: dict) -> dict:
        frame = pd.DataFrame(dataframe_split["data"], columns=dataframe_split["columns"])
        return {"predictions": self.model.predict_proba(frame).tolist()}


@bentoml.service(workers=1, traffic={"timeout": 60})
class Batch:
    """BentoML's batching takes arrays only, so the rows are bare."""

    def __init__(self):
        self.model = load()

    @bentoml.api(route="/invocations", batchable=True, max_batch_size=64, max_latency_ms=1000)
    def invocations(self, rows: np.ndarray) -> np.ndarray:
        return self.model.predict_proba(pd.DataFrame(rows, columns=COLUMNS))
