"""Reading of a request's body, with a bound on the memory that it holds."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, MutableMapping
from typing import Any

from starlette.types import Receive

from lifecycle.serving.message import Request
from lifecycle.serving.refusal import ClientGone, Refusal
from lifecycle.serving.state import State

_DEADLINE_S = 10.0
_SLOWEST = 64 * 2**10
"""Bytes per second that a body has to arrive at on average, after the first seconds."""

Message = MutableMapping[str, Any]


def content_type_of(request: Request) -> str:
    """The request's one Content-Type.

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


async def read_body(receive: Receive, request: Request, state: State) -> None:
    """Read the whole body into ``request.body``.

    Raises:
        Refusal: 413 too large, 408 not sent in time, 429 too much is held already.
        ClientGone: the client has disconnected.
    """
    # The body has nearly always arrived already, and a timeout costs more than reading it then. So the first
    # step is taken by hand, and the clock starts only if that step has to wait.
    steps = receive().__await__()
    try:
        waits_for = next(steps)
    except StopIteration as at_once:
        message: Message = at_once.value
        if message["type"] == "http.request" and not message["more_body"]:
            request.body = message["body"]
            state.hold(request, len(request.body))
        else:
            request.body = await _read_in_time(receive, message, request, state)
    else:
        request.body = await _read_in_time(receive, _Begun(waits_for, steps), request, state)


class _Begun:
    """The rest of an awaitable whose first step has been taken."""

    def __init__(self, waits_for: object, steps: Generator[Any, Any, Message]) -> None:
        self._waits_for = waits_for
        self._steps = steps

    def __await__(self) -> Generator[Any, Any, Message]:
        try:
            yield self._waits_for
        except BaseException as exc:
            self._steps.throw(exc)
            raise
        return (yield from self._steps)


async def _read_in_time(receive: Receive, first: Message | _Begun, request: Request, state: State) -> bytes:
    start, chunks = asyncio.get_running_loop().time(), []
    try:
        async with asyncio.timeout_at(start + _DEADLINE_S) as clock:
            message = await first if isinstance(first, _Begun) else first
            while True:
                if message["type"] == "http.disconnect":
                    raise ClientGone
                chunks.append(message["body"])
                state.hold(request, len(message["body"]))
                if not message["more_body"]:
                    return b"".join(chunks)
                clock.reschedule(start + _DEADLINE_S + request.held / _SLOWEST)
                message = await receive()
    except TimeoutError:
        raise Refusal(408, "the body is not sent fast enough", close=True) from None


def _one_content_type() -> Refusal:
    return Refusal(415, "send exactly one Content-Type header: application/json or text/csv")
