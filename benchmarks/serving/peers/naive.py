"""A server as in tutorials: FastAPI, pydantic, DataFrame, scikit-learn. ``python naive.py MODEL PORT``."""

import sys
from typing import Any

import mlflow.sklearn
import pandas as pd
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

model = mlflow.sklearn.load_model(sys.argv[1])
app = FastAPI()


class Split(BaseModel):
    columns: list[str]
    data: list[list[Any]]


class Rows(BaseModel):
    dataframe_split: Split


@app.post("/invocations")
def invocations(rows: Rows) -> dict[str, Any]:
    frame = pd.DataFrame(rows.dataframe_split.data, columns=rows.dataframe_split.columns)
    return {"predictions": model.predict_proba(frame).tolist()}


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[2]), access_log=False, log_level="warning")
