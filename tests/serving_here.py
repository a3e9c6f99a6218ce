"""Models made up for a test, behind the real application and a real port, in this process."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import uvicorn

from lifecycle.processes.process import wait_until
from lifecycle.scoring.signature import Column, Signature
from lifecycle.serving.access import OpenAccess
from lifecycle.serving.application import Application
from lifecycle.serving.control import Desired
from lifecycle.serving.engines.in_process import InProcess
from lifecycle.serving.http_protocol import http_protocol
from lifecycle.serving.release import Release, Releases
from lifecycle.serving.routes import routes_of
from lifecycle.serving.settings import Settings
from lifecycle.serving.state import State

JSON = {"Content-Type": "application/json"}


class Model:
    """A scorer that is one function of a batch."""

    kind = "compiled"

    def __init__(
        self,
        inputs: Sequence[Column],
        function: Callable[..., Any],
        outputs: Sequence[Column] = (),
        params: Any = (),
    ) -> None:
        self.signature = Signature(tuple(inputs), tuple(outputs), tuple(params))
        self.function = function

    def predict(self, batch, params=None):
        with np.errstate(all="ignore"):  # infinity is an answer, not a warning
            return self.function(batch, **(params or {}))

    def close(self) -> None:
        pass


def mixed() -> Model:
    """Columns of four types, one of them optional, and a table as the answer."""
    inputs = (
        Column("a", "double"),
        Column("b", "long"),
        Column("c", "string", required=False),
        Column("d", "boolean"),
    )
    outputs = (Column("y", "double"), Column("text", "string"))
    return Model(inputs, lambda rows: {"y": rows["a"] * 2 + rows["b"], "text": rows["c"]}, outputs)


def numbers() -> Model:
    """Three columns of one type, and one value as the answer."""
    inputs = tuple(Column(name, "double") for name in "xyz")
    return Model(inputs, lambda rows: rows["x"] + 10 * rows["y"] + 100 * rows["z"], (Column("", "double"),))


def echo() -> Model:
    """A tensor that comes back as it is."""
    tensor = Column("", "float32", (-1, 2))
    return Model((tensor,), lambda rows: rows[""], (tensor,))


def release(name: str, model: Model, version: int = 3) -> Release:
    desired = Desired(1, name, f"model-of-{name}", version, "d" * 64, "/nowhere", "", Settings())
    return Release(desired, InProcess(model))


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Here:
    """A server in this process.

    Attributes:
        state: What it serves, to be changed by a test.
        address: ``127.0.0.1:port``.
    """

    def __init__(self, state: State, address: str) -> None:
        self.state = state
        self.address = address

    def ask(self, method: str, path: str, content: Any = None, headers: dict[str, str] | None = None) -> Answer:
        """Ask once; whatever is no bytes is sent as JSON."""
        body = content if isinstance(content, bytes | None) else json.dumps(content).encode()
        connection = http.client.HTTPConnection(self.address, timeout=20)
        connection.request(method, path, body, (JSON if headers is None else headers) if body is not None else {})
        response = connection.getresponse()
        answer = Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        connection.close()
        return answer


@contextmanager
def serving(models: dict[str, Model], settings: Settings | None = None) -> Iterator[Here]:
    """Serve models by name; the first one is the default."""
    state = State(Releases(next(iter(models))), settings or Settings())
    for name, model in models.items():
        state.releases.switch(release(name, model))
    application = Application(state, routes_of(state), OpenAccess(), [])
    server = uvicorn.Server(
        uvicorn.Config(
            application,
            http=http_protocol(state.settings),
            port=0,
            lifespan="off",
            log_config=None,
            timeout_graceful_shutdown=5,
        )
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_until(lambda: server.started, 20, "the server listens")
    port = server.servers[0].sockets[0].getsockname()[1]
    yield Here(state, f"127.0.0.1:{port}")
    server.should_exit = True
    thread.join(10)


def tensor(name: str, datatype: str, values: Any, shape: Sequence[int] | None = None, **parameters: Any) -> dict:
    """A tensor as JSON has it."""
    shape = list(np.shape(values)) if shape is None else list(shape)
    return {"name": name, "datatype": datatype, "shape": shape, "data": values} | (
        {"parameters": parameters} if parameters else {}
    )
