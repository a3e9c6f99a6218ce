from __future__ import annotations

import subprocess
import sys

import psutil

from lifecycle.processes.process import ProcessId, is_alive, wait_until


def test_a_process_is_alive_until_it_ends_also_before_anybody_waits_for_it():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process = ProcessId.of(child.pid)
    assert process is not None
    assert is_alive(process)
    child.stdin.close()
    wait_until(lambda: not is_alive(process), 10, "the zombie counts as gone")
    assert ProcessId.of(child.pid) is None
    child.wait()


def test_a_later_process_with_the_same_number_is_another_one():
    own = ProcessId.own()
    assert is_alive(own)
    assert not is_alive(ProcessId(own.pid, own.started - 60))


def test_setting_the_clock_makes_no_process_another_one(monkeypatch):
    own = ProcessId.own()
    boot, created = psutil.boot_time(), psutil.Process().create_time()
    monkeypatch.setattr(psutil, "boot_time", lambda: boot + 3600)
    monkeypatch.setattr(psutil.Process, "create_time", lambda _: created + 3600)
    assert is_alive(own)
