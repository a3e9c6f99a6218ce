"""Predictions as MLflow's server writes them, whatever a model answers with."""

from __future__ import annotations

import datetime
import io
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from lifecycle.scoring.arrow_rows import stream_from_predictions
from lifecycle.scoring.payload import encode
from lifecycle.scoring.pyfunc_scorer import _normalised

ANSWERS = [
    np.array([1.5, 2.5]),
    np.array([[1, 2], [3, 4]], dtype=np.int32),
    np.array([True, False]),
    np.array([0.1, 0.2], dtype=np.float32),
    np.array(["late", "on time"]),
    np.array(["late", None, 5], dtype=object),
    [1, 2, 3],
    [1.5, 2],
    ["a", "b"],
    ["a", 1, None],
    [[1, 2], [3]],
    [[1, "a"], [2, "b"]],
    [{"label": "late", "p": 0.5}],
    {"label": ["late", "on time"], "p": [0.5, 0.25]},
    pd.DataFrame({"y": [1, 2], "k": ["a", None]}, dtype=object),
    pd.DataFrame({"at": [datetime.datetime(2026, 1, 2, 3, 4, 5)]}),
    pd.DataFrame({"raw": [b"\x00\xff" * 40]}),
    [b"\x00\xff"],
    [datetime.date(2026, 1, 2)],
]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: repr(answer)[:40])
def test_the_body_says_what_mlflows_own_would(answer):
    from mlflow.pyfunc.scoring_server import predictions_to_json

    theirs = io.StringIO()
    predictions_to_json(answer, theirs)
    ours = json.loads(encode(_normalised(answer)), parse_constant=pytest.fail)
    assert ours == json.loads(theirs.getvalue())


def test_predictions_come_as_an_arrow_stream_too():
    with pa.ipc.open_stream(stream_from_predictions({"y": np.array([1.5]), "k": np.array(["a"])})) as reader:
        assert reader.read_all().to_pydict() == {"y": [1.5], "k": ["a"]}
    with pa.ipc.open_stream(stream_from_predictions(np.array([1, 2]))) as reader:
        assert reader.read_all().to_pydict() == {"prediction": [1, 2]}
