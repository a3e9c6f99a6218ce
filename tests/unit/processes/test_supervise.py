from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from lifecycle.processes.process import VARIABLE, ProcessId, is_alive, wait_until

# A parent that starts a child in a session of its own, whose parent is gone then: as MLflow does. Each writes
# its number to a file of its own.
FAMILY = """
import os, subprocess, sys, time
folder = sys.argv[1]
child = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(600)"
between = (
    "import subprocess, sys; "
    "subprocess.Popen([sys.executable, '-c', sys.argv[1], sys.argv[2]], start_new_session=True)"
)
subprocess.run([sys.executable, "-c", between, child, folder + "/orphan"])
subprocess.Popen([sys.executable, "-c", child, folder + "/child"], start_new_session=True)
open(folder + "/parent", "w").write(str(os.getpid()))
time.sleep(600)
"""
DEAF = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
)


def keep(*command: str, **options) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-m", "lifecycle.processes.supervise", "--", *command], **options)


@pytest.fixture
def family(tmp_path, owner):
    """A kept family of three, and its keeper."""
    keeper = keep(sys.executable, "-c", FAMILY, str(tmp_path), env={**os.environ, VARIABLE: str(owner.pid)})
    files = [tmp_path / name for name in ("parent", "child", "orphan")]
    wait_until(lambda: all(f.exists() and f.read_text() for f in files), 20, "the family is up")
    members = [ProcessId.of(int(f.read_text())) for f in files]
    yield keeper, members
    keeper.kill()
    keeper.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_every_descendant_in_whatever_session(family, number):
    keeper, members = family
    keeper.send_signal(number)
    assert keeper.wait(20) == 128 + signal.SIGTERM
    assert [member for member in members if is_alive(member)] == []


def test_the_owners_death_ends_every_descendant(family, owner):
    keeper, members = family
    owner.kill()
    keeper.wait(20)
    assert [member for member in members if is_alive(member)] == []


def test_what_a_command_leaves_behind_ends_with_it(family):
    keeper, members = family
    os.kill(members[0].pid, signal.SIGKILL)
    assert keeper.wait(20) == 128 + signal.SIGKILL
    assert [member for member in members if is_alive(member)] == []


def test_the_command_itself_ends_when_its_keeper_is_killed_outright(family):
    keeper, members = family
    keeper.kill()
    keeper.wait()
    wait_until(lambda: not is_alive(members[0]), 10, "the command ends")
    for member in members:
        if is_alive(member):
            os.kill(member.pid, signal.SIGKILL)


@pytest.mark.slow
def test_what_does_not_listen_is_killed():
    keeper = keep(sys.executable, "-c", DEAF, stdout=subprocess.PIPE)
    assert keeper.stdout.readline() == b"up\n"
    keeper.terminate()
    assert keeper.wait(20) == 128 + signal.SIGKILL
    keeper.stdout.close()


@pytest.mark.parametrize("status", [0, 3])
def test_the_commands_status_is_the_keepers(status):
    assert keep(sys.executable, "-c", f"raise SystemExit({status})").wait(20) == status


def test_a_command_that_is_not_there_is_one_line_and_the_shells_status():
    keeper = keep("no-such-program", stderr=subprocess.PIPE)
    _, complaint = keeper.communicate(timeout=20)
    assert (keeper.returncode, complaint) == (127, b"cannot run 'no-such-program': No such file or directory\n")


def test_no_command_is_a_usage_error():
    assert keep(stderr=subprocess.DEVNULL).wait(20) == 2
