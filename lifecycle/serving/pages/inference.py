"""The Open Inference Protocol's pages: health, metadata and the repository index.

Protocol: https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol, and Triton's model
repository extension.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import orjson

from lifecycle.scoring.signature import InvalidInput
from lifecycle.serving.codecs.v2_request import read_content
from lifecycle.serving.codecs.v2_signature import described
from lifecycle.serving.message import Headers, Request, Response, json_response
from lifecycle.serving.pages.named import named_release
from lifecycle.serving.refusal import Refusal
from lifecycle.serving.release import Release
from lifecycle.serving.state import State

_PLATFORMS = {"compiled": "onnxruntime_onnx", "pyfunc": "mlflow_pyfunc"}
_EXTENSIONS = ["binary_tensor_data", "model_repository"]


class InferencePages:
    """All paths under ``/v2`` that do not score."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._version = version("mlflow-lifecycle")

    async def live(self, request: Request) -> Response:
        """Whether the server process is alive."""
        return _answer({"live": True}, self._headers())

    async def ready(self, request: Request) -> Response:
        """Whether the server is ready for requests; 400 if not, as the protocol demands."""
        ready = self._state.ready
        return _answer({"ready": ready}, self._headers(), 200 if ready else 400)

    async def server(self, request: Request) -> Response:
        """Name, version and extensions of the server."""
        return _answer({"name": "mlflow-lifecycle", "version": self._version, "extensions": _EXTENSIONS})

    async def model_ready(self, request: Request) -> Response:
        """Whether a model is ready for requests."""
        release = named_release(request, self._state.releases)
        ready = not self._state.draining
        return _answer({"name": release.name, "ready": ready}, release.headers, 200 if ready else 400)

    async def model(self, request: Request) -> Response:
        """Inputs and outputs of a model."""
        release = named_release(request, self._state.releases)
        content = {
            "name": release.name,
            "versions": [str(release.desired.version)],
            "platform": _PLATFORMS.get(release.engine.kind, release.engine.kind),
            "inputs": described(release.signature.inputs, "input"),
            "outputs": described(release.signature.outputs, "output"),
        }
        return _answer(content, release.headers)

    async def index(self, request: Request) -> Response:
        """List the loaded models."""
        ready = _ready_only(request)
        if ready and self._state.draining:
            return _answer([])
        return _answer([_entry(release, self._state) for release in self._state.releases.all()])

    async def load(self, request: Request) -> Response:
        """Refuse to load or unload: deployments are changed with ``lifecycle deployments``."""
        raise Refusal(
            400,
            "models are not loaded or unloaded over the network: promotion decides what a deployment serves"
            " (mlflow deployments create, update, delete)",
        )

    def _headers(self) -> Headers:
        release = self._state.releases.get(None)
        return release.headers if release is not None else ()


def _ready_only(request: Request) -> bool:
    try:
        ready = read_content(request.body, len(request.body)).get("ready", False) if request.body else False
    except InvalidInput as exc:
        raise Refusal(400, str(exc)) from None
    if type(ready) is not bool:
        raise Refusal(400, "'ready' must be true or false")
    return ready


def _entry(release: Release, state: State) -> dict[str, Any]:
    gone = state.draining
    return {
        "name": release.name,
        "version": str(release.desired.version),
        "state": "UNAVAILABLE" if gone else "READY",
        "reason": "the server is shutting down" if gone else "",
    }


def _answer(content: Any, headers: Headers = (), status: int = 200) -> Response:
    return json_response(orjson.dumps(content), headers, status)
