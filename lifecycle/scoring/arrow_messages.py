"""Whether an Arrow IPC stream is compressed, from its messages' own headers, before anything is unpacked.

pyarrow unpacks a record batch as it reads it and does not say beforehand. The headers are FlatBuffers:
https://arrow.apache.org/docs/format/Columnar.html, "Encapsulated message format"; Message.fbs.
"""

from __future__ import annotations

import struct

import pyarrow as pa

# Positions of fields in their tables, in the order of Message.fbs.
_HEADER = 2
_DATA = 1
_COMPRESSION = 3


def is_compressed(stream: bytes) -> bool:
    """Whether any record batch or dictionary is.

    Raises:
        pyarrow.ArrowException, ValueError: no such stream.
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
    """Where the table is that a field of another table refers to."""
    at = _field(header, table, slot)
    if not at:
        raise ValueError("a header lacks a field")
    (offset,) = struct.unpack_from("<I", header, at)
    return int(at + offset)


def _field(header: bytes, table: int, slot: int) -> int:
    """Where a field is; 0 when the table does not have it."""
    (back,) = struct.unpack_from("<i", header, table)
    fields = table - back
    (size,) = struct.unpack_from("<H", header, fields)
    if 4 + 2 * slot >= size:
        return 0
    (offset,) = struct.unpack_from("<H", header, fields + 4 + 2 * slot)
    return int(table + offset) if offset else 0
