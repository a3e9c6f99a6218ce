from __future__ import annotations

import os
import socket
import sys

import pytest

from lifecycle.errors import Unavailable
from lifecycle.processes.process import ProcessId, free_port, is_alive, spawn_detached, stop, wait_until

DEAF = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
)


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


REPORT = """
import os, sys
print(os.environ["ONE"], os.getsid(0), sys.stdin.read())
print(sorted(int(fd) for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")))
"""


def test_a_spawned_process_has_its_own_session_our_environment_and_nothing_open_but_its_log(tmp_path):
    log = tmp_path / "log"
    log.write_text("before\n")
    with socket.create_server(("127.0.0.1", 0)) as ours:
        ours.set_inheritable(True)
        process = spawn_detached(python(REPORT), log, {"ONE": "1"})
        wait_until(lambda: not is_alive(process), 10, "it ends")
    assert log.read_text().splitlines() == ["before", f"1 {process.pid} ", "[0, 1, 2]"]
    assert os.getsid(0) != process.pid


def test_stopping_asks_first_and_kills_what_does_not_listen(tmp_path):
    log = tmp_path / "log"
    process = spawn_detached(python(DEAF), log, {})
    wait_until(lambda: log.read_text() == "up\n", 10, "it is deaf")
    stop(process, timeout=0.2)
    assert not is_alive(process)
    stop(process)


def test_a_process_that_only_has_the_number_is_not_stopped():
    own = ProcessId.own()
    stop(ProcessId(own.pid, own.started - 60))


def test_a_program_that_is_not_there_is_one_clear_line(tmp_path):
    with pytest.raises(Unavailable, match="no-such-program"):
        spawn_detached(["/no-such-program"], tmp_path / "log", {})


def test_a_free_port_can_be_bound():
    with socket.create_server(("127.0.0.1", free_port())):
        pass


def test_waiting_in_vain_says_for_what():
    with pytest.raises(Unavailable, match="until pigs fly"):
        wait_until(lambda: False, 0.05, "pigs fly")
