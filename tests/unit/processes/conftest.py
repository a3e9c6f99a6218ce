from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.fixture
def owner():
    """A process that a test may kill."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.wait()
    process.stdin.close()
