"""Request bodies to batches, predictions to response bodies: MLflow's scoring protocol without a DataFrame.

Protocol: https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally, "Inference Server Specification".
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from email.message import Message
from functools import lru_cache, partial
from itertools import chain
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from lifecycle.errors import LifecycleError
from lifecycle.scoring.assemble import assemble, tensor
from lifecycle.scoring.contract import Batch, Predictions
from lifecycle.scoring.signature import Column, InvalidInput, Signature

_FORMATS = ("dataframe_split", "dataframe_records", "instances", "inputs")


class UnsupportedContentType(LifecycleError):
    """The body's media type is not one that this server reads."""

    code = "UNSUPPORTED_CONTENT_TYPE"
    exit_code = 2


def decode(body: bytes, content_type: str, signature: Signature) -> Batch:
    """Read a request body.

    Raises:
        UnsupportedContentType: neither JSON nor CSV in UTF-8.
        InvalidInput: malformed, or the rows do not fit the signature.
    """
    media_type, charset = _media_type(content_type[:200])
    if charset not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedContentType("the scoring server only supports UTF-8")
    if media_type == "application/json":
        return _decode_json(body, signature)
    if media_type == "text/csv":
        return _decode_csv(body, signature)
    raise UnsupportedContentType("send application/json or text/csv")


@lru_cache(maxsize=64)  # clients repeat themselves, and the standard library's parser takes 15 µs
def _media_type(content_type: str) -> tuple[str, str]:
    """Media type and character set of a Content-Type header, both in lower case."""
    header = Message()
    header["Content-Type"] = content_type
    return header.get_content_type(), header.get_content_charset("utf-8")


def encode(predictions: Predictions) -> bytes:
    """``{"predictions": …}`` as MLflow shapes it; NaN becomes null, so the body is always valid JSON."""
    if isinstance(predictions, np.ndarray):
        return orjson.dumps({"predictions": _jsonable(predictions)}, option=orjson.OPT_SERIALIZE_NUMPY)
    names = list(predictions)
    columns = [predictions[name].tolist() for name in names]
    records = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    return orjson.dumps({"predictions": records}, option=orjson.OPT_SERIALIZE_NUMPY)


def _jsonable(array: NDArray[Any]) -> Any:
    native = array.dtype.kind in "fiub" and array.dtype != np.float16
    return np.ascontiguousarray(array) if native else array.tolist()


def _decode_json(body: bytes, signature: Signature) -> Batch:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise InvalidInput("the body is not valid JSON") from None
    return batch_from_content(content, signature)


def batch_from_content(content: Any, signature: Signature) -> Batch:
    """A parsed JSON body as a batch.

    Raises:
        InvalidInput: not one of MLflow's four shapes, or the rows do not fit the signature.
    """
    if not isinstance(content, dict):
        raise InvalidInput(f"the body must be a JSON object with exactly one of: {', '.join(_FORMATS)}")
    given = [key for key in _FORMATS if key in content]
    if len(given) != 1:
        raise InvalidInput(f"the body must have exactly one of: {', '.join(_FORMATS)}")
    return _DECODE[given[0]](content[given[0]], signature)


def _from_split(content: Any, signature: Signature) -> Batch:
    if not isinstance(content, dict) or not isinstance(content.get("data"), list):
        raise InvalidInput("dataframe_split must be an object with 'data' and, if named, 'columns'")
    names = content.get("columns", list(signature.names))
    rows = content["data"]
    if not _are_names(names):
        raise InvalidInput("'columns' must be a list of different names")
    if not all(isinstance(row, list) and len(row) == len(names) for row in rows):
        raise InvalidInput(f"every row of 'data' must be a list of {len(names)} values")
    columns = dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(names, ())
    if signature.is_tensor:
        return _tensor_batch(rows, signature)
    return _from_columns(columns, len(rows), signature)


def _are_names(names: Any) -> bool:
    texts = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return texts and len(set(names)) == len(names)


def _from_records(content: Any, signature: Signature) -> Batch:
    if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
        raise InvalidInput("dataframe_records must be a list of objects")
    names = dict.fromkeys(chain.from_iterable(content))
    return _from_columns({n: [row.get(n) for row in content] for n in names}, len(content), signature)


def _from_instances(content: Any, signature: Signature) -> Batch:
    if isinstance(content, list) and content and isinstance(content[0], dict):
        return _from_records(content, signature)
    return _tensor_batch(content, signature)


def _from_inputs(content: Any, signature: Signature) -> Batch:
    if not isinstance(content, dict):
        return _from_instances(content, signature)
    if signature.is_tensor:
        return {c.name: tensor(c, content.get(c.name)) for c in signature.inputs}
    columns = {name: values if isinstance(values, list) else [values] for name, values in content.items()}
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1:
        raise InvalidInput("the columns of 'inputs' have different lengths")
    return _from_columns(columns, lengths.pop() if lengths else 0, signature)


def _tensor_batch(content: Any, signature: Signature) -> Batch:
    if not signature.is_tensor:
        raise InvalidInput("the model takes named columns; send dataframe_split or dataframe_records")
    if len(signature.inputs) != 1:
        raise InvalidInput("the model takes several tensors; send inputs as an object by name")
    column = signature.inputs[0]
    return {column.name: tensor(column, content)}


def _from_columns(columns: dict[str, Any], rows: int, signature: Signature) -> Batch:
    if signature.is_tensor:
        raise InvalidInput("the model takes tensors; send inputs or instances")
    types = {c.name: c for c in signature.inputs}
    return assemble(signature, columns, lambda name: _array(columns[name], types[name]), rows)


def _array(values: Any, column: Column) -> NDArray[Any]:
    """Infer the type, so that text in a number column is seen and not parsed."""
    if column.type in ("string", "datetime"):
        array = np.empty(len(values), dtype=object)
        array[:] = values
        return array
    try:
        array = np.array(values)
    except ValueError:
        raise InvalidInput(f"column {column.name!r} wants {column.type}; it holds lists or objects") from None
    if not len(array):
        return np.empty(0, column.dtype)
    # Mixed values are inferred as text; as objects each keeps its type and the one that is wrong is found.
    return array if array.ndim == 1 and array.dtype.kind in "biuf" else np.array(values, dtype=object)


def _decode_csv(body: bytes, signature: Signature) -> Batch:
    try:
        lines = list(csv.reader(io.StringIO(body.decode("utf-8"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error):
        raise InvalidInput("the body is not valid CSV in UTF-8") from None
    if not lines or any(len(line) != len(lines[0]) for line in lines[1:] if line):
        raise InvalidInput("the CSV body needs a header and rows of its length")
    names, rows = lines[0], [line for line in lines[1:] if line]
    parsers = {c.name: _csv_parser(c) for c in signature.inputs}
    columns = {name: [parsers[name](row[i]) for row in rows] for i, name in enumerate(names) if name in parsers}
    return _from_columns(columns, len(rows), signature)


def _csv_parser(column: Column) -> Callable[[str], Any]:
    """Text of a CSV cell to a value; an empty cell is missing, as it is for pandas."""
    parse = _CSV.get(column.type) or partial(_number, column)
    return lambda text: parse(text) if text else None


def _number(column: Column, text: str) -> int | float:
    try:
        if not text.isascii() or "_" in text:  # which int() and float() would take
            raise ValueError
        return int(text) if text.strip().lstrip("+-").isdecimal() else float(text)
    except ValueError:
        raise InvalidInput(f"column {column.name!r} wants {column.type}; a cell is no number") from None


_CSV: dict[str, Callable[[str], Any]] = {
    "string": str,
    "datetime": str,
    "boolean": lambda text: {"true": True, "false": False}.get(text.lower()),
}

_DECODE: dict[str, Callable[[Any, Signature], Batch]] = {
    "dataframe_split": _from_split,
    "dataframe_records": _from_records,
    "instances": _from_instances,
    "inputs": _from_inputs,
}
