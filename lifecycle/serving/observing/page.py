"""The page GET /metrics."""

from __future__ import annotations

import asyncio
from importlib import import_module

from lifecycle.serving.message import Request, Response
from lifecycle.serving.refusal import not_ready
from lifecycle.serving.state import State


class MetricsPage:
    """Serves the counts of all workers, whichever worker is asked."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def show(self, request: Request) -> Response:
        """Metrics for Prometheus, in the format that the Accept header prefers."""
        if self._state.exposition is None:
            raise not_ready()
        # the first scrape takes 0.1 s, in a thread so that other requests need not wait
        await asyncio.to_thread(import_module, "prometheus_client")
        accept = request.header(b"accept") or b""
        body, content_type = self._state.exposition.render(accept.decode("latin-1"))
        return Response(200, body, [(b"content-type", content_type.encode())])
