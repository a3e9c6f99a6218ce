"""Request bodies to batches: MLflow's scoring protocol without a DataFrame.

Protocol: https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally, "Inference Server Specification".
"""

from __future__ import annotations

from collections.abc import Callable
from email.message import Message
from functools import lru_cache
from typing import Any, NamedTuple

from lifecycle.errors import LifecycleError
from lifecycle.scoring.contract import Batch, row_count
from lifecycle.scoring.csv_rows import batch_from_csv
from lifecycle.scoring.json_matrix import read_matrix
from lifecycle.scoring.json_shapes import batch_from_content, batch_from_unwrapped, is_unwrapped, shape_of
from lifecycle.scoring.json_strict import demand_unique_keys, parse
from lifecycle.scoring.params import checked
from lifecycle.scoring.signature import Signature

JSON, CSV = "application/json", "text/csv"
PARQUET = "application/vnd.apache.parquet"
ARROW = "application/vnd.apache.arrow.stream"


class UnsupportedContentType(LifecycleError):
    """The body's media type is not one that this server reads."""

    code = "UNSUPPORTED_CONTENT_TYPE"
    exit_code = 2


class Body(NamedTuple):
    """A request body, read.

    Attributes:
        params: Checked, with defaults; None for a model without parameters.
        unwrapped: Whether the answer is to be without ``predictions`` around it, as MLflow has it for the
            requests of language models.
    """

    batch: Batch
    rows: int
    params: dict[str, Any] | None = None
    unwrapped: bool = False


def read(body: bytes, content_type: str, signature: Signature) -> Body:
    """Read a request body.

    Raises:
        UnsupportedContentType: none of JSON, CSV, Parquet and Arrow, or not in UTF-8.
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
    """The objects that a body of that shape usually has."""
    rows = content[shape]
    found = [content, content.get("params"), *(rows if isinstance(rows, list) else (rows,))]
    return [value for value in found if isinstance(value, dict)]


def _read_csv(body: bytes, signature: Signature) -> Body:
    batch = batch_from_csv(body, signature)
    return Body(batch, row_count(batch), checked(None, signature.params))


def _read_parquet(body: bytes, signature: Signature) -> Body:
    from lifecycle.scoring.columnar import batch_from_parquet  # pyarrow: 50 MB that most servers never need

    batch = batch_from_parquet(body, signature)
    return Body(batch, row_count(batch), checked(None, signature.params))


def _read_arrow(body: bytes, signature: Signature) -> Body:
    from lifecycle.scoring.columnar import batch_from_stream

    batch = batch_from_stream(body, signature)
    return Body(batch, row_count(batch), checked(None, signature.params))


_READERS: dict[str, Callable[[bytes, Signature], Body]] = {
    CSV: _read_csv,
    JSON: _read_json,
    PARQUET: _read_parquet,
    ARROW: _read_arrow,
}

MEDIA_TYPES = tuple(_READERS)
"""Everything that is read."""
