"""GET /openapi.json: the server's paths, with the signatures of the versions that answer now.

Format: https://spec.openapis.org/oas/v3.1.1. Every path appears once per model, because each model takes
other inputs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from lifecycle.serving.access import Permission
from lifecycle.serving.message import Request, Response, json_response
from lifecycle.serving.pages.example import Example, example_of
from lifecycle.serving.pages.operations import error_answers, page_operation, scoring_operation, scoring_schemas
from lifecycle.serving.refusal import not_ready
from lifecycle.serving.release import Release
from lifecycle.serving.state import State

if TYPE_CHECKING:
    from lifecycle.serving.routes import Route


class OpenApiPage:
    """The OpenAPI document, made anew when another version answers.

    Args:
        routes: All routes of the server, read when the page is requested.
    """

    def __init__(self, state: State, routes: Sequence[Route]) -> None:
        self._state = state
        self._routes = routes
        self._made: tuple[list[Release], bytes] = ([], b"")

    async def show(self, request: Request) -> Response:
        """The description of this API as an OpenAPI document."""
        releases = self._state.releases.all()
        default = self._state.releases.get(None)
        if default is None:
            raise not_ready()
        if self._made[0] != releases:
            document = await asyncio.to_thread(describe, self._routes, releases, default)  # it reads files
            self._made = (releases, orjson.dumps(document))
        return json_response(self._made[1], default.headers)


def describe(routes: Sequence[Route], releases: Sequence[Release], default: Release) -> dict[str, Any]:
    """The OpenAPI document.

    Args:
        default: Deployment that answers when a path names no model.
    """
    examples = {release: example_of(release) for release in releases}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        for path, release in _spelled(route.path, releases, default):
            operation = _operation(route, release, examples.get(release))
            paths.setdefault(path, {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{default.name}: {default.desired.model}",
            "version": str(default.desired.version),
            "description": "Predictions of a registered model in three protocols: MLflow's, the Open Inference"
            " Protocol (v2) and TensorFlow Serving's (v1).",
        },
        "paths": paths,
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            "schemas": {name: schema for release in releases for name, schema in scoring_schemas(release).items()},
            "responses": error_answers(),
        },
    }


def _spelled(path: str, releases: Sequence[Release], default: Release) -> Iterator[tuple[str, Release]]:
    if "{model}" not in path:
        yield path, default
        return
    for release in releases:
        named = path.replace("{model}", release.name)
        yield named.replace("{version}", str(release.desired.version)), release


def _operation(route: Route, release: Release, example: Example | None) -> dict[str, Any]:
    if route.codec is not None:
        operation = scoring_operation(route.codec.name, release, example)
    else:
        operation = page_operation(route.path, getattr(route.page, "__doc__", None) or "")
    if route.permission is not Permission.NONE:
        operation["security"] = [{}, {"bearer": []}]  # open to all callers when the settings say so
    return operation
