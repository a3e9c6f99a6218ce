"""From a request to its answer. Plain ASGI: a framework's request object costs more than a compiled prediction.

The order is the defence: the door, the bounds and the length before the body is read, the body before the
model, and nothing at all once nobody waits for it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from time import perf_counter

from starlette.types import Receive, Scope, Send

from lifecycle.scoring.contract import Predictions
from lifecycle.scoring.payload import UnsupportedContentType
from lifecycle.scoring.signature import InvalidInput
from lifecycle.serving.access import Access
from lifecycle.serving.body import read_body
from lifecycle.serving.codec import Call, Codec
from lifecycle.serving.codecs.mlflow import MlflowCodec
from lifecycle.serving.message import Request, Response
from lifecycle.serving.observer import Exchange, Observer
from lifecycle.serving.refusal import ClientGone, Refusal, not_ready
from lifecycle.serving.release import Release
from lifecycle.serving.routes import Match, Route, Routes
from lifecycle.serving.state import State

_LOG = logging.getLogger(__name__)
_CLOSE = (b"connection", b"close")
_PLAIN = MlflowCodec()


class Application:
    """The ASGI application of one server process."""

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
            return
        if self._state.draining:
            response.headers.append(_CLOSE)  # the next request belongs elsewhere
        exchange.status, exchange.sent, exchange.done = response.status, len(response.body), perf_counter()
        await _send(response, send)
        for observer in self._observers:
            observer.observe(exchange)

    async def _answer(self, request: Request, receive: Receive, exchange: Exchange) -> Response:
        codec: Codec = _PLAIN
        try:
            match = self._routes.find(request.method, request.path)
            self._access.demand(request, match.route.permission)
            if match.route.codec is None:
                return await self._page(match.route, request, receive)
            codec = match.route.codec
            exchange.codec = codec.name
            self._state.admit(request)
            try:
                return await self._score(codec, match, receive, exchange)
            finally:
                self._state.leave()
        except Refusal as refusal:
            return self._refuse(codec, refusal, exchange.release)

    async def _page(self, route: Route, request: Request, receive: Receive) -> Response:
        if request.method == "POST":
            request.body = await read_body(receive, self._state.settings.max_body)
        if route.page is None:
            raise Refusal(404, "no such path")
        return await route.page(request)

    async def _score(self, codec: Codec, match: Match, receive: Receive, exchange: Exchange) -> Response:
        exchange.request.body = await read_body(receive, self._state.settings.max_body)
        exchange.read = perf_counter()
        # Only now: reading may have taken long, and the answer should come from the newest version.
        release = exchange.release = self._release(match)
        with release:
            try:
                return await self._predict(codec, release, exchange)
            except InvalidInput as exc:
                raise Refusal(400, str(exc)) from None
            except UnsupportedContentType as exc:
                raise Refusal(415, str(exc)) from None
            except (Refusal, ClientGone):
                raise
            except Exception as exc:  # the model's libraries raise whatever they like, row values included
                _LOG.exception("a request failed")
                raise Refusal(500, "the model could not score this; the server's log says why") from exc

    async def _predict(self, codec: Codec, release: Release, exchange: Exchange) -> Response:
        call = exchange.call = codec.decode(exchange.request, release)
        exchange.decoded = perf_counter()
        predictions = exchange.predictions = await self._run(release, call, exchange.request.deadline)
        exchange.scored = perf_counter()
        response = codec.encode(call, predictions, release)
        response.headers.extend(release.headers)
        return response

    async def _run(self, release: Release, call: Call, deadline: float) -> Predictions:
        engine = release.engine
        at_once = engine.inline(call.batch, call.rows, call.params)
        return at_once if at_once is not None else await engine.score(call.batch, call.rows, call.params, deadline)

    def _release(self, match: Match) -> Release:
        release = self._state.releases.get(match.model)
        if release is None:
            raise not_ready() if match.model is None else Refusal(404, "no such model here")
        if match.version is not None and match.version != str(release.desired.version):
            raise Refusal(404, "this version does not answer here")
        return release

    def _refuse(self, codec: Codec, refusal: Refusal, release: Release | None) -> Response:
        response = codec.refuse(refusal)
        told = release or self._state.releases.get(None)
        if told is not None:
            response.headers.extend(told.headers)
        return response


def _request(scope: Scope) -> Request:
    client = scope.get("client")
    return Request(
        scope["method"],
        scope["path"],
        scope["headers"],
        query=scope["query_string"],
        arrived=perf_counter(),
        peer=client[0] if client else "",
    )


async def _send(response: Response, send: Send) -> None:
    response.headers.append((b"content-length", b"%d" % len(response.body)))
    await send({"type": "http.response.start", "status": response.status, "headers": response.headers})
    await send({"type": "http.response.body", "body": response.body})
