"""Parquet and Arrow bodies: the same rows as JSON gives, and nothing unpacked that is made to exhaust a server."""

from __future__ import annotations

import io

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lifecycle.scoring.payload import ARROW, PARQUET, decode
from lifecycle.scoring.signature import Column, InvalidInput, Signature

NUMBERS = Signature((Column("a", "double"), Column("b", "double")))
TABLE = Signature((Column("a", "double"), Column("b", "long"), Column("c", "string", required=False)))
ROWS = {"a": [1.5, None], "b": [2, 3], "c": ["x", None], "more": [[1], [2]]}


def parquet(columns, **options) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, **options)
    return sink.getvalue()


def stream(columns, options=None) -> bytes:
    table, sink = pa.table(columns), io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return sink.getvalue()


FORMS = [(PARQUET, parquet), (ARROW, stream)]


@pytest.mark.parametrize(("content_type", "write"), FORMS, ids=["parquet", "arrow"])
@pytest.mark.parametrize("b", [[4.0, 5.0, 6.0], [4.0, None, 6.0], [4, 5, 6]], ids=["doubles", "a null", "longs"])
def test_columns_of_numbers_are_what_they_are_alone(content_type, write, b):
    batch = decode(write({"more": ["x"] * 3, "b": b, "a": [1.0, 2.0, 3.0]}), content_type, NUMBERS)
    assert list(batch) == ["a", "b"]
    np.testing.assert_array_equal(batch["a"], [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(batch["b"], [np.nan if value is None else value for value in b])
    assert {values.dtype for values in batch.values()} == {np.dtype(np.float64)}


def test_a_stream_of_several_batches_is_one():
    table, sink = pa.table({"a": [1.0, 2.0, 3.0], "b": [4.0, 5.0, 6.0]}), io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    batch = decode(sink.getvalue(), ARROW, NUMBERS)
    assert (batch["a"].tolist(), batch["b"].tolist()) == ([1.0, 2.0, 3.0], [4.0, 5.0, 6.0])


@pytest.mark.parametrize(("content_type", "write"), FORMS, ids=["parquet", "arrow"])
def test_both_mean_the_rows_they_hold(content_type, write):
    batch = decode(write(ROWS), content_type, TABLE)
    np.testing.assert_array_equal(batch["a"], [1.5, np.nan])
    assert (batch["b"].tolist(), batch["c"].tolist()) == ([2, 3], ["x", None])
    assert [values.dtype.kind for values in batch.values()] == ["f", "i", "O"]


@pytest.mark.parametrize(("content_type", "write"), FORMS, ids=["parquet", "arrow"])
def test_a_categorical_is_its_texts_and_no_rows_are_an_empty_batch(content_type, write):
    columns = {"a": pa.array([1.0, 2.0]), "b": [1, 2], "c": pa.array(["x", "y"]).dictionary_encode()}
    assert decode(write(columns), content_type, TABLE)["c"].tolist() == ["x", "y"]
    nothing = {"a": pa.array([], pa.float64()), "b": pa.array([], pa.int64())}
    assert len(decode(write(nothing), content_type, TABLE)["a"]) == 0


@pytest.mark.parametrize(("content_type", "write"), FORMS, ids=["parquet", "arrow"])
@pytest.mark.parametrize(
    "columns",
    [
        {"a": [1.0]},
        {"a": ["1"], "b": [1]},
        {"a": [1.0], "b": [1.5]},
        {"a": [1.0], "b": [None]},
        {"a": [[1.0]], "b": [1]},
        {"a": [{"x": 1}], "b": [1]},
        {"a": [True], "b": [1]},
        {"a": [1.0], "b": [1], "c": [5]},
        {"a": [1.0], "b": pa.array([2**63], pa.uint64())},
    ],
    ids=lambda columns: str({name: [*values] for name, values in columns.items()}),
)
def test_what_does_not_fit_the_signature_is_refused(content_type, write, columns):
    with pytest.raises(InvalidInput):
        decode(write(columns), content_type, TABLE)


@pytest.mark.parametrize(("content_type", "write"), FORMS, ids=["parquet", "arrow"])
def test_damaged_bodies_are_refused_and_nothing_worse(content_type, write):
    whole = write({"a": [1.0] * 50, "b": [1] * 50})
    random = np.random.default_rng(7)
    refused = 0
    for damaged in [whole[:cut] for cut in range(0, len(whole), 7)] + [
        _flipped(whole, random) for _ in range(300)
    ]:
        try:
            decode(damaged, content_type, TABLE)
        except InvalidInput:
            refused += 1
    assert refused > len(whole) // 14


@pytest.mark.parametrize("compression", ["gzip", "zstd", "snappy"])
def test_a_parquet_bomb_is_refused_unopened(compression):
    bomb = parquet(
        {"a": np.zeros(20_000_000), "b": np.zeros(20_000_000, np.int64)},
        compression=compression,
        use_dictionary=False,
    )
    assert grown_while_refusing(bomb, PARQUET) < 64 * 2**20


def test_a_bomb_of_repeated_values_is_refused_unopened():
    bomb = parquet({"a": np.zeros(20_000_000), "b": np.zeros(20_000_000, np.int64)})
    assert len(bomb) < 2**20
    assert grown_while_refusing(bomb, PARQUET) < 64 * 2**20


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
def test_a_compressed_arrow_stream_is_refused_unopened(codec):
    options = pa.ipc.IpcWriteOptions(compression=codec)
    bomb = stream({"a": np.zeros(20_000_000), "b": np.zeros(20_000_000, np.int64)}, options)
    assert grown_while_refusing(bomb, ARROW) < 64 * 2**20


def test_a_dictionary_of_one_long_text_is_not_written_out_for_every_row():
    long = pa.DictionaryArray.from_arrays(pa.array(np.zeros(100_000, np.int8)), pa.array(["x" * 2**20]))
    before = psutil.Process().memory_info().rss
    batch = decode(stream({"a": np.zeros(100_000), "b": np.zeros(100_000, np.int64), "c": long}), ARROW, TABLE)
    assert len(batch["c"]) == 100_000
    assert psutil.Process().memory_info().rss - before < 64 * 2**20


def grown_while_refusing(body: bytes, content_type: str) -> int:
    decode(stream({"a": [1.0], "b": [1]}), ARROW, TABLE)  # pyarrow itself is not what is measured
    process = psutil.Process()
    before = process.memory_info().rss
    with pytest.raises(InvalidInput):
        decode(body, content_type, TABLE)
    return process.memory_info().rss - before


def _flipped(whole: bytes, random: np.random.Generator) -> bytes:
    damaged = bytearray(whole)
    for at in random.integers(0, len(whole), 3):
        damaged[at] ^= 1 << int(random.integers(8))
    return bytes(damaged)
