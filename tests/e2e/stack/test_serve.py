"""From ``models:/…`` to an answer with one command, which leaves nothing behind."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import IO

import pytest

from lifecycle.processes.process import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("unchanged")]


class Served:
    """A running ``lifecycle serve``."""

    def __init__(self, stack, call: str) -> None:
        self.stack = stack
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lifecycle.cli", "serve", *shlex.split(call)],
            cwd=stack.home,
            env=stack.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.told = _until(self.process.stdout, "Press Ctrl-C")

    @property
    def curls(self) -> list[str]:
        return [line.strip() for line in self.told if line.strip().startswith("curl ")]

    def end(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(20)


def _until(lines: IO[str], last: str) -> list[str]:
    told = []
    for line in lines:
        told.append(line)
        if line.startswith(last):
            break
    return told


@pytest.fixture
def serve(stack) -> Iterator[Callable[[str], Served]]:
    started: list[Served] = []

    def start(call: str) -> Served:
        started.append(Served(stack, call))
        return started[-1]

    yield start
    for served in started:
        served.process.kill()
        served.process.communicate()


def pasted(curl: str) -> dict:
    """What the command answers that was printed, as somebody would paste it."""
    done = subprocess.run(["/bin/sh", "-c", f"{curl} --silent --fail"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_what_is_printed_can_be_pasted_and_ctrl_c_leaves_nothing(stack, serve):
    served = serve("models:/flights-delay@champion --port 0 -C workers=2")
    assert served.told[0].startswith("flights-delay version 1 (compiled) answers at http://127.0.0.1:")
    (curl,) = served.curls
    (prediction,) = pasted(curl)["predictions"]
    assert prediction is not None
    assert served.end() == 0
    assert list((stack.home / "served").iterdir()) == []
    assert "served" not in stack.lifecycle("deployments list").out


def test_sigterm_ends_it_too(stack, serve):
    served = serve("models:/flights-delay/1 --port 0")
    os.kill(served.process.pid, signal.SIGTERM)
    assert served.process.wait(20) == 0


def test_a_version_that_is_not_promoted_is_not_served(stack):
    stack.lifecycle("serve models:/flights-delay/2").refused(1, "is not promoted to Production")


def test_a_port_that_is_taken_is_said(stack):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = stack.lifecycle(f"serve models:/flights-delay/1 --port {port}")
        done.refused(6, f"cannot listen on 127.0.0.1:{port}")
    wait_until(lambda: list((stack.home / "served").iterdir()) == [], 5, "nothing is left")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("models:/flights-delay/1 models:/flights-delay@champion", "'flights-delay' is named twice"),
        ("models:/flights-delay/1 -C server=first", "name several models instead"),
        ("models:/flights-delay/1 -C colour=red", "unknown option 'colour'"),
        ("flights-delay", "does not name a registered model version"),
    ],
)
def test_a_call_that_makes_no_sense_is_refused(stack, call, said):
    stack.lifecycle(f"serve {call}").refused(2, said)
