"""Request bodies to batches and predictions to response bodies: MLflow's scoring protocol without a DataFrame.

Protocol: https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally, "Inference Server Specification".
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from email.message import Message
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from lifecycle.errors import LifecycleError
from lifecycle.scoring.contract import Batch, Fields, Predictions, row_count
from lifecycle.scoring.json_matrix import read_matrix
from lifecycle.scoring.json_rows import (
    batch_from_content,
    batch_from_unwrapped,
    demand_unique_keys,
    is_unwrapped,
    parse,
    shape_of,
)
from lifecycle.scoring.signature import Signature, checked

JSON, CSV = "application/json", "text/csv"
PARQUET = "application/vnd.apache.parquet"
ARROW = "application/vnd.apache.arrow.stream"


class UnsupportedContentType(LifecycleError):
    """The body's media type is not supported."""

    code = "UNSUPPORTED_CONTENT_TYPE"
    exit_code = 2


class Body(NamedTuple):
    """A request body, read.

    Attributes:
        params: Checked parameters with defaults; None for a model without parameters.
        unwrapped: Whether the answer has no ``predictions`` around it, as MLflow answers
            requests of language models.
    """

    batch: Batch
    rows: int
    params: dict[str, Any] | None = None
    unwrapped: bool = False


def read(body: bytes, content_type: str, signature: Signature) -> Body:
    """Read a request body.

    Raises:
        UnsupportedContentType: not JSON, CSV, Parquet or Arrow, or not in UTF-8.
        InvalidInput: malformed, or the rows or parameters do not fit the signature.
    """
    return _reader(content_type[:200])(body, signature)


def decode(body: bytes, content_type: str, signature: Signature) -> Batch:
    """The rows of a request body; raises as :func:`read` does."""
    return read(body, content_type, signature).batch


@lru_cache(maxsize=64)  # clients repeat themselves, and the standard library's parser takes 15 µs
def _reader(content_type: str) -> Callable[[bytes, Signature], Body]:
    header = Message()
    header["Content-Type"] = content_type
    if header.get_content_charset("utf-8") not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedContentType("The scoring server only supports UTF-8")
    extra = [name for name, _ in header.get_params([])[1:] if name.lower() != "charset"]
    if extra:
        raise UnsupportedContentType(
            f"Unrecognized content type parameters: {', '.join(extra)}. IMPORTANT: The MLflow Model scoring "
            "protocol has changed in MLflow version 2.0; see docs/targets.md for the formats."
        )
    reader = _READERS.get(header.get_content_type())
    if reader is None:
        raise UnsupportedContentType(
            f"This predictor only supports the following content types: Types: {list(_READERS)}."
        )
    return reader


def _read_json(body: bytes, signature: Signature) -> Body:
    batch = read_matrix(body, signature)
    if batch is not None:
        return Body(batch, row_count(batch), checked(None, signature.params))
    content = parse(body)
    if is_unwrapped(content):
        demand_unique_keys(body, content, [content])
        given = {param.name: content[param.name] for param in signature.params if param.name in content}
        params = checked(given, signature.params)
        return Body(batch_from_unwrapped(content, signature), 1, params, unwrapped=True)
    demand_unique_keys(body, content, _objects(content, shape_of(content)))
    params = checked(content.get("params"), signature.params)
    batch = batch_from_content(content, signature)
    return Body(batch, row_count(batch), params)


def _objects(content: dict[str, Any], shape: str) -> list[dict[str, Any]]:
    """Objects that a body of that shape usually has."""
    rows = content[shape]
    found = [content, content.get("params"), *(rows if isinstance(rows, list) else (rows,))]
    return [value for value in found if isinstance(value, dict)]


def _read_table(kind: str, body: bytes, signature: Signature) -> Body:
    """The rows of CSV, Parquet or Arrow. Their readers load pyarrow: 50 MB that JSON does without."""
    if kind == CSV:
        from lifecycle.scoring.csv_rows import batch_from_csv as rows_of
    elif kind == PARQUET:
        from lifecycle.scoring.arrow_rows import batch_from_parquet as rows_of
    else:
        from lifecycle.scoring.arrow_rows import batch_from_stream as rows_of
    batch = rows_of(body, signature)
    return Body(batch, row_count(batch), checked(None, signature.params))


_READERS: dict[str, Callable[[bytes, Signature], Body]] = {
    CSV: partial(_read_table, CSV),
    JSON: _read_json,
    PARQUET: partial(_read_table, PARQUET),
    ARROW: partial(_read_table, ARROW),
}

MEDIA_TYPES = tuple(_READERS)
"""The media types that are supported."""


_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS


def encode(predictions: Predictions) -> bytes:
    """Encode as ``{"predictions": …}``; NaN and infinity become null, so the body is always valid JSON."""
    return orjson.dumps({"predictions": _jsonable(predictions)}, _other, _OPTIONS)


def encode_unwrapped(predictions: Predictions) -> bytes:
    """Encode without ``predictions`` around the answer."""
    return orjson.dumps(_jsonable(predictions), _other, _OPTIONS)


def _jsonable(predictions: Predictions) -> Any:
    if isinstance(predictions, np.ndarray):
        return _array(predictions)
    if isinstance(predictions, Fields):
        return {name: _array(values) for name, values in predictions.items()}
    names = list(predictions)
    columns = [_cells(predictions[name]) for name in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _array(array: NDArray[Any]) -> Any:
    if array.dtype == np.float32:
        # as a double, as MLflow writes it: orjson would write the shortest text of the same float32
        return array.astype(np.float64)
    native = array.dtype.kind in "fiub" and array.dtype != np.float16
    return np.ascontiguousarray(array) if native else _cells(array)


def _cells(array: NDArray[Any]) -> list[Any]:
    """Python values. numpy gives times in nanoseconds as whole numbers; MLflow writes pandas' ISO 8601."""
    if array.dtype.kind != "M":
        cells: list[Any] = array.tolist()
        return cells
    times = array.astype("datetime64[us]")
    return [None if time is None else time.isoformat() for time in times.tolist()]


def _other(value: Any) -> Any:
    """Values that orjson does not know, in the forms of MLflow's encoder."""
    if isinstance(value, bytes | bytearray):
        return base64.encodebytes(value).decode("ascii")
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, set | frozenset):
        raise TypeError
    return str(value)
