"""Batches as frames, as MLflow wants them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lifecycle.scoring.frames import frame_from_batch


@pytest.mark.parametrize("text", [["a", None], [None, None], []])
def test_a_text_column_has_one_type_whatever_is_missing(text):
    frame = frame_from_batch({"t": np.array(text, object)})
    assert frame["t"].dtype == pd.Series(["a"]).dtype
    assert frame["t"].isna().tolist() == [value is None for value in text]
