"""One worker of a server, in process, as often as a test likes over the same folder."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families

from lifecycle.scoring.signature import Column, Signature
from lifecycle.serving.access import OpenAccess
from lifecycle.serving.application import Application
from lifecycle.serving.control import Desired
from lifecycle.serving.engine import InProcess
from lifecycle.serving.observing import make_observers
from lifecycle.serving.release import Release, Releases
from lifecycle.serving.routes import routes_of
from lifecycle.serving.settings import Settings
from lifecycle.serving.state import State

JSON = (b"content-type", b"application/json")


class Lengths:
    """A scorer: how long the name is, plus a number that may be missing."""

    signature = Signature((Column("name", "string"), Column("more", "double", required=False)))
    kind = "compiled"

    def predict(self, batch, params=None):
        if "break" in batch["name"]:
            raise RuntimeError(f"cannot take {batch['name']}")
        return batch["more"] + [len(name) for name in batch["name"]]

    def close(self) -> None:
        pass


class Site:
    """A worker.

    Attributes:
        state: Its state, for tests that change it.
    """

    def __init__(self, folder: Path, **settings) -> None:
        self.settings = Settings(**settings)
        self.state = State(Releases("names"), self.settings)
        self.observers = make_observers(self.state, folder)
        self.serve(1)

    def serve(self, version: int) -> None:
        desired = Desired(version, "names", "name-lengths", version, "ab" * 32, "/s", "", self.settings)
        engine = InProcess(Lengths(), self.settings, self.state.measures)
        self.state.releases.switch(Release(desired, engine))

    def change(self, **settings) -> None:
        self.state.settings = self.settings = replace(self.settings, **settings)

    def ask(self, body: object = None, path="/invocations", method="POST", headers=(), gone=False):
        """Status, headers and body of the answer; None where the client is gone before it."""
        incoming = [{"type": "http.request", "body": orjson.dumps(body), "more_body": False}]
        sent = []

        async def receive():
            if not gone and not incoming:
                await asyncio.Event().wait()  # the client waits for its answer
            return {"type": "http.disconnect"} if gone else incoming.pop()

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "method": method, "path": path, "headers": [JSON, *headers], "query_string": b""}
        application = Application(self.state, routes_of(self.state), OpenAccess(), self.observers)
        asyncio.run(application(scope, receive, send))
        if not sent:
            return None
        told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return sent[0]["status"], told, b"".join(m.get("body", b"") for m in sent[1:])

    def score(self, *names: str, headers=()):
        return self.ask({"inputs": {"name": list(names), "more": [0.5] * len(names)}}, headers=headers)

    def figures(self) -> dict[tuple[str, ...], float]:
        """Every sample of /metrics: its name and the values of its labels, in the labels' order."""
        text = self.state.exposition.render("")[0].decode()
        return {
            (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def close(self) -> None:
        for observer in self.observers:
            observer.close()


@pytest.fixture
def start(tmp_path) -> Iterator[Callable[..., Site]]:
    """Starts workers over one folder, and ends them with the test."""
    sites = []

    def start(**settings) -> Site:
        sites.append(Site(tmp_path, **settings))
        return sites[-1]

    yield start
    for site in sites:
        site.close()
