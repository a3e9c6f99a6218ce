"""Batches as frames, as MLflow wants them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lifecycle.scoring.frames import batch_from_frame, frame_from_batch
from lifecycle.scoring.signature import Column, SchemaMismatch, Signature


@pytest.mark.parametrize("text", [["a", None], [None, None], []])
def test_a_text_column_has_one_type_whatever_is_missing(text):
    frame = frame_from_batch({"t": np.array(text, object)})
    assert frame["t"].dtype == pd.Series(["a"]).dtype
    assert frame["t"].isna().tolist() == [value is None for value in text]


def tensor_signature(*shape: int) -> Signature:
    return Signature((Column("", "float32", shape),))


def test_columns_are_a_tensors_numbers_in_row_major_order():
    images = np.arange(24, dtype=np.float32).reshape(2, 1, 3, 4)
    batch = batch_from_frame(pd.DataFrame(images.reshape(2, 12)), tensor_signature(-1, 1, 3, 4))
    assert batch[""].tolist() == images.tolist()


def test_no_rows_of_a_tensor_have_its_shape():
    batch = batch_from_frame(pd.DataFrame(np.zeros((0, 12))), tensor_signature(-1, 3, 4))
    assert batch[""].shape == (0, 3, 4)


@pytest.mark.parametrize("shape", [(-1, 3, 4), (-1, -1, 4), (-1, 12)])
def test_columns_of_another_number_than_the_tensors_are_refused(shape):
    with pytest.raises(SchemaMismatch, match="wants shape"):
        batch_from_frame(pd.DataFrame(np.zeros((2, 13))), tensor_signature(*shape))
