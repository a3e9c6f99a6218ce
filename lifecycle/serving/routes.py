"""The paths of a server, and the permission that each needs."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.types import Scope

from lifecycle.serving.access import Permission
from lifecycle.serving.codec import Codec
from lifecycle.serving.codecs.mlflow import MlflowCodec
from lifecycle.serving.codecs.tfserving import TfServingCodec
from lifecycle.serving.codecs.v2 import V2Codec
from lifecycle.serving.message import Request, Response
from lifecycle.serving.observing.page import MetricsPage
from lifecycle.serving.pages.docs import docs_page
from lifecycle.serving.pages.inference import InferencePages
from lifecycle.serving.pages.openapi import OpenApiPage
from lifecycle.serving.pages.probes import Probes
from lifecycle.serving.pages.tf_models import TfModelPages
from lifecycle.serving.refusal import Refusal
from lifecycle.serving.state import State

Page = Callable[[Request], Awaitable[Response]]

_KNOWN = 1024
_LONGEST_KNOWN = 200
_MLFLOW, _V2, _TF = MlflowCodec(), V2Codec(), TfServingCodec()


@dataclass(frozen=True, slots=True)
class Route:
    """One path.

    Attributes:
        path: The path; ``{model}`` and ``{version}`` stand for one segment each.
        codec: Codec of a scoring path; None for a page.
        page: Page of any other path.
    """

    method: str
    path: str
    permission: Permission
    codec: Codec | None = None
    page: Page | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """A route, with the model and version that the path names, if any."""

    route: Route
    model: str | None
    version: str | None


class Routes:
    """Finds the route of a request."""

    def __init__(self, routes: list[Route]) -> None:
        self.all = routes
        self._patterns = [(_pattern(route.path), route) for route in routes]
        self._found: dict[tuple[str, str], Match] = {}  # clients repeat their paths

    def find(self, method: str, path: str) -> Match:
        """The route of a path and method. Raises Refusal 404 or 405."""
        found = self._found.get((method, path))
        if found is None:
            found = self._search(method, path)
            if len(path) <= _LONGEST_KNOWN:
                if len(self._found) >= _KNOWN:  # made-up paths have filled the cache: start anew
                    self._found.clear()
                self._found[method, path] = found
        return found

    def protocol(self, path: str) -> Codec:
        """The protocol whose error format applies to a path, known or not."""
        if path.startswith("/v2"):
            return _V2
        return _TF if path.startswith("/v1/") else _MLFLOW

    def _search(self, method: str, path: str) -> Match:
        allowed = set()
        for pattern, route in self._patterns:
            if match := pattern.fullmatch(path):
                if route.method == method:
                    names = match.groupdict()
                    return Match(route, names.get("model"), names.get("version"))
                allowed.add(route.method)
        if allowed:
            allow = (b"allow", ", ".join(sorted(allowed)).encode())
            raise Refusal(405, "this path does not take this method", headers=(allow,))
        raise Refusal(404, "no such path")


def path_of(scope: Scope) -> str:
    """A request's path, decoded once. One with an encoded slash is left as sent: it is not a name here."""
    raw: bytes = scope.get("raw_path") or b""
    if b"%" in raw and b"%2f" in raw.lower():
        return raw.decode("latin-1")
    path: str = scope["path"]
    return path


def routes_of(state: State) -> Routes:
    """All routes of a server."""
    routes = [*_own(state), *_inference(state), *_tensorflow(state)]
    routes.append(Route("GET", "/openapi.json", Permission.PREDICT, page=OpenApiPage(state, routes).show))
    return Routes(routes)


def _own(state: State) -> list[Route]:
    """MLflow's protocol, and pages of no protocol."""
    probes = Probes(state)
    return [
        Route("POST", "/invocations", Permission.PREDICT, _MLFLOW),
        Route("POST", "/models/{model}/invocations", Permission.PREDICT, _MLFLOW),
        Route("GET", "/ping", Permission.NONE, page=probes.ready),
        Route("GET", "/health", Permission.NONE, page=probes.ready),
        Route("GET", "/readyz", Permission.NONE, page=probes.ready),
        Route("GET", "/livez", Permission.NONE, page=probes.live),
        Route("GET", "/version", Permission.NONE, page=probes.version),
        Route("GET", "/metadata", Permission.PREDICT, page=probes.metadata),
        Route("GET", "/", Permission.PREDICT, page=probes.metadata),
        Route("GET", "/metrics", Permission.PREDICT, page=MetricsPage(state).show),
        Route("GET", "/docs", Permission.NONE, page=docs_page),
    ]


def _inference(state: State) -> list[Route]:
    """The Open Inference Protocol."""
    pages, model = InferencePages(state), "/v2/models/{model}"
    versions = (model, f"{model}/versions/{{version}}")
    repository = "/v2/repository"
    return [
        Route("GET", "/v2/health/live", Permission.NONE, page=pages.live),
        Route("GET", "/v2/health/ready", Permission.NONE, page=pages.ready),
        Route("GET", "/v2", Permission.PREDICT, page=pages.server),
        *(Route("GET", path, Permission.PREDICT, page=pages.model) for path in versions),
        *(Route("GET", f"{path}/ready", Permission.PREDICT, page=pages.model_ready) for path in versions),
        *(Route("POST", f"{path}/infer", Permission.PREDICT, _V2) for path in versions),
        Route("POST", f"{repository}/index", Permission.ADMIN, page=pages.index),
        Route("POST", f"{repository}/models/{{model}}/load", Permission.ADMIN, page=pages.load),
        Route("POST", f"{repository}/models/{{model}}/unload", Permission.ADMIN, page=pages.load),
    ]


def _tensorflow(state: State) -> list[Route]:
    """TensorFlow Serving's protocol."""
    pages, model = TfModelPages(state), "/v1/models/{model}"
    versions = (model, f"{model}/versions/{{version}}")
    return [
        *(Route("GET", path, Permission.PREDICT, page=pages.status) for path in versions),
        *(Route("GET", f"{path}/metadata", Permission.PREDICT, page=pages.metadata) for path in versions),
        *(Route("POST", f"{path}:predict", Permission.PREDICT, _TF) for path in versions),
    ]


def _pattern(path: str) -> re.Pattern[str]:
    """Regular expression of a path. A name has no slash, and no colon because of ``{model}:predict``."""
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/:]+)", re.escape(path)))
