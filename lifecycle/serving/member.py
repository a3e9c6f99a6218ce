"""One worker process, from the supervisor's side."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from time import monotonic

from lifecycle.serving.channel import Channel, Message
from lifecycle.serving.plan import Plan

_STUCK_S = 10.0
_START_S = 60.0
"""Most seconds for interpreter and libraries to start, on a busy machine, until the first heartbeat."""


class Member:
    """A worker process and what it has reported.

    Attributes:
        asked, prepared, told, committed: The round that it was last asked to prepare, has prepared, was ordered to
            commit, has committed; 0 for none.
        failed: The round that it could not prepare, with the error's code and text.
        kinds: Kind of scorer by deployment.
        leaving: When it has to have ended, on the monotonic clock; 0 when it was not asked to.
    """

    def __init__(self, process: subprocess.Popen[bytes], channel: Channel) -> None:
        self.process = process
        self.channel = channel
        self.asked = self.prepared = self.told = self.committed = 0
        self.failed: tuple[int, str, str] = (0, "", "")
        self.kinds: Mapping[str, str] = {}
        self.leaving = 0.0
        self._heard = 0.0
        self._started = monotonic()

    def hear(self, message: Message) -> None:
        """Record a message from the worker."""
        self._heard = monotonic()
        match message["say"]:
            case "prepared":
                self.prepared = message["round"]
            case "committed":
                self.committed, self.kinds = message["round"], message["kinds"]
            case "failed":
                self.failed = message["round"], message["code"], message["error"]

    def prepare(self, plan: Plan) -> None:
        """Ask it to load what the plan needs and it lacks."""
        self.asked = plan.round
        self.channel.send(do="prepare", plan=plan.as_message())

    def commit(self, number: int) -> None:
        """Ask it to serve what it has prepared."""
        self.told = number
        self.channel.send(do="commit", round=number)

    def abandon(self) -> None:
        """Ask it to drop what it has prepared or is preparing."""
        self.asked = self.prepared = self.told
        self.channel.send(do="abandon")

    def drain(self, lame_duck_s: float, by: float) -> None:
        """Ask it to end, and to be gone by the time ``by``."""
        self.leaving = self.leaving or by
        self.channel.send(do="drain", lame_duck_s=lame_duck_s)

    def retire(self, by: float) -> None:
        """Ask it to hand over to other workers."""
        self.leaving = by
        self.channel.send(do="retire")

    def stuck(self, now: float) -> bool:
        """Whether its event loop no longer runs, or it should have ended by now."""
        if self.leaving and now > self.leaving:
            return True
        return now - self._heard > _STUCK_S if self._heard else now - self._started > _START_S

    def kill(self) -> None:
        """Kill the process at once."""
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)

    def how_it_ended(self) -> str:
        """How the process ended, as readable text. Valid once it has ended."""
        return how_it_ended(self.process.wait())


def how_it_ended(status: int) -> str:
    """An exit status as readable text, such as ``was killed by SIGSEGV``."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"


async def start_member(listener: socket.socket, folder: Path) -> Member:
    """Start a worker on a listener. Raises OSError when there can be no more processes."""
    ours, theirs = socket.socketpair()
    try:
        inherited = (theirs.fileno(), listener.fileno())
        process = subprocess.Popen(
            # -P keeps modules of the working directory from shadowing ours
            [sys.executable, "-P", "-m", "lifecycle.serving.worker", *map(str, inherited), str(folder)],
            stdin=subprocess.DEVNULL,
            pass_fds=inherited,
            process_group=0,  # a terminal's Ctrl-C goes to the supervisor alone
        )
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
    return Member(process, await Channel.over(ours))
