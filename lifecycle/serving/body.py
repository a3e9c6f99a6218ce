"""Reading a request's body without ever holding more of it than is allowed."""

from __future__ import annotations

import asyncio

from starlette.types import Receive

from lifecycle.serving.message import Request
from lifecycle.serving.refusal import ClientGone, Refusal
from lifecycle.serving.state import too_large

_DEADLINE_S = 10.0


def content_type_of(request: Request) -> str:
    """The one Content-Type.

    Raises:
        Refusal: 415 when there is none, more than one, or the body is compressed.
    """
    found = None
    for name, value in request.headers:
        if name == b"content-type":
            if found is not None:
                raise _one_content_type()
            found = value
        elif name == b"content-encoding" and value != b"identity":
            raise Refusal(415, "send the body without Content-Encoding")
    if found is None:
        raise _one_content_type()
    return found.decode("latin-1")


async def read_body(receive: Receive, limit: int) -> bytes:
    """The whole body.

    Args:
        limit: Bytes, checked while reading.

    Raises:
        Refusal: 413 too large, 408 not sent in time.
        ClientGone: nobody is there to answer to.
    """
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
            raise too_large(limit)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _one_content_type() -> Refusal:
    return Refusal(415, "send exactly one Content-Type header: application/json or text/csv")
