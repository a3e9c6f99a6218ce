"""Access control: API keys, tokens and TLS."""

from __future__ import annotations

from lifecycle.serving.access import Access
from lifecycle.serving.auth.door import Door
from lifecycle.serving.state import State


def make_access(state: State) -> Access:
    """The access check for these settings. If they cannot be read, it refuses all callers and logs why."""
    return Door(state)
