"""What may be written down about an exception: where it came from, and not what it says."""

from __future__ import annotations

import traceback


def where(error: BaseException) -> str:
    """The type and the way to it, line by line, without the message: a model's libraries put row values there."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    return f"{type(error).__module__}.{type(error).__qualname__}\n{frames}".rstrip()
