"""One worker process as its supervisor sees it."""

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
"""How long the interpreter and its libraries may take until the first beat, on a machine that is busy."""


class Member:
    """A worker.

    Attributes:
        asked, prepared, told, committed: The round that it was last asked to prepare, has prepared, was told to
            commit, has committed; 0 for none.
        failed: The round that it could not prepare, with the error's code and text.
        kinds: Kind of scorer by deployment.
        leaving: When it was told to end and should have, on the monotonic clock; 0 for not told.
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
        """Take note of what it says."""
        self._heard = monotonic()
        match message["say"]:
            case "prepared":
                self.prepared = message["round"]
            case "committed":
                self.committed, self.kinds = message["round"], message["kinds"]
            case "failed":
                self.failed = message["round"], message["code"], message["error"]

    def prepare(self, plan: Plan) -> None:
        """Have it load what it lacks."""
        self.asked = plan.round
        self.channel.send(do="prepare", plan=plan.as_message())

    def commit(self, number: int) -> None:
        """Have it answer by what it has prepared."""
        self.told = number
        self.channel.send(do="commit", round=number)

    def abandon(self) -> None:
        """Have it forget what it has prepared, or is about to."""
        self.asked = self.prepared = self.told
        self.channel.send(do="abandon")

    def drain(self, lame_duck_s: float, by: float) -> None:
        """Have it end, and be gone ``by`` then."""
        self.leaving = self.leaving or by
        self.channel.send(do="drain", lame_duck_s=lame_duck_s)

    def retire(self, by: float) -> None:
        """Have it leave its place to others."""
        self.leaving = by
        self.channel.send(do="retire")

    def stuck(self, now: float) -> bool:
        """Whether its event loop does not turn any more, or it should be gone by now."""
        if self.leaving and now > self.leaving:
            return True
        return now - self._heard > _STUCK_S if self._heard else now - self._started > _START_S

    def kill(self) -> None:
        """At once."""
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)

    def how_it_ended(self) -> str:
        """For people, once it has ended."""
        return how_it_ended(self.process.wait())


def how_it_ended(status: int) -> str:
    """An exit status for people, as ``was killed by SIGSEGV``."""
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
            # -P: nothing in whatever folder we were called from shadows a module of ours.
            [sys.executable, "-P", "-m", "lifecycle.serving.worker", *map(str, inherited), str(folder)],
            stdin=subprocess.DEVNULL,
            pass_fds=inherited,
            process_group=0,  # a terminal's Ctrl-C is for the supervisor
        )
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
    return Member(process, await Channel.over(ours))
