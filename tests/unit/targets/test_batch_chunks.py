from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lifecycle.errors import DeploymentFailed
from lifecycle.targets.batch.chunks import read_chunks, read_row_count, read_schema


def chunks_of(path, columns, chunk_rows=3):
    return list(read_chunks(path, columns, chunk_rows))


@pytest.mark.parametrize("row_group_size", [1, 2, 3, 5, 100])
@pytest.mark.parametrize("chunk_rows", [1, 3, 4, 10, 11])
def test_a_parquet_file_is_cut_at_the_same_rows_whatever_its_row_groups(tmp_path, row_group_size, chunk_rows):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"x": range(10), "y": range(10)}), path, row_group_size=row_group_size)
    chunks = chunks_of(path, ["x"], chunk_rows)
    assert [len(chunk.numbers) for chunk in chunks[:-1]] == [chunk_rows] * (len(chunks) - 1)
    assert np.concatenate([chunk.rows["x"].to_numpy() for chunk in chunks]).tolist() == list(range(10))
    assert np.concatenate([chunk.numbers for chunk in chunks]).tolist() == list(range(1, 11))


def test_every_row_of_a_csv_file_is_counted_once_the_ragged_ones_too(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text('a,b\n1,x\n2\n"3","two\nlines"\n\n4,y\n5,z,too much\n6,\n7\n')
    chunks = chunks_of(path, ["a", "b"], chunk_rows=2)
    assert [(c.numbers.tolist(), c.ragged) for c in chunks] == [([1, 3], (2,)), ([4, 6], (5,)), ([], (7,))]
    assert [c.rows_in for c in chunks] == [3, 3, 1]
    cells = [cell for chunk in chunks for cell in chunk.rows["b"].to_pylist()]
    assert cells == [b"x", b"two\nlines", b"y", None]


@pytest.mark.parametrize("chunk_rows", [77, 1000, 100_000])
def test_a_long_csv_file_keeps_its_row_numbers_across_read_blocks(tmp_path, chunk_rows):
    ragged = {10, 11, 40_000, 99_999}
    path = tmp_path / "rows.csv"
    lines = (f"{n}" if n in ragged else f"{n},{'x' * 200}" for n in range(1, 60_001))
    path.write_text("n,text\n" + "\n".join(lines))
    chunks = chunks_of(path, ["n"], chunk_rows)
    for chunk in chunks:
        assert chunk.rows["n"].to_pylist() == [str(n).encode() for n in chunk.numbers]
    numbers = [n for chunk in chunks for n in (*chunk.numbers.tolist(), *chunk.ragged)]
    assert sorted(numbers) == list(range(1, 60_001))


def test_a_file_with_a_header_only_has_no_rows(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n")
    assert chunks_of(path, ["a"]) == []
    assert read_schema(path).names == ["a", "b"]


def test_parquet_says_how_many_rows_it_has_and_csv_does_not(tmp_path):
    pq.write_table(pa.table({"x": range(10)}), tmp_path / "rows.parquet")
    (tmp_path / "rows.csv").write_text("x\n1\n")
    assert read_row_count(tmp_path / "rows.parquet") == 10
    assert read_row_count(tmp_path / "rows.csv") is None


@pytest.mark.parametrize(("name", "content"), [("a.csv", b""), ("a.parquet", b"PAR1 no more"), ("a.parquet", b"")])
def test_an_unreadable_file_is_named_and_not_quoted(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DeploymentFailed, match=name) as refusal:
        read_schema(tmp_path / name)
    assert "no more" not in str(refusal.value)


def test_a_column_that_is_there_twice_is_refused(tmp_path):
    (tmp_path / "rows.csv").write_text("a,b,a\n1,2,3\n")
    with pytest.raises(DeploymentFailed, match="twice"):
        read_schema(tmp_path / "rows.csv")
