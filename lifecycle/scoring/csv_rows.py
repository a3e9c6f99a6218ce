"""CSV cells to values, for request bodies and batch files."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lifecycle.data.csv import header_of, open_cells
from lifecycle.scoring.contract import Batch
from lifecycle.scoring.signature import Column, InvalidInput, Malformed, SchemaMismatch, Signature
from lifecycle.scoring.tensor_rows import as_tensors, table_signature
from lifecycle.scoring.values import coerce, demand_present, missing

_MALFORMED = "Failed to parse input as a Pandas DataFrame. Ensure that it is valid CSV with a header, in UTF-8"
_INTEGER = r"^\+?(-?\d+)(?:\.0*)?$"


def batch_from_csv(body: bytes, signature: Signature) -> Batch:
    """The rows of a CSV body, read as :mod:`lifecycle.data.csv` says. Additional columns are ignored.

    Raises:
        Malformed: not CSV, or a line of another length than the header.
        InvalidInput: the rows do not fit the signature.
    """
    names = _header(body)
    columns = table_signature(signature, pa.schema([(name, pa.binary()) for name in names]))
    if columns.is_tensor:
        raise SchemaMismatch("CSV has no lists; send the tensors as JSON, Parquet or Arrow")
    demand_present(columns, names)
    table = _cells(body, [name for name in columns.names if name in names] or names[:1])
    batch = {
        c.name: coerce(c, values_of(table.column(c.name), c)) if c.name in names else missing(c, table.num_rows)
        for c in columns.inputs
    }
    return as_tensors(batch, columns, signature)


def values_of(cells: pa.Array | pa.ChunkedArray, column: Column) -> NDArray[Any]:
    """Bytes of CSV cells as values of a column. Numbers may be surrounded by blanks.

    Raises:
        InvalidInput: a cell is not a value of that type.
    """
    try:
        text = cells.cast(pa.string())
        if column.type in ("double", "float"):
            text = pc.utf8_trim_whitespace(text).cast(pa.float64())
        elif column.type in ("long", "integer"):
            text = _integers(column, pc.utf8_trim_whitespace(text))
        elif column.type == "boolean":
            text = _booleans(column, text)
    except pa.ArrowInvalid:  # its message quotes the cell
        raise _unfit(column) from None
    values: NDArray[Any] = text.to_numpy(zero_copy_only=False) if isinstance(text, pa.Array) else text.to_numpy()
    return values


def _header(body: bytes) -> list[str]:
    try:
        body.decode("utf-8")
        names = header_of(body)
    except (UnicodeDecodeError, pa.ArrowException):
        raise Malformed(_MALFORMED) from None
    if len(set(names)) != len(names):
        raise Malformed(f"{_MALFORMED}; a column is there twice")
    return names


def _cells(body: bytes, columns: list[str]) -> pa.Table:
    ragged: list[int] = []
    try:
        types = dict.fromkeys(columns, pa.binary())
        table = open_cells(body, types, columns, ragged.append).read_all()
    except pa.ArrowException:
        raise Malformed(_MALFORMED) from None
    if ragged:
        raise Malformed(f"{_MALFORMED}; a line has another length than the header")
    return table


def _integers(column: Column, text: pa.Array) -> pa.Array:
    if pc.any(pc.match_substring(text, "x", ignore_case=True)).as_py():  # Arrow alone would accept 0x10
        raise _unfit(column)
    try:
        return text.cast(pa.int64())
    except pa.ArrowInvalid:  # +3 and 4.0 are whole numbers too
        _demand_all(column, pc.match_substring_regex(text, _INTEGER))
        return pc.replace_substring_regex(text, _INTEGER, r"\1").cast(pa.int64())


def _booleans(column: Column, text: pa.Array) -> pa.Array:
    lower = pc.utf8_lower(text)
    _demand_all(column, pc.or_(pc.equal(lower, "true"), pc.equal(lower, "false")))
    return pc.equal(lower, "true")


def _demand_all(column: Column, fits: pa.Array) -> None:
    """Missing values are checked later, by the type's own rule."""
    if not pc.all(pc.fill_null(fits, True)).as_py() and len(fits):
        raise _unfit(column)


def _unfit(column: Column) -> InvalidInput:
    what = "true or false" if column.type == "boolean" else "number"
    return InvalidInput(f"column {column.name!r} wants {column.type}; a cell is no {what}")
