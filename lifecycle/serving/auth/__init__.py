"""Who is let in."""

from __future__ import annotations

from lifecycle.serving.access import Access
from lifecycle.serving.auth.door import Door
from lifecycle.serving.state import State


def make_access(state: State) -> Access:
    """The door that the settings ask for. What cannot be read keeps it shut, and is said in the log."""
    return Door(state)
