"""MLflow's JSON shapes and a model's input example to batches: accepts every valid form and refuses all others.

Protocol: https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally, "Inference Server Specification", and
https://mlflow.org/docs/latest/ml/model/signatures, "Model input example".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import yaml
from numpy.typing import NDArray

from lifecycle.scoring.contract import Batch, Matrix
from lifecycle.scoring.signature import Malformed, SchemaMismatch, Signature
from lifecycle.scoring.values import demand_present, from_cells, missing, numbers, tensor

FORMATS = ("dataframe_split", "dataframe_records", "instances", "inputs")
UNWRAPPED = ("messages", "prompt", "input")
"""Keys of language models' requests, which MLflow passes to the model unchanged."""

_REQUIRED = f"The input must be a JSON dictionary with exactly one of the input fields {{{str(FORMATS)[1:-1]}}}"


def batch_from_content(content: Any, signature: Signature) -> Batch:
    """A parsed JSON body as a batch.

    Raises:
        Malformed: the body has none of MLflow's shapes.
        InvalidInput: the rows do not fit the signature.
    """
    shape = shape_of(content)
    return _DECODE[shape](content[shape], signature)


def shape_of(content: Any) -> str:
    """The shape of a parsed body: one of four. Raises Malformed if it has none of them, or several."""
    if not isinstance(content, dict):
        got = "a list" if isinstance(content, list) else f"unexpected input type '{type(content)}'"
        raise Malformed(f"Invalid input. {_REQUIRED}. Received {got}.")
    given = [key for key in FORMATS if key in content]
    if len(given) != 1:
        raise Malformed(
            f"{_REQUIRED}. Received dictionary with input fields: {given}. IMPORTANT: The MLflow Model scoring "
            "protocol has changed in MLflow version 2.0; see docs/targets.md for the formats."
        )
    return given[0]


def is_unwrapped(content: Any) -> bool:
    """Whether a parsed body has the shape of a language model's request."""
    return (
        isinstance(content, dict)
        and any(key in content for key in UNWRAPPED)
        and not any(key in content for key in FORMATS)
    )


def batch_from_unwrapped(content: dict[str, Any], signature: Signature) -> Batch:
    """One row whose columns are the body's own keys. Raises SchemaMismatch if the model has other columns."""
    taken = {key: [value] for key, value in content.items() if key in signature.names}
    if signature.is_tensor or not taken:
        raise SchemaMismatch(
            "this model takes no 'messages', 'prompt' or 'input': send dataframe_split, dataframe_records, "
            "instances or inputs"
        )
    return _from_columns(taken, 1, signature)


def _from_split(content: Any, signature: Signature) -> Batch:
    names, rows = _parts_of_split(content, signature)
    if signature.is_tensor:
        return _tensor_batch(rows, signature)
    if len(set(map(len, rows)) | {len(names)}) > 1:
        raise Malformed(f"Invalid input. Every row of 'data' must be a list of {len(names)} values.")
    if signature.one_type is not None and rows:
        together = _matrix(rows, _positions(names, signature.names), signature)
        if together is not None:
            return together
    columns = dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(names, ())
    return _from_columns(columns, len(rows), signature)


def _parts_of_split(content: Any, signature: Signature) -> tuple[list[str], list[list[Any]]]:
    if not isinstance(content, dict):
        kind = "list" if isinstance(content, list) else f"type {type(content)}"
        raise Malformed(f"Invalid input. Dataframe split format must be a dictionary. Got {kind}.")
    if "data" not in content or not content.keys() <= {"columns", "data", "index"}:
        raise Malformed(
            "Invalid input. Dataframe split format must have 'data' field and optionally 'columns' and 'index' "
            "fields, and no others."
        )
    names, rows = content.get("columns"), content["data"]
    if names is None:
        names = list(signature.names)
    if not (isinstance(names, list) and _all_of(str, names) and len(set(names)) == len(names)):
        raise Malformed("Invalid input. 'columns' must be a list of different names.")
    if not isinstance(rows, list) or not _all_of(list, rows):
        raise Malformed("Invalid input. 'data' must be a list of rows, each a list.")
    index = content.get("index")
    if index is not None and not (isinstance(index, list) and len(index) == len(rows)):
        raise Malformed("Invalid input. 'index' must be a list with an entry for each row.")
    return names, rows


def _all_of(kind: type, values: Iterable[Any]) -> bool:
    return set(map(type, values)) <= {kind}


def _from_records(content: Any, signature: Signature) -> Batch:
    if not isinstance(content, list):
        kind = "dictionary" if isinstance(content, dict) else f"type {type(content)}"
        raise Malformed(f"Invalid input. Dataframe records format must be a list of records. Got {kind}.")
    if not _all_of(dict, content):
        raise Malformed("Invalid input. Dataframe records format must be a list of records, each an object.")
    if signature.is_tensor:
        raise Malformed("Invalid input. The model takes tensors; send inputs or instances as nested lists.")
    if signature.one_type is not None and content:
        together = _matrix(content, itemgetter(*signature.names), signature)
        if together is not None:
            return together
    names = set(chain.from_iterable(content))
    columns = {n: [row.get(n) for row in content] for n in signature.names if n in names}
    return _from_columns(columns, len(content), signature)


def _from_instances(content: Any, signature: Signature) -> Batch:
    if isinstance(content, list) and content and isinstance(content[0], dict):
        return _from_records(content, signature)
    return _tensor_batch(content, signature)


def _from_inputs(content: Any, signature: Signature) -> Batch:
    if not isinstance(content, dict):
        return _from_instances(content, signature)
    if signature.is_tensor:
        demand_present(signature, content)
        return {c.name: tensor(c, content[c.name]) for c in signature.inputs}
    columns = {name: values if isinstance(values, list) else [values] for name, values in content.items()}
    lengths = set(map(len, columns.values()))
    if len(lengths) > 1:
        raise Malformed("Invalid input. The columns of 'inputs' have different lengths.")
    if signature.one_type is not None and columns.keys() >= set(signature.names) and lengths != {0}:
        together = numbers(signature.inputs[0], list(chain.from_iterable(columns[n] for n in signature.names)))
        if together is not None:
            by_column = together.reshape(len(signature.names), -1)
            return Matrix(signature.names, np.ascontiguousarray(by_column.T))
    return _from_columns(columns, lengths.pop() if lengths else 0, signature)


def _tensor_batch(content: Any, signature: Signature) -> Batch:
    if not signature.is_tensor:
        if len(signature.inputs) == 1 and isinstance(content, list):
            return _from_columns({signature.names[0]: content}, len(content), signature)
        raise SchemaMismatch("the model takes named columns; send dataframe_split or dataframe_records")
    if len(signature.inputs) != 1:
        raise SchemaMismatch("the model takes several tensors; send inputs as an object by name")
    column = signature.inputs[0]
    return {column.name: tensor(column, content)}


def _positions(names: Sequence[str], wanted: Sequence[str]) -> Callable[[Any], Any] | None:
    """Picks the wanted cells of a row with these ``names``; None if the row already has exactly them."""
    if tuple(names) == wanted:
        return None
    at = {name: position for position, name in enumerate(names)}
    return itemgetter(*(at.get(name, len(names)) for name in wanted))


def _matrix(rows: Sequence[Any], take: Callable[[Any], Any] | None, signature: Signature) -> Matrix | None:
    """All cells as one array; None if one is missing or has another type."""
    width = len(signature.names)
    try:
        taken = rows if take is None else map(take, rows)
        cells = list(taken if take is not None and width == 1 else chain.from_iterable(taken))
    except LookupError:
        return None
    array: NDArray[Any] | None = numbers(signature.inputs[0], cells)
    return None if array is None else Matrix(signature.names, array.reshape(len(rows), width))


def _from_columns(columns: Mapping[str, Sequence[Any]], rows: int, signature: Signature) -> Batch:
    if signature.is_tensor:
        raise SchemaMismatch("the model takes tensors; send inputs or instances")
    demand_present(signature, columns)
    return {
        c.name: from_cells(c, columns[c.name]) if c.name in columns else missing(c, rows) for c in signature.inputs
    }


_DECODE: dict[str, Callable[[Any, Signature], Batch]] = {
    "dataframe_split": _from_split,
    "dataframe_records": _from_records,
    "instances": _from_instances,
    "inputs": _from_inputs,
}


_DEEPEST = 64
_SMALL = 2**18
_FEW = 4096
_CONTAINERS = 500_000
"""Most lists and objects of a body. Each takes 60 to 200 bytes of memory."""
_KEYS = 10_000
"""Average keys of one object, at most."""


def parse(body: bytes) -> Any:
    """The body's JSON.

    Raises:
        Malformed: not JSON (NaN, infinity and numbers beyond doubles are not), or too large in memory.
    """
    if len(body) > _SMALL:
        _demand_modest(body)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        # only the position: the parser's message could quote the body
        raise Malformed(
            "Invalid input. Ensure that input is a valid JSON formatted string. "
            f"Error: {exc.msg} at line {exc.lineno}, column {exc.colno}"
        ) from None


def demand_unique_keys(body: bytes, content: Any, known: Sequence[dict[str, Any]]) -> None:
    """Refuse an object with a repeated key, of which the parser would keep the last.

    Every key has its colon, so there are as many colons outside texts as keys.

    Args:
        known: Objects that the content probably consists of, to save time.

    Raises:
        Malformed: a key is repeated, or objects and lists are nested too deeply.
    """
    braces, colons, _ = _census(body)
    if braces == len(known) and colons == sum(map(len, known)):
        return
    if _without_texts(body).count(b":") != _count_keys(content, 0):
        raise Malformed("Invalid input. An object has the same key twice.")


def _demand_modest(body: bytes) -> None:
    braces, colons, brackets = _census(body)
    if braces + brackets > _CONTAINERS:
        raise Malformed(
            f"Invalid input. The body has more than {_CONTAINERS:,} lists and objects; send fewer rows."
        )
    if colons > max(10 * _KEYS, _KEYS * braces):
        raise Malformed(f"Invalid input. An object has more than {_KEYS:,} keys.")


def _census(body: bytes) -> tuple[int, int, int]:
    """Numbers of opening braces, colons and opening brackets, inside of texts too."""
    if len(body) < _FEW:
        return body.count(b"{"), body.count(b":"), body.count(b"[")
    # for many hits numpy is five times faster
    characters = np.frombuffer(body, np.uint8)
    braces, colons, brackets = (int(np.count_nonzero(characters == ord(sign))) for sign in "{:[")
    return braces, colons, brackets


def _without_texts(body: bytes) -> bytes:
    if b"\\" in body:  # escapes are removed first, so that each remaining quote opens or closes a text
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    return b"".join(body.split(b'"')[::2])


def _count_keys(content: Any, depth: int) -> int:
    if depth > _DEEPEST:
        raise Malformed(f"Invalid input. The body is nested more than {_DEEPEST} deep.")
    own, values = (len(content), content.values()) if isinstance(content, dict) else (0, content)
    return own + sum(_count_keys(value, depth + 1) for value in values if isinstance(value, dict | list))


def golden_batch(snapshot: Path) -> Batch | None:
    """The snapshot's input example as a batch, or None without one.

    Raises:
        InvalidInput: the example does not fit the model's own signature.
    """
    content = golden_content(snapshot)
    return None if content is None else batch_from_content(content, Signature.from_snapshot(snapshot))


def golden_content(snapshot: Path) -> Any:
    """The input example as it was logged: parsed JSON, not yet converted by the signature."""
    mlmodel = yaml.safe_load((snapshot / "MLmodel").read_text(encoding="utf-8"))
    example = mlmodel.get("saved_input_example_info") or {}
    serving = snapshot / Path(example.get("serving_input_path") or "serving_input_example.json").name
    if not example or not serving.is_file():
        return None
    # MLflow writes a missing number as a bare NaN, which is not JSON
    return json.loads(serving.read_text(encoding="utf-8"), parse_constant=lambda _: None)
