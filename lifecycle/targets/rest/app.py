"""The server's protocol: MLflow's scoring server, plus which version answered and whether it is ready.

Protocol: https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally, "Inference Server Specification".
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib.metadata import version

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from lifecycle.scoring.payload import UnsupportedContentType, decode, encode
from lifecycle.scoring.signature import InvalidInput
from lifecycle.targets.rest.body import content_type_of, read_body
from lifecycle.targets.rest.refusal import ClientGone, Refusal
from lifecycle.targets.rest.serving import Release, Serving

_LOG = logging.getLogger(__name__)
_EMPTY = b"\n"  # what MLflow's scoring server answers a ping with


def build_app(serving: Serving) -> Starlette:
    """The ASGI application over what is being served."""
    probes = _Probes(serving)
    routes = [
        Route("/invocations", _Invocations(serving), methods=["POST"]),
        Route("/ping", probes.ready),
        Route("/health", probes.ready),
        Route("/readyz", probes.ready),
        Route("/livez", probes.live),
        Route("/version", probes.version),
        Route("/metadata", probes.metadata),
        Route("/", probes.metadata),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: probes.no_such_thing})
    app.router.redirect_slashes = False  # a redirect would not say which version answered
    return app


class _Invocations:
    """POST /invocations. Plain ASGI: a request object would cost more than a compiled model's prediction."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._answer(scope, receive)
        except ClientGone:
            return
        if self._serving.draining:
            response.headers["connection"] = "close"  # the next request belongs elsewhere
        await response(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Response:
        serving = self._serving
        if serving.in_flight >= serving.max_in_flight:
            return _refuse(Refusal(429, "too many requests at once; try again", retry_after=1), serving.release)
        serving.in_flight += 1
        try:
            return await self._predict(scope, receive)
        finally:
            serving.in_flight -= 1

    async def _predict(self, scope: Scope, receive: Receive) -> Response:
        try:
            content_type = content_type_of(scope)
            body = await read_body(scope, receive, self._serving.max_body)
        except Refusal as refusal:
            return _refuse(refusal, self._serving.release)
        # Only now: reading may have taken long, and the answer should come from the newest version.
        release = self._serving.release
        if release is None:
            return _refuse(_not_ready(), None)
        with release:
            return await self._score(release, body, content_type)

    async def _score(self, release: Release, body: bytes, content_type: str) -> Response:
        try:
            batch = decode(body, content_type, release.scorer.signature)
            return _json(encode(await self._serving.score(release, batch)), release)
        except InvalidInput as exc:
            return _refuse(Refusal(400, str(exc)), release)
        except UnsupportedContentType as exc:
            return _refuse(Refusal(415, str(exc)), release)
        except Exception:  # the model's libraries raise whatever they like, row values included
            _LOG.exception("a request failed")
            return _refuse(Refusal(500, "the model could not score this; the server's log says why"), release)


class _Probes:
    """Everything that is asked with GET."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._mlflow_version = version("mlflow").encode()

    async def ready(self, _: Request) -> Response:
        """Whether requests should be sent here."""
        release = self._serving.release
        return _json(_EMPTY, release) if self._serving.ready else _refuse(_not_ready(), release)

    async def live(self, _: Request) -> Response:
        """Whether the event loop turns."""
        return _json(_EMPTY, self._serving.release)

    async def version(self, _: Request) -> Response:
        """MLflow's version, bare, as MLflow's own server answers."""
        return _json(self._mlflow_version, self._serving.release)

    async def metadata(self, _: Request) -> Response:
        """What answers."""
        release = self._serving.release
        if release is None:
            return _refuse(_not_ready(), None)
        desired = release.desired
        content = {
            "name": desired.deployment,
            "model": desired.model,
            "version": desired.version,
            "digest": desired.digest,
            "scorer": release.scorer.kind,
        }
        return _json(orjson.dumps(content), release)

    async def no_such_thing(self, _: Request, exc: Exception) -> Response:
        """404 and 405 in the same shape as every other refusal."""
        status = exc.status_code if isinstance(exc, HTTPException) else 500
        headers = exc.headers if isinstance(exc, HTTPException) else None
        message = "no such path" if status == 404 else "this path does not take this method"
        return _refuse(Refusal(status, message), self._serving.release, headers)


def _not_ready() -> Refusal:
    return Refusal(503, "not ready", retry_after=1)


def _refuse(refusal: Refusal, release: Release | None, headers: Mapping[str, str] | None = None) -> Response:
    return _json(refusal.body, release, refusal.status, {**refusal.headers, **(headers or {})})


def _json(
    body: bytes, release: Release | None, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    response = Response(body, status, headers, "application/json")
    if release is not None:
        response.raw_headers.extend(release.headers)
    return response
