"""Which path leads where, and what each demands."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lifecycle.serving.access import Permission
from lifecycle.serving.codec import Codec
from lifecycle.serving.codecs.mlflow import MlflowCodec
from lifecycle.serving.message import Request, Response
from lifecycle.serving.pages.probes import Probes
from lifecycle.serving.refusal import Refusal
from lifecycle.serving.state import State

Page = Callable[[Request], Awaitable[Response]]

_KNOWN = 1024


@dataclass(frozen=True, slots=True)
class Route:
    """One path.

    Attributes:
        path: As a client writes it; ``{model}`` and ``{version}`` stand for one segment each.
        codec: For a path that scores; None for a page.
        page: For a path that does not.
    """

    method: str
    path: str
    permission: Permission
    codec: Codec | None = None
    page: Page | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """A route, and which model and version the path names, if any."""

    route: Route
    model: str | None
    version: str | None


class Routes:
    """Finds the route of a request."""

    def __init__(self, routes: list[Route]) -> None:
        self.all = routes
        self._patterns = [(_pattern(route.path), route) for route in routes]
        self._found: dict[tuple[str, str], Match] = {}  # clients repeat themselves

    def find(self, method: str, path: str) -> Match:
        """Raises Refusal 404 or 405."""
        found = self._found.get((method, path))
        if found is None:
            found = self._search(method, path)
            if len(self._found) < _KNOWN:
                self._found[method, path] = found
        return found

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


def routes_of(state: State) -> Routes:
    """Everything that a server answers."""
    probes, mlflow = Probes(state), MlflowCodec()
    return Routes(
        [
            Route("POST", "/invocations", Permission.PREDICT, mlflow),
            Route("GET", "/ping", Permission.NONE, page=probes.ready),
            Route("GET", "/health", Permission.NONE, page=probes.ready),
            Route("GET", "/readyz", Permission.NONE, page=probes.ready),
            Route("GET", "/livez", Permission.NONE, page=probes.live),
            Route("GET", "/version", Permission.NONE, page=probes.version),
            Route("GET", "/metadata", Permission.PREDICT, page=probes.metadata),
            Route("GET", "/", Permission.PREDICT, page=probes.metadata),
        ]
    )


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(path)))
