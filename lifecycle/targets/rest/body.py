"""Reading a request's body without ever holding more of it than is allowed."""

from __future__ import annotations

import asyncio

from starlette.types import Receive, Scope

from lifecycle.targets.rest.refusal import ClientGone, Refusal

_DEADLINE_S = 10.0


def content_type_of(scope: Scope) -> str:
    """The one Content-Type.

    Raises:
        Refusal: 415 when there is none, more than one, or the body is compressed.
    """
    types = [value for name, value in scope["headers"] if name == b"content-type"]
    if len(types) != 1:
        raise Refusal(415, "send exactly one Content-Type header: application/json or text/csv")
    if any(name == b"content-encoding" and value != b"identity" for name, value in scope["headers"]):
        raise Refusal(415, "send the body without Content-Encoding")
    return str(types[0].decode("latin-1"))


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The whole body.

    Args:
        limit: Bytes; checked against Content-Length first, then while reading.

    Raises:
        Refusal: 413 too large, 408 not sent in time.
        ClientGone: nobody is there to answer to.
    """
    declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    if int(declared) > limit:
        raise _too_large(limit)
    try:
        async with asyncio.timeout(_DEADLINE_S):
            return await _read(receive, limit)
    except TimeoutError:
        raise Refusal(408, f"the body was not sent within {_DEADLINE_S:g} s", close=True) from None


async def _read(receive: Receive, limit: int) -> bytes:
    chunks, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunks.append(message["body"])
        size += len(message["body"])
        more = message["more_body"]
        if size > limit:
            raise _too_large(limit)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _too_large(limit: int) -> Refusal:
    return Refusal(413, f"the body is larger than {limit / 2**20:g} MiB; send fewer rows at a time")
