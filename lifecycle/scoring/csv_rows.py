"""CSV bodies to batches."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from functools import partial
from typing import Any

from lifecycle.scoring.contract import Batch
from lifecycle.scoring.signature import Column, InvalidInput, Malformed, SchemaMismatch, Signature
from lifecycle.scoring.values import demand_present, from_cells, missing

_MALFORMED = "Failed to parse input as a Pandas DataFrame. Ensure that it is valid CSV with a header, in UTF-8"


def batch_from_csv(body: bytes, signature: Signature) -> Batch:
    """The rows of a CSV body with a header. Extra columns are left out; an empty cell is a missing value.

    Raises:
        Malformed: no CSV, or a line of another length than the header.
        InvalidInput: the rows do not fit the signature.
    """
    if signature.is_tensor:
        raise SchemaMismatch("the model takes tensors; send inputs or instances as JSON")
    names, rows = _lines(body)
    demand_present(signature, names)
    at = {name: position for position, name in enumerate(names)}
    return {
        c.name: _column(c, [row[at[c.name]] for row in rows]) if c.name in at else missing(c, len(rows))
        for c in signature.inputs
    }


def _lines(body: bytes) -> tuple[list[str], list[list[str]]]:
    try:
        lines = list(csv.reader(io.StringIO(body.decode("utf-8"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error):
        raise Malformed(_MALFORMED) from None
    if not lines or not lines[0]:
        raise Malformed(_MALFORMED)
    names, rows = lines[0], [line for line in lines[1:] if line]
    if set(map(len, rows)) - {len(names)}:
        raise Malformed(f"{_MALFORMED}; a line has another length than the header")
    if len(set(names)) != len(names):
        raise Malformed(f"{_MALFORMED}; a column is there twice")
    return names, rows


def _column(column: Column, cells: list[str]) -> Any:
    parse = _CELLS.get(column.type) or partial(_number, column)
    return from_cells(column, [parse(cell) if cell else None for cell in cells])


def _number(column: Column, text: str) -> int | float:
    try:
        if not text.isascii() or "_" in text:  # which int() and float() would take
            raise ValueError
        return int(text) if text.strip().lstrip("+-").isdecimal() else float(text)
    except ValueError:
        raise InvalidInput(f"column {column.name!r} wants {column.type}; a cell is no number") from None


_CELLS: dict[str, Callable[[str], Any]] = {
    "string": str,
    "datetime": str,
    "boolean": lambda text: {"true": True, "false": False}.get(text.lower()),
}
