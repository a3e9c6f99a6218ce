"""HTTP client of a deployment's server."""

from __future__ import annotations

import http.client
import ssl
from hmac import compare_digest
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import orjson
from numpy.typing import NDArray

from lifecycle.errors import NotTrusted, OptionError, Unavailable
from lifecycle.scoring.contract import Batch, Fields, Predictions
from lifecycle.scoring.signature import InvalidInput
from lifecycle.serving.auth.tls import leaf_of

_TIMEOUT_S = 60.0
_READINESS_S = 10.0

KEY_VARIABLE = "LIFECYCLE_API_KEY"
"""Name of the secret with the API key or token for predictions."""


def ask(address: str, rows: Batch, key: str = "", certificate: str = "") -> Predictions:
    """POST rows to ``address``/invocations.

    Args:
        key: API key or token; empty for none.
        certificate: Path of the server's certificate, for https; no other certificate is trusted.

    Raises:
        InvalidInput: the rows do not fit the signature, or are too many for one request.
        NotTrusted: the server needs a key, and ``LIFECYCLE_API_KEY`` holds no valid one.
        Unavailable: no answer, or a temporary refusal.
    """
    # columns by name, or bare values for a model with one unnamed tensor
    columns = {name: _jsonable(rows[name]) for name in rows}
    inputs = columns[""] if list(columns) == [""] else columns
    body = orjson.dumps({"inputs": inputs}, option=orjson.OPT_SERIALIZE_NUMPY)
    status, body = _post(address, body, key, certificate)
    if status == 200:
        return _predictions(orjson.loads(body)["predictions"])
    try:
        message = str(orjson.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        message = "an answer that is not ours"
    if status in (400, 413):
        raise InvalidInput(message)
    if status in (401, 403):
        hint = f"put a key into {KEY_VARIABLE}; lifecycle keys api create NAME makes one"
        raise NotTrusted(f"{address} answered {status}: {message} ({hint})")
    raise Unavailable(f"{address} answered {status}: {message}")


def readiness(address: str) -> tuple[bool, str] | None:
    """Whether a server accepts requests, and the digest of the version that answers by default, or an empty one.

    None when nothing listens at the address.

    No secret is sent, so its certificate is not checked: it may just have been renewed.

    Raises:
        Unavailable: a process listens but does not answer in time.
    """
    connection = _connection(address, _READINESS_S)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        return response.status == 200, response.headers.get("x-lifecycle-digest", "")
    except ConnectionRefusedError:
        return None
    except (OSError, http.client.HTTPException) as exc:
        raise Unavailable(f"{address} does not answer ({type(exc).__name__})") from exc
    finally:
        connection.close()


def _post(address: str, body: bytes, key: str, certificate: str) -> tuple[int, bytes]:
    server = urlsplit(address)
    connection = connect(address, certificate)
    try:
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        connection.request("POST", f"{server.path}/invocations", body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException) as exc:
        raise Unavailable(f"{address} does not answer ({type(exc).__name__})") from exc
    finally:
        connection.close()


def _jsonable(column: NDArray[Any]) -> Any:
    """Values for JSON; NaN and NaT become null."""
    if column.dtype.kind == "M":
        return [None if np.isnat(moment) else str(moment) for moment in column]
    return np.ascontiguousarray(column) if column.dtype.kind in "biuf" else column.tolist()


def _predictions(content: Any) -> Predictions:
    if isinstance(content, dict):
        return Fields({name: _array(values) for name, values in content.items()})
    if content and isinstance(content[0], dict):
        return {name: _array([row[name] for row in content]) for name in content[0]}
    return _array(content)


def _array(values: Any) -> NDArray[Any]:
    array = np.array(values)
    if array.dtype.kind != "O":
        return array
    try:
        return array.astype(float)  # a null among numbers is NaN
    except (TypeError, ValueError):
        return array


def connect(address: str, certificate: str = "") -> http.client.HTTPConnection:
    """Connect to ``address``.

    Args:
        certificate: Path of the server's certificate, for https. It is compared as a whole: it may name another
            host than ``address``, and be signed by an unknown authority.

    Raises:
        Unavailable: nothing answers, or a server with another certificate.
    """
    connection = _connection(address, _TIMEOUT_S)
    if not isinstance(connection, http.client.HTTPSConnection):
        return connection
    try:
        connection.connect()
        shown = connection.sock.getpeercert(binary_form=True) or b""
        if not compare_digest(shown, leaf_of(certificate)):
            raise Unavailable("it shows another certificate than its own")
    except (OSError, Unavailable, OptionError) as exc:
        connection.close()
        why = str(exc) if not isinstance(exc, OSError) else type(exc).__name__
        raise Unavailable(f"{address} does not answer ({why})") from exc
    return connection


def _connection(address: str, timeout_s: float) -> http.client.HTTPConnection:
    server = urlsplit(address)
    host, port = server.hostname or "", server.port
    if server.scheme != "https":
        return http.client.HTTPConnection(host, port, timeout=timeout_s)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the caller compares the certificate itself
    return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context)
