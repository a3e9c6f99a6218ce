"""The servers that are compared, and how each is started."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from models import Model

from lifecycle.domain.deployment import DeploymentSpec, Variant
from lifecycle.domain.model import ModelRef
from lifecycle.processes.process import free_port, owned_by_me
from lifecycle.testing.target_contract import folder_context, folder_source

PEERS = Path(__file__).parent / "peers"
STARTS_WITHIN_S = 120


@dataclass(frozen=True)
class Running:
    """A running server.

    Attributes:
        url: Address of its scoring path.
        seconds: Seconds from its start to the first answer with status 200.
        pids: Its processes.
    """

    url: str
    seconds: float
    pids: tuple[int, ...]

    @property
    def mib(self) -> float:
        """Memory of all its processes in MiB (proportional set size)."""
        return sum(psutil.Process(pid).memory_full_info().pss for pid in self.pids) / 2**20


@dataclass(frozen=True)
class Contender:
    """One server in one configuration.

    Attributes:
        command: Command for a model and a port; None for ours.
        options: ``-C`` options of ours.
        body: Converts a model's body to the form that this server takes.
    """

    name: str
    command: Callable[[Model, int], list[str]] | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    environment: Callable[[Model], dict[str, str]] = lambda _: {}
    body: Callable[[bytes], bytes] = lambda body: body

    @contextmanager
    def serving(self, model: Model) -> Iterator[Running]:
        """Start a server, wait for its first good answer, and stop it at the end."""
        if self.command is None:
            with _ours(model, self.options) as running:
                yield running
            return
        port = free_port()
        began = time.perf_counter()
        with tempfile.TemporaryFile() as log:
            path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # MLflow calls its server by name
            environment = {**os.environ, **self.environment(model), "DO_NOT_TRACK": "true", "PATH": path}
            process = subprocess.Popen(
                self.command(model, port), stdout=log, stderr=log, cwd=PEERS, env=environment
            )
            try:
                url = f"http://127.0.0.1:{port}/invocations"
                _await(url, self.body(model.one), process)
                yield Running(url, time.perf_counter() - began, _family(process.pid))
            finally:
                with suppress(psutil.NoSuchProcess):
                    for pid in reversed(_family(process.pid)):
                        psutil.Process(pid).kill()
                process.wait()


@contextmanager
def _ours(model: Model, options: Mapping[str, str]) -> Iterator[Running]:
    from lifecycle.targets.rest import RestTarget

    with tempfile.TemporaryDirectory() as home:
        os.environ.update(owned_by_me())
        target = RestTarget(folder_context(Path(home)))
        ref = ModelRef(model.name, version=1)
        source = folder_source(model.snapshot, model.compiled)
        champion = Variant(1, source, compiled=model.compiled is not None)
        spec = DeploymentSpec(model.name, ref, (champion,), dict(options))
        began = time.perf_counter()
        deployed = target.deploy(spec)
        url = f"{deployed.address}/invocations"
        _await(url, model.one, None)
        try:
            yield Running(url, time.perf_counter() - began, _family(int(str(deployed.figures["pid"]))))
        finally:
            target.undeploy(model.name)


def _await(url: str, body: bytes, process: subprocess.Popen[bytes] | None) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_S
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310  loopback
    while True:
        try:
            with urllib.request.urlopen(request, timeout=30):  # noqa: S310
                return
        except urllib.error.HTTPError as exc:
            if exc.code < 500:
                raise RuntimeError(f"{url} answers {exc.code}: {exc.read()[:300]!r}") from None
        except OSError:
            pass
        if time.monotonic() > deadline or (process is not None and process.poll() is not None):
            raise RuntimeError(f"{url} does not come up")
        time.sleep(0.02)


def _family(pid: int) -> tuple[int, ...]:
    parent = psutil.Process(pid)
    return (pid, *(child.pid for child in parent.children(recursive=True)))


def contenders(environments: Path) -> list[Contender]:
    """All contenders that can run here.

    Args:
        environments: Folder of virtual environments of the peers, as the README makes them; others are left out.
    """
    python = sys.executable
    mlflow = [python, "-m", "mlflow", "models", "serve", "--env-manager", "local", "-h", "127.0.0.1"]
    everything = {"capture": "0.01", "access_log": "json"}
    found = [
        Contender("lifecycle", options=everything),
        Contender("lifecycle, 2 workers", options={**everything, "workers": "2"}),
        Contender("lifecycle, no capture, no log"),
        Contender("mlflow", lambda m, p: [*mlflow, "-m", str(m.snapshot.path), "-p", str(p)]),
        Contender("fastapi, as in a tutorial", lambda m, p: [python, "naive.py", str(m.snapshot.path), str(p)]),
        Contender("bare handler: uvicorn", lambda m, p: [python, "bare.py", _onnx(m), "asgi", str(p)]),
        Contender("static: uvicorn", lambda _, p: [python, "static.py", str(p)]),
    ]
    granian = environments / "granian/bin/python"
    for kind in ("asgi", "rsgi"):
        if granian.exists():
            command = _peer(granian, "granian_app.py", kind)
            found.append(Contender(f"static: granian {kind}", command))
    if granian.exists():
        rsgi = lambda m, p: [str(granian), "bare.py", _onnx(m), "rsgi", str(p)]  # noqa: E731
        found.append(Contender("bare handler: granian rsgi", rsgi))
    for kind in ("plain", "batch"):
        if (lit := environments / "lit/bin/python").exists():
            found.append(Contender(f"litserve {kind}", _lit(lit, kind)))
        if (bento := environments / "bento/bin/bentoml").exists():
            found.append(_bento(bento, kind))
    return found


def _onnx(model: Model) -> str:
    return str((model.compiled or Path()) / "model.onnx")


def _peer(python: Path, program: str, kind: str) -> Callable[[Model, int], list[str]]:
    return lambda _, port: [str(python), program, kind, str(port)]


def _lit(python: Path, kind: str) -> Callable[[Model, int], list[str]]:
    return lambda model, port: [str(python), "lit.py", str(model.snapshot.path), str(port), kind]


def _bento(bento: Path, kind: str) -> Contender:
    import json

    def command(_: Model, port: int) -> list[str]:
        return [str(bento), "serve", f"bento:{kind.capitalize()}", "--port", str(port), "--host", "127.0.0.1"]

    def environment(model: Model) -> dict[str, str]:
        columns = json.loads(model.one)["dataframe_split"]["columns"]
        return {"MODEL": str(model.snapshot.path), "COLUMNS": ",".join(columns), "BENTOML_DO_NOT_TRACK": "True"}

    def bare(body: bytes) -> bytes:
        return json.dumps({"rows": json.loads(body)["dataframe_split"]["data"]}).encode()

    same = lambda body: body  # noqa: E731
    return Contender(f"bentoml {kind}", command, environment=environment, body=bare if kind == "batch" else same)
