"""Where an exception was raised, without its message."""

from __future__ import annotations

import traceback


def where(error: BaseException) -> str:
    """Type and stack of an exception without the message, as models' libraries put row values there."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    return f"{type(error).__module__}.{type(error).__qualname__}\n{frames}".rstrip()
