"""From a request to its answer. Plain ASGI: a framework's request object costs more than a prediction.

The order protects the server: access, limits and length are checked before the body is read, the body before the
model runs, and nothing is done for a client that no longer waits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from time import perf_counter
from typing import Any

from starlette.types import Receive, Scope, Send

from lifecycle.scoring.contract import Predictions
from lifecycle.scoring.payload import UnsupportedContentType
from lifecycle.scoring.signature import InvalidInput
from lifecycle.serving.access import Access
from lifecycle.serving.body import read_body
from lifecycle.serving.codec import Call, Codec
from lifecycle.serving.failure import where
from lifecycle.serving.measures import EXPIRED
from lifecycle.serving.message import Request, Response
from lifecycle.serving.observer import CLIENT_GONE, Exchange, Observer
from lifecycle.serving.observing.identity import echo_id
from lifecycle.serving.refusal import ClientGone, Refusal, not_ready, too_late
from lifecycle.serving.release import Release
from lifecycle.serving.routes import Match, Route, Routes, path_of
from lifecycle.serving.state import State

_LOG = logging.getLogger(__name__)
_CLOSE = (b"connection", b"close")


class Application:
    """The ASGI application of one worker."""

    def __init__(self, state: State, routes: Routes, access: Access, observers: Sequence[Observer]) -> None:
        self._state = state
        self._routes = routes
        self._access = access
        self._observers = observers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = _request(scope)
        exchange = Exchange(request, "")
        try:
            response = await self._answer(request, receive, exchange)
        except ClientGone:
            exchange.status, exchange.done = CLIENT_GONE, perf_counter()
            self._tell(exchange)
            return
        if self._state.draining:
            response.headers.append(_CLOSE)  # the next request belongs to another iteration
        exchange.status, exchange.sent, exchange.done = response.status, len(response.body), perf_counter()
        echo_id(self._state.settings, request, response)
        self._tell(exchange)  # first: an answer that a client has seen is counted, even if we die now
        await _send(response, send)

    def _tell(self, exchange: Exchange) -> None:
        for observer in self._observers:
            observer.observe(exchange)

    async def _answer(self, request: Request, receive: Receive, exchange: Exchange) -> Response:
        try:
            match = self._routes.find(request.method, request.path)
            exchange.route = match.route.path
            self._access.demand(request, match.route.permission, match.model)
            codec = match.route.codec
            if codec is None and request.method != "POST":
                return await self._page(match.route, request, receive)
            exchange.codec = "" if codec is None else codec.name
            self._state.admit(request)
            try:
                if codec is None:
                    return await self._page(match.route, request, receive)
                return await self._score(codec, match, receive, exchange)
            finally:
                self._state.leave(request)
        except Refusal as refusal:
            exchange.refusal = refusal
            return self._refuse(self._routes.protocol(request.path), refusal, exchange.release)

    async def _page(self, route: Route, request: Request, receive: Receive) -> Response:
        if request.method == "POST":
            await read_body(receive, request, self._state)
        if route.page is None:
            raise Refusal(404, "no such path")
        return await route.page(request)

    async def _score(self, codec: Codec, match: Match, receive: Receive, exchange: Exchange) -> Response:
        self._release(match)  # refuse before the client sends a body for nothing
        await read_body(receive, exchange.request, self._state)
        exchange.read = perf_counter()
        self._state.begin(exchange.request)
        # again: reading may have taken long, and the newest version should answer
        release = exchange.release = self._release(match)
        with release:
            try:
                call = self._decode(codec, release, exchange)
                predictions = release.engine.inline(call.batch, call.rows, call.params)
                if predictions is None:
                    predictions = await _queued(release, call, exchange.request.deadline, receive)
                exchange.predictions, exchange.scored = predictions, perf_counter()
                response = codec.encode(call, predictions, release)
                response.headers.extend(release.headers)
                return response
            except InvalidInput as exc:
                raise Refusal(400, str(exc)) from None
            except UnsupportedContentType as exc:
                raise Refusal(415, str(exc)) from None
            except (Refusal, ClientGone):
                raise
            except Exception as exc:  # a model's libraries may raise anything, row values included
                _LOG.error("a request failed: %s", where(exc))
                raise Refusal(500, "the model could not score this; the server's log says where") from None

    def _decode(self, codec: Codec, release: Release, exchange: Exchange) -> Call:
        request = exchange.request
        call = exchange.call = codec.decode(request, release)
        now = exchange.decoded = perf_counter()
        most = self._state.settings.max_rows
        if call.rows > most:
            raise Refusal(413, f"more than {most} rows at once; send fewer rows at a time")
        if now > request.deadline:
            self._state.measures.dropped(EXPIRED)
            raise too_late()
        return call

    def _release(self, match: Match) -> Release:
        release = self._state.releases.get(match.model)
        if release is None:
            raise not_ready() if match.model is None else Refusal(404, "no such model here")
        if match.version is not None and match.version != str(release.desired.version):
            raise Refusal(404, "this version does not answer here")
        return release

    def _refuse(self, codec: Codec, refusal: Refusal, release: Release | None) -> Response:
        response = codec.refuse(refusal)
        shown = release or self._state.releases.get(None)
        if shown is not None:
            response.headers.extend(shown.headers)
        return response


def _request(scope: Scope) -> Request:
    client = scope.get("client")
    return Request(
        scope["method"],
        path_of(scope),
        scope["headers"],
        query=scope["query_string"],
        arrived=perf_counter(),
        peer=client[0] if client else "",
    )


async def _queued(release: Release, call: Call, deadline: float, receive: Receive) -> Predictions:
    """Score when it is this request's turn, unless its client disconnects before.

    Raises:
        ClientGone: the client has disconnected.
    """
    task = asyncio.current_task()
    watching = asyncio.create_task(_cancel_when_gone(receive, task))
    try:
        return await release.engine.score(call.batch, call.rows, call.params, deadline)
    except asyncio.CancelledError:
        if watching.done() and not watching.cancelled() and task is not None and not task.uncancel():
            raise ClientGone from None
        raise
    finally:
        watching.cancel()


async def _cancel_when_gone(receive: Receive, task: asyncio.Task[Any] | None) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    if task is not None:
        task.cancel()


async def _send(response: Response, send: Send) -> None:
    response.headers.append((b"content-length", b"%d" % len(response.body)))
    await send({"type": "http.response.start", "status": response.status, "headers": response.headers})
    await send({"type": "http.response.body", "body": response.body})
