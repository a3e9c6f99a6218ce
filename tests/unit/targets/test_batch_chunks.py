from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lifecycle.data.csv import open_cells
from lifecycle.errors import DeploymentFailed
from lifecycle.targets.batch.chunks import ChunkReader, addresses_of, read_schema


def chunks_of(path, columns, chunk_rows=3):
    reader = ChunkReader(path, columns)
    chunks = [reader.read(address) for address in addresses_of([path], chunk_rows)]
    reader.close()
    return chunks


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
    assert [(c.numbers.tolist(), c.ragged) for c in chunks] == [([1], (2,)), ([3, 4], ()), ([6], (5,)), ([], (7,))]
    assert [c.rows_in for c in chunks] == [2, 2, 2, 1]
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


def test_addresses_are_numbered_through_all_files_and_count_every_row(tmp_path):
    pq.write_table(pa.table({"x": range(10)}), tmp_path / "a.parquet")
    (tmp_path / "b.csv").write_text("x\n" + "".join(f"{n}\n" for n in range(7)))
    found = addresses_of([tmp_path / "a.parquet", tmp_path / "b.csv"], 4)
    assert [address[:4] for address in found] == [
        (0, 0, 1, 4),
        (1, 0, 5, 4),
        (2, 0, 9, 2),
        (3, 1, 1, 4),
        (4, 1, 5, 3),
    ]


TEXTS = ["", "x", "a,b", 'say "so"', "two\nlines", "cr\rlf\r\n", "é", '"', '""', ",", "\n", 'it is 5" wide']


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_any_chunk_of_any_csv_file_can_be_read_by_itself(tmp_path, monkeypatch, seed, end):
    """Against Arrow's own reading of the whole file, in blocks that end anywhere in a row."""
    shuffle = random.Random(seed)
    monkeypatch.setattr("lifecycle.targets.batch.chunks._BLOCK", shuffle.randint(1, 40))
    lines = ["n,text"]
    for number in range(1, 60):
        text = shuffle.choice(TEXTS)
        quoted = any(sign in text for sign in ',"\n\r') and not text.startswith("it is")
        cell = '"' + text.replace('"', '""') + '"' if quoted else text
        lines += [f"{number},{cell}"] + [""] * shuffle.choice([0, 0, 0, 2])
        lines[-1:] = [lines[-1]] if shuffle.random() < 0.9 else [lines[-1], f"{number},too,many"]
    path = tmp_path / "rows.csv"
    path.write_bytes((end.join(lines) + shuffle.choice(["", end])).encode())
    ragged: list[int] = []
    types = {"n": pa.binary(), "text": pa.binary()}
    whole = open_cells(path, types, ["n", "text"], ragged.append).read_all()
    found = addresses_of([path], 7)
    reader = ChunkReader(path, ["n", "text"])
    chunks = [reader.read(address) for address in shuffle.sample(found, len(found))]
    chunks.sort(key=lambda chunk: min([*chunk.numbers, *chunk.ragged]))
    for name in ("n", "text"):
        cells = [cell for chunk in chunks for cell in chunk.rows[name].to_pylist()]
        assert cells == whole[name].to_pylist()
    assert [number for chunk in chunks for number in chunk.ragged] == ragged


def test_chunks_of_a_parquet_file_in_any_order_are_the_same_rows(tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"x": range(50)}), path, row_group_size=9)
    reader, found = ChunkReader(path, ["x"]), addresses_of([path], 7)
    for address in random.Random(1).sample(found, len(found)):
        first = address.first_row - 1
        assert reader.read(address).rows["x"].to_pylist() == list(range(first, first + address.rows))


def test_a_file_that_lacks_rows_of_a_chunk_is_an_error(tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"x": range(10)}), path)
    (address,) = addresses_of([path], 20)
    with pytest.raises(DeploymentFailed, match=r"10 rows were read for rows 1 to 11"):
        ChunkReader(path, ["x"]).read(address._replace(rows=11))


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
