"""Asking a deployment's server over HTTP, as any client would."""

from __future__ import annotations

import http.client
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import orjson
from numpy.typing import NDArray

from lifecycle.errors import Unavailable
from lifecycle.scoring.contract import Batch, Predictions
from lifecycle.scoring.signature import InvalidInput

_TIMEOUT_S = 60.0


def ask(address: str, rows: Batch) -> Predictions:
    """POST rows to ``address``/invocations.

    Raises:
        InvalidInput: the rows do not fit the signature, or are too many for one request.
        Unavailable: no answer, or one that says to come back later.
    """
    status, body = _post(address, orjson.dumps({"inputs": _inputs(rows)}, option=orjson.OPT_SERIALIZE_NUMPY))
    if status == 200:
        return _predictions(orjson.loads(body)["predictions"])
    message = _message(body)
    if status in (400, 413):
        raise InvalidInput(message)
    raise Unavailable(f"{address} answered {status}: {message}")


def _post(address: str, body: bytes) -> tuple[int, bytes]:
    server = urlsplit(address)
    connection = http.client.HTTPConnection(server.hostname or "", server.port, timeout=_TIMEOUT_S)
    try:
        connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException) as exc:
        raise Unavailable(f"{address} does not answer ({type(exc).__name__})") from exc
    finally:
        connection.close()


def _message(body: bytes) -> str:
    try:
        return str(orjson.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return "an answer that is not ours"


def _inputs(rows: Batch) -> Any:
    """MLflow's ``inputs``: columns by name, or the bare values of a model with one unnamed tensor."""
    return _jsonable(rows[""]) if list(rows) == [""] else {name: _jsonable(rows[name]) for name in rows}


def _jsonable(column: NDArray[Any]) -> Any:
    """NaN and NaT become null."""
    if column.dtype.kind == "M":
        return [None if np.isnat(moment) else str(moment) for moment in column]
    return np.ascontiguousarray(column) if column.dtype.kind in "biuf" else column.tolist()


def _predictions(content: Any) -> Predictions:
    if content and isinstance(content[0], dict):
        return {name: _array([row[name] for row in content]) for name in content[0]}
    return _array(content)


def _array(values: Any) -> NDArray[Any]:
    array = np.array(values)
    if array.dtype.kind != "O":
        return array
    try:
        return array.astype(float)  # null among numbers is NaN
    except (TypeError, ValueError):
        return array
