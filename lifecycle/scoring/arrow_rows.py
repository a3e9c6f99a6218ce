"""Parquet and Arrow bodies to batches, and predictions to Arrow.

Imported only when a client sends one: pyarrow takes 30 MB.

A small body can unpack to gigabytes. So the sizes that a Parquet body declares are limited before it is
unpacked. Compressed Arrow buffers are refused; without them a stream is not larger than its body.
"""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lifecycle.scoring.contract import Batch, Matrix, Predictions
from lifecycle.scoring.signature import InvalidInput, Malformed, Signature
from lifecycle.scoring.tensor_rows import as_tensors, list_column, table_signature, tensor_of
from lifecycle.scoring.values import assemble, demand_present

_LARGEST = 64 * 2**20
"""Most bytes that a Parquet body may unpack to."""
_MOST_ROWS = 2**20
_BATCH = 8192
_MALFORMED = "Failed to parse input as a Pandas DataFrame. Ensure that it is a valid"


def batch_from_parquet(body: bytes, signature: Signature) -> Batch:
    """The rows of a Parquet file.

    Raises:
        Malformed: not Parquet, or too large when unpacked.
        InvalidInput: the rows do not fit the signature.
    """
    try:
        file = pq.ParquetFile(io.BytesIO(body), thrift_string_size_limit=2**20, thrift_container_size_limit=2**16)
        columns = _columns(signature, file.schema_arrow)
        _demand_modest(file.metadata)
        wanted = [name for name in columns.names if name in file.schema_arrow.names]
        table = _bounded(file.iter_batches(_BATCH, columns=wanted), file.schema_arrow, wanted)
    except (pa.ArrowException, OSError, ValueError, MemoryError):
        raise Malformed(f"{_MALFORMED} Parquet file") from None
    return as_tensors(_batch(table, columns), columns, signature)


def batch_from_stream(body: bytes, signature: Signature) -> Batch:
    """The rows of an Arrow IPC stream without compression.

    Raises:
        Malformed: not such a stream.
        InvalidInput: the rows do not fit the signature.
    """
    try:
        if is_compressed(body):
            raise Malformed(f"{_MALFORMED} Arrow IPC stream without compression")
        with pa.ipc.open_stream(pa.py_buffer(body)) as reader:
            columns = _columns(signature, reader.schema)
            wanted = [name for name in columns.names if name in reader.schema.names]
            table = _bounded((b.select(wanted) for b in reader), reader.schema, wanted)
            table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError, MemoryError):
        raise Malformed(f"{_MALFORMED} Arrow IPC stream") from None
    return as_tensors(_batch(table, columns), columns, signature)


def stream_from_predictions(predictions: Predictions) -> bytes:
    """Predictions as an Arrow IPC stream of one record batch.

    Raises:
        ValueError: Arrow has no type for them.
    """
    try:
        rows = arrow_from_predictions(predictions)
    except (pa.ArrowException, TypeError) as exc:
        raise ValueError("the predictions have no Arrow type") from exc
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_batch(rows)
    stream: bytes = sink.getvalue().to_pybytes()
    return stream


def _columns(signature: Signature, schema: pa.Schema) -> Signature:
    """The signature of the table's columns that the rows are in."""
    if len(set(schema.names)) != len(schema.names):
        raise Malformed(f"{_MALFORMED} table; a column is there twice")
    columns = table_signature(signature, schema)
    demand_present(columns, schema.names)
    return columns


def _demand_modest(metadata: Any) -> None:
    sizes = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    if metadata.num_rows > _MOST_ROWS or sizes > _LARGEST:
        raise Malformed(
            f"{_MALFORMED} Parquet file of at most {_MOST_ROWS:,} rows and {_LARGEST >> 20} MiB unpacked"
        )


def _bounded(batches: Any, schema: pa.Schema, wanted: list[str]) -> pa.Table:
    """All batches. Raises Malformed when they are larger than declared."""
    found, rows, size = [], 0, 0
    for batch in batches:
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows > _MOST_ROWS or size > _LARGEST:
            raise Malformed(f"{_MALFORMED} table of at most {_MOST_ROWS:,} rows and {_LARGEST >> 20} MiB")
        found.append(batch)
    return pa.Table.from_batches(found, pa.schema([schema.field(name) for name in wanted]))


def _batch(table: pa.Table, signature: Signature) -> Batch:
    if signature.is_tensor:
        return {c.name: tensor_of(table.column(c.name), c) for c in signature.inputs}
    matrix = _matrix(table, signature)
    if matrix is not None:
        return matrix
    try:
        return assemble(signature, table.schema.names, lambda name: _values(table.column(name)), table.num_rows)
    except pa.ArrowException:
        raise InvalidInput("a column has a type that no row of the model can have") from None


def _matrix(table: pa.Table, signature: Signature) -> Matrix | None:
    """All columns as one array, if they are numbers of exactly the model's type without missing values."""
    if signature.one_type is None or tuple(table.schema.names) != signature.names:
        return None
    kind, batches = pa.from_numpy_dtype(signature.one_type), table.to_batches()
    plain = all(c.type == kind and not c.null_count for c in table.columns)
    if len(batches) != 1 or not plain:
        return None
    return Matrix(signature.names, batches[0].to_tensor(row_major=True).to_numpy())


def _values(column: pa.ChunkedArray) -> NDArray[Any]:
    """Values as numpy has them. Texts of a dictionary are referenced: written out they could be millions."""
    if pa.types.is_dictionary(column.type):
        if any(chunk.null_count for chunk in column.chunks):
            raise InvalidInput("a dictionary column has missing values; send it as plain values")
        parts = [
            chunk.dictionary.to_numpy(zero_copy_only=False)[chunk.indices.to_numpy(zero_copy_only=False)]
            for chunk in column.chunks
        ]
        return np.concatenate(parts) if parts else np.empty(0, object)
    if pa.types.is_nested(column.type):
        raise pa.ArrowInvalid
    if column.null_count and not pa.types.is_floating(column.type):
        objects: NDArray[Any] = np.fromiter(column.to_pylist(), object, len(column))
        return objects
    values: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return values


def arrow_from_predictions(predictions: Predictions) -> pa.RecordBatch:
    """One column ``prediction``, or ``prediction_0`` …, or the model's own names; lists for more axes."""
    if not isinstance(predictions, np.ndarray):
        columns = dict(predictions)
    elif predictions.ndim == 2:
        columns = {f"prediction_{i}": column for i, column in enumerate(predictions.T)}
    else:
        columns = {"prediction": predictions}
    return pa.RecordBatch.from_pydict({name: list_column(values) for name, values in columns.items()})


# positions of fields in their tables, in the order of Message.fbs
_HEADER = 2
_DATA = 1
_COMPRESSION = 3


def is_compressed(stream: bytes) -> bool:
    """Whether any record batch or dictionary is compressed.

    Raises:
        pyarrow.ArrowException, ValueError: not such a stream.
    """
    messages = pa.ipc.MessageReader.open_stream(pa.py_buffer(stream))
    try:
        return any(_is_compressed(message.type, message.metadata.to_pybytes()) for message in messages)
    except struct.error as exc:
        raise ValueError("a header points outside itself") from exc


def _is_compressed(kind: str, header: bytes) -> bool:
    if kind not in ("record batch", "dictionary"):
        return False
    (root,) = struct.unpack_from("<I", header)
    batch = _table(header, root, _HEADER)
    if kind == "dictionary":
        batch = _table(header, batch, _DATA)
    return _field(header, batch, _COMPRESSION) != 0


def _table(header: bytes, table: int, slot: int) -> int:
    """Position of the table that a field of another table refers to."""
    at = _field(header, table, slot)
    if not at:
        raise ValueError("a header lacks a field")
    (offset,) = struct.unpack_from("<I", header, at)
    return int(at + offset)


def _field(header: bytes, table: int, slot: int) -> int:
    """Position of a field; 0 if the table does not have it."""
    (back,) = struct.unpack_from("<i", header, table)
    fields = table - back
    (size,) = struct.unpack_from("<H", header, fields)
    if 4 + 2 * slot >= size:
        return 0
    (offset,) = struct.unpack_from("<H", header, fields + 4 + 2 * slot)
    return int(table + offset) if offset else 0
