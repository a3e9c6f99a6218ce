"""Liveness, readiness and metadata of a server."""

from __future__ import annotations

from importlib.metadata import version

import orjson

from lifecycle.serving.message import Request, Response, json_response
from lifecycle.serving.refusal import not_ready
from lifecycle.serving.state import State

_EMPTY = b"\n"  # the body of MLflow's scoring server for a ping


class Probes:
    """All GET paths of no other protocol."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._mlflow_version = version("mlflow").encode()

    async def ready(self, request: Request) -> Response:
        """Whether the server is ready for requests."""
        if not self._state.ready:
            raise not_ready()
        return json_response(_EMPTY, self._headers())

    async def live(self, request: Request) -> Response:
        """Whether the server process is alive."""
        return json_response(_EMPTY, self._headers())

    async def version(self, request: Request) -> Response:
        """Version of MLflow, as plain text, as MLflow's own server answers."""
        return json_response(self._mlflow_version, self._headers())

    async def metadata(self, request: Request) -> Response:
        """Name, version and signature of the server's own model."""
        release = self._state.releases.get(None)
        if release is None:
            raise not_ready()
        desired = release.desired
        content = {
            "name": desired.deployment,
            "model": desired.model,
            "version": desired.version,
            "digest": desired.digest,
            "scorer": release.engine.kind,
        }
        return json_response(orjson.dumps(content), release.headers)

    def _headers(self) -> tuple[tuple[bytes, bytes], ...]:
        release = self._state.releases.get(None)
        return release.headers if release is not None else ()
