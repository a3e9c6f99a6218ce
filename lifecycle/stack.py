"""The local MLflow server: ``mlflow server`` with the guarded registry store."""

from __future__ import annotations

import json
import os
import socket
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from lifecycle.durable import write_durably
from lifecycle.errors import Conflict, Unavailable
from lifecycle.processes.process import QUIET, ProcessId, free_port, is_alive, spawn_detached, stop, wait_until

_START_DEADLINE_S = 120.0


@dataclass(frozen=True, slots=True)
class StackServer:
    """A running local server.

    Attributes:
        url: Address of its UI and API.
        log: File of its output.
    """

    url: str
    process: ProcessId
    log: Path

    def as_environment(self) -> dict[str, str]:
        """Environment variables that make a child process use this server."""
        return {"MLFLOW_TRACKING_URI": self.url, "MLFLOW_REGISTRY_URI": self.url}


def running_server(home: Path) -> StackServer | None:
    """The running server of this home, or None."""
    try:
        fields = json.loads(_state(home).read_text(encoding="utf-8"))
        server = StackServer(fields["url"], ProcessId(*fields["process"]), Path(fields["log"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return server if is_alive(server.process) else None


def start_server(home: Path, config: Path | None, port: int | None = None) -> StackServer:
    """Start the server and wait until it answers. A running one is returned unchanged.

    Args:
        config: The guard's ``lifecycle.yaml``; None for the built-in policy.
        port: TCP port on 127.0.0.1; None for any free one.

    Raises:
        Conflict: the port is taken.
        Unavailable: it did not start; nothing is left running.
    """
    running = running_server(home)
    if running is not None:
        return running
    home.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as exc:
            raise Conflict(f"port {port} of 127.0.0.1 is taken; choose another with --port") from exc
    log = home / "server.log"
    process = spawn_detached(_command(home, port), log, _environment(home, config))
    server = StackServer(f"http://127.0.0.1:{port}", process, log)
    own = [process.pid, process.started]
    write_durably(_state(home), json.dumps({"url": server.url, "process": own, "log": str(log)}).encode())
    try:
        wait_until(lambda: _answers(server), _START_DEADLINE_S, "the MLflow server answers")
    except BaseException:
        stop_server(home)
        raise
    return server


def stop_server(home: Path) -> bool:
    """Stop the server of this home; returns whether one was running."""
    server = running_server(home)
    if server is not None:
        stop(server.process)
    _state(home).unlink(missing_ok=True)
    return server is not None


def _command(home: Path, port: int) -> list[str]:
    database = f"sqlite:///{home / 'mlflow.db'}"
    server = [
        *(sys.executable, "-P", "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
        *("--workers", "1"),
        *("--backend-store-uri", database),
        *("--registry-store-uri", f"lifecycle+{database}"),
        *("--artifacts-destination", str(home / "artifacts")),
    ]
    # mlflow starts uvicorn as a child; the supervisor ends both together
    return [sys.executable, "-P", "-m", "lifecycle.processes.supervise", "--", *server]


def _environment(home: Path, config: Path | None) -> dict[str, str]:
    # without four more processes for background jobs, which promotion does not need
    quiet = QUIET | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    wanted = {key: os.environ.get(key, value) for key, value in quiet.items()}
    ours = {"LIFECYCLE_HOME": str(home)} | ({"LIFECYCLE_CONFIG": str(config)} if config else {})
    return wanted | ours


def _answers(server: StackServer) -> bool:
    if not is_alive(server.process):
        raise Unavailable(f"the MLflow server ended while starting; see {server.log}")
    try:
        with urllib.request.urlopen(f"{server.url}/health", timeout=2) as answer:  # noqa: S310  our own http URL
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _state(home: Path) -> Path:
    return home / "server.json"
