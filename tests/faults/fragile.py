"""A pyfunc model that does what it is told: doubles, dies, hangs or eats memory."""

from __future__ import annotations

import os
import signal
import time

import mlflow.pyfunc
import pandas as pd
from mlflow.models import infer_signature

DIE, HANG, EAT, RAISE, SLEEP = 666.0, 777.0, 888.0, 999.0, 555.0
SLEEP_S = 0.05


class Fragile(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        told = set(model_input["x"])
        if DIE in told:
            os.kill(os.getpid(), signal.SIGKILL)
        if HANG in told:
            while True:
                pass
        if EAT in told:
            return [bytearray(2**28) for _ in range(2**10)]
        if RAISE in told:
            raise RuntimeError(f"cannot take {told}")
        if SLEEP in told:
            time.sleep(SLEEP_S)
        return model_input["x"] * (params or {}).get("factor", 2.0)


def save(path) -> None:
    example = pd.DataFrame({"x": [1.0, 2.0], "t": ["a", None]})
    signature = infer_signature(example, example["x"], params={"factor": 2.0})
    mlflow.pyfunc.save_model(
        str(path), python_model=__file__, signature=signature, input_example=example, pip_requirements=["mlflow"]
    )


mlflow.models.set_model(Fragile())
