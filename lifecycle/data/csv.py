"""The one CSV dialect and the one set of null words, for gates, batches and request bodies.

The dialect: UTF-8 with or without a byte order mark; a header; commas; double quotes, doubled inside of quotes.
A quoted cell may hold line breaks. Empty lines are skipped. A cell that is one of :data:`NULLS`, quoted or not, is
a missing value, in every column.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

# fmt: off
NULLS = (
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
)
# fmt: on
"""The texts that ``pandas.read_csv`` reads as missing values.

Models are trained on rows that it has read, and MLflow's own scoring server reads CSV bodies with it. A column in
which such a text is a value (``NA`` for Namibia) has to come as Parquet or JSON, which distinguish text from
missing values.
"""

_BLOCK = 4 << 20  # bytes; a row must fit into it

Types = Mapping[str, pa.DataType]


def open_cells(
    source: Path | bytes,
    types: Types,
    columns: Iterable[str] = (),
    on_ragged: Callable[[int], object] | None = None,
) -> pa.csv.CSVStreamingReader:
    """Open CSV for reading, a few megabytes of rows at a time.

    Args:
        source: A file, or the bytes of a request's body.
        types: The columns' types: ``pa.binary()`` gives the bytes of the cells as they are.
        columns: The only columns to read; all of them when empty.
        on_ragged: Called with the number of each row (the first row of data is 1) that has more or fewer cells
            than the header; these rows are left out. Without it they are an error.

    Raises:
        pa.ArrowInvalid: not CSV, or a value does not fit its type. Its text quotes the row.
        OSError: the file cannot be read.
    """

    def skip(row: pa.csv.InvalidRow) -> str:
        assert on_ragged is not None  # noqa: S101  # only passed on when it is there
        on_ragged(row.number - 1)  # the header is row 1
        return "skip"

    return pa.csv.open_csv(
        pa.BufferReader(source) if isinstance(source, bytes) else source,
        # With threads the numbers of rows are not known.
        read_options=pa.csv.ReadOptions(block_size=_BLOCK, use_threads=on_ragged is None),
        parse_options=pa.csv.ParseOptions(
            newlines_in_values=True, invalid_row_handler=skip if on_ragged is not None else None
        ),
        convert_options=pa.csv.ConvertOptions(
            include_columns=list(columns),
            column_types=dict(types),
            null_values=list(NULLS),
            strings_can_be_null=True,
        ),
    )


def header_of(source: Path | bytes) -> list[str]:
    """The names of the columns, read from the first line that is not empty.

    Raises:
        pa.ArrowInvalid: there is none, or it is not CSV in UTF-8.
        OSError: the file cannot be read.
    """
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
        line = file.readline()
        while line and not line.strip():
            line = file.readline()
    try:
        (names,) = csv.reader([line.decode("utf-8-sig")], strict=True)
    except (UnicodeDecodeError, csv.Error):
        names = []
    if not names:
        raise pa.ArrowInvalid("no header")
    return names
