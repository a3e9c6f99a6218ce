"""Tensors in tables: in lists, nested or flat, and in columns of numbers; by every way in the same tensor."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lifecycle.errors import DeploymentFailed
from lifecycle.scoring.arrow_rows import arrow_from_predictions
from lifecycle.scoring.contract import Fields
from lifecycle.scoring.frames import batch_from_frame
from lifecycle.scoring.payload import ARROW, CSV, PARQUET, decode
from lifecycle.scoring.row_check import MISSING, UNFIT, score_rows
from lifecycle.scoring.signature import Column, InvalidInput, SchemaMismatch, Signature
from lifecycle.scoring.tensor_rows import may_hold, table_signature, tensor_of
from tests.serving_here import Model

IMAGE = Column("", "float32", (-1, 1, 2, 3))
FLAT = Column("", "float32", (-1, 6))
ROWS = np.arange(24, dtype=np.float32).reshape(4, 1, 2, 3)


def nested(values: np.ndarray, *, large: bool = False, fixed: bool = False) -> pa.Array:
    kind = pa.from_numpy_dtype(values.dtype)
    for length in reversed(values.shape[1:]):
        kind = pa.list_(kind, length) if fixed else pa.large_list(kind) if large else pa.list_(kind)
    return pa.array(values.tolist(), kind)


FORMS = {
    "nested": nested(ROWS),
    "large": nested(ROWS, large=True),
    "fixed": nested(ROWS, fixed=True),
    "flat": nested(ROWS.reshape(4, 6)),
    "flat and fixed": nested(ROWS.reshape(4, 6), fixed=True),
    "doubles": nested(ROWS.astype(np.float64)),
    "bytes": nested(ROWS.astype(np.uint8), fixed=True),
    "a slice": nested(np.concatenate([ROWS, ROWS]), fixed=True)[4:],
}


def body(content_type: str, columns: dict[str, pa.Array]) -> bytes:
    table, sink = pa.table(columns), io.BytesIO()
    if content_type == PARQUET:
        pq.write_table(table, sink)
    else:
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=3)
    return sink.getvalue()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("content_type", [PARQUET, ARROW])
@pytest.mark.parametrize("name", ["input", "inputs", "pixels"])
def test_a_column_of_lists_is_the_tensor_in_every_form(content_type, form, name):
    batch = decode(body(content_type, {"id": pa.array(list("abcd")), name: FORMS[form]}), content_type, _of(IMAGE))
    assert list(batch) == [""]
    assert batch[""].dtype == np.float32
    np.testing.assert_array_equal(batch[""], ROWS)


@pytest.mark.parametrize("form", FORMS)
def test_a_frame_with_lists_in_its_cells_is_the_same(form):
    frame = pa.table({"id": list("abcd"), "pixels": FORMS[form]}).to_pandas()
    np.testing.assert_array_equal(batch_from_frame(frame, _of(IMAGE))[""], ROWS)
    frame["pixels"] = list(ROWS)
    np.testing.assert_array_equal(batch_from_frame(frame, _of(IMAGE))[""], ROWS)


def test_a_table_of_numbers_is_the_tensor_whose_rows_have_as_many_values():
    table = {f"p{i}": pa.array(ROWS.reshape(4, 6)[:, i]) for i in (3, 0, 1, 2, 4, 5)}
    expected = ROWS.reshape(4, 6)[:, [3, 0, 1, 2, 4, 5]]
    frame = pa.table(table).to_pandas()
    text = frame.to_csv(index=False).encode()
    for column in (FLAT, IMAGE):
        for batch in (
            decode(body(PARQUET, table), PARQUET, _of(column)),
            decode(body(ARROW, table), ARROW, _of(column)),
            decode(text, CSV, _of(column)),
            batch_from_frame(frame, _of(column)),
            batch_from_frame(frame.set_axis(range(6), axis=1), _of(column)),
        ):
            assert batch[""].dtype == np.float32
            np.testing.assert_array_equal(batch[""], expected.reshape(4, *column.shape[1:]))


def test_several_tensors_are_found_by_name_and_one_by_its_own_before_others():
    two = Signature((Column("left", "float32", (-1, 3)), Column("right", "int64", (-1,))))
    columns = {"right": pa.array([1, 2]), "more": pa.array([1, 2]), "left": pa.array([[1.0, 2, 3], [4, 5, 6]])}
    batch = decode(body(PARQUET, columns), PARQUET, two)
    assert (batch["left"].tolist(), batch["right"].tolist()) == ([[1, 2, 3], [4, 5, 6]], [1, 2])
    with pytest.raises(SchemaMismatch, match="'right'"):
        decode(body(PARQUET, {"left": columns["left"]}), PARQUET, two)
    own = Signature((Column("x", "float32", (-1, 3)),))
    lists = {"x": columns["left"], "input": pa.array([[0.0], [0.0]])}
    assert decode(body(ARROW, lists), ARROW, own)["x"].tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": pa.array([[1.0]]), "b": pa.array([[1.0]])}, "several columns of lists"),
        ({"a": pa.array([1.0]), "b": pa.array([1.0])}, "for each value of a row; there are 2"),
        ({"a": pa.array(["x"])}, "wants shape .* one column of lists"),
    ],
)
def test_where_no_column_is_clearly_the_tensor_the_columns_are_asked_for(columns, message):
    with pytest.raises(SchemaMismatch, match=message):
        decode(body(PARQUET, columns), PARQUET, _of(IMAGE))
    with pytest.raises(SchemaMismatch, match=message):
        batch_from_frame(pa.table(columns).to_pandas(), _of(IMAGE))


def test_columns_that_are_kept_are_no_part_of_a_row():
    schema = pa.schema([("id", pa.int64()), *((f"p{i}", pa.float32()) for i in range(6))])
    assert table_signature(_of(FLAT), schema, ["id"]).names == tuple(f"p{i}" for i in range(6))
    assert table_signature(_of(FLAT), schema.remove(0), ["p0"]).names == tuple(f"p{i}" for i in range(6))
    lists = pa.schema([("tags", pa.list_(pa.string())), ("pixels", pa.list_(pa.float32()))])
    assert table_signature(_of(IMAGE), lists, ["tags"]).names == ("pixels",)


BAD = [None, [[[1, 2, 3]]], [[[1, 2, 3], [4, None, 6]]], [[[1, 2, 3], None]], [[[1, 2, 3], [4, 5, 1e300]]]]
REASONS = [MISSING, UNFIT, MISSING, MISSING, UNFIT]


def test_only_the_rows_whose_lists_do_not_fit_are_rejected_each_with_its_reason():
    values = [*ROWS.tolist()[:2], *BAD, *ROWS.tolist()[2:]]
    rows = pa.record_batch({"pixels": pa.array(values, pa.list_(pa.list_(pa.list_(pa.float64()))))})
    model = Model((replaced(IMAGE, "pixels"),), lambda batch: batch["pixels"].sum(axis=(1, 2, 3)))
    scored = score_rows(model, rows, "rows")
    assert scored.positions.tolist() == [0, 1, 7, 8]
    assert scored.predictions.column("prediction").to_pylist() == ROWS.sum(axis=(1, 2, 3)).tolist()
    assert (scored.rejected.positions.tolist(), scored.rejected.reasons) == ([2, 3, 4, 5, 6], REASONS)
    assert set(scored.rejected.columns) == {"pixels"}


@pytest.mark.parametrize("bad", BAD)
def test_a_request_or_frame_with_such_a_row_is_refused_as_a_whole(bad):
    column = pa.array([ROWS[0].tolist(), bad], pa.list_(pa.list_(pa.list_(pa.float64()))))
    with pytest.raises(InvalidInput):
        decode(body(PARQUET, {"input": column}), PARQUET, _of(IMAGE))
    frame = pd.DataFrame({"input": [ROWS[0].tolist(), bad]})
    with pytest.raises(InvalidInput):
        batch_from_frame(frame, _of(IMAGE))


@pytest.mark.parametrize(
    ("given", "fits"),
    [
        (pa.list_(pa.list_(pa.list_(pa.int8()))), True),
        (pa.list_(pa.float64(), 6), True),
        (pa.list_(pa.null()), True),
        (pa.list_(pa.float64(), 5), False),
        (pa.list_(pa.list_(pa.float64())), False),
        (pa.list_(pa.list_(pa.list_(pa.float64(), 2), 3), 1), False),
        (pa.list_(pa.string()), False),
        (pa.list_(pa.bool_()), False),
        (pa.float64(), False),
    ],
)
def test_a_type_that_holds_no_such_tensor_is_known_before_the_first_row(given, fits):
    assert may_hold(IMAGE, given) is fits
    assert may_hold(Column("", "bool", (-1, 6)), pa.list_(pa.bool_()))


def test_a_clean_column_of_the_tensors_type_is_not_copied():
    values = pa.FixedSizeListArray.from_arrays(pa.array(ROWS.ravel()), 6)
    assert np.shares_memory(tensor_of(values, IMAGE), values.values.to_numpy())


def test_no_rows_and_sequences_of_any_length():
    assert tensor_of(pa.array([], pa.list_(pa.float32())), IMAGE).shape == (0, 1, 2, 3)
    sequence = Column("", "int64", (-1, -1))
    assert tensor_of(pa.array([[1, 2], [3, 4]]), sequence).tolist() == [[1, 2], [3, 4]]
    with pytest.raises(SchemaMismatch, match="rectangular"):
        tensor_of(pa.array([[1, 2], [3]]), sequence)


def test_sequences_of_different_lengths_are_scored_apart_and_stay_in_their_order():
    sequence = Column("words", "int64", (-1, -1, 2))
    words = [[[1, 2]], [[3, 4], [5, 6]], None, [], [[7, 8]], [[9], [10]], [[1, 1], [2, None]], [[0, 1], [1, 0]]]
    asked = []

    def total(batch):
        asked.append(batch["words"].shape)
        return batch["words"].sum(axis=(1, 2))

    rows = pa.record_batch({"words": pa.array(words, pa.list_(pa.list_(pa.int64())))})
    scored = score_rows(Model((sequence,), total), rows, "rows")
    assert sorted(asked) == [(2, 1, 2), (2, 2, 2)]
    assert scored.positions.tolist() == [0, 1, 4, 7]
    assert scored.predictions.column("prediction").to_pylist() == [3, 18, 15, 2]
    told = dict(zip(scored.rejected.positions.tolist(), scored.rejected.reasons, strict=True))
    assert told == {2: MISSING, 3: UNFIT, 5: UNFIT, 6: MISSING}
    asked.clear()
    assert score_rows(Model((sequence,), total), rows.slice(2, 2), "rows").positions.tolist() == []
    assert asked == []


def test_answers_that_differ_in_shape_by_the_length_of_a_row_fail_the_run():
    rows = pa.record_batch({"words": pa.array([[1, 2], [3]])})
    with pytest.raises(DeploymentFailed, match="differ in shape on these rows"):
        score_rows(Model((Column("words", "int64", (-1, -1)),), lambda b: b["words"]), rows, "these rows")
    tagged = score_rows(
        Model((Column("words", "int64", (-1, -1)),), lambda b: {"tags": b["words"] * 2}), rows, "these rows"
    )
    assert tagged.predictions.to_pydict() == {"tags": [[2, 4], [6]]}


def test_predictions_with_more_axes_are_lists_and_those_of_two_stay_columns():
    cube = np.arange(12.0).reshape(2, 3, 2)
    assert arrow_from_predictions(cube).to_pydict() == {"prediction": cube.tolist()}
    assert arrow_from_predictions(cube[:, 0]).to_pydict() == {
        "prediction_0": [0.0, 6.0],
        "prediction_1": [1.0, 7.0],
    }
    fields = Fields({"label": np.array(["a", "b"]), "scores": cube[:, :, 0], "none": np.empty((2, 0))})
    assert arrow_from_predictions(fields).to_pydict() == {
        "label": ["a", "b"],
        "scores": cube[:, :, 0].tolist(),
        "none": [[], []],
    }


def replaced(column: Column, name: str) -> Column:
    return Column(name, column.type, column.shape)


def _of(column: Column) -> Signature:
    return Signature((column,))
