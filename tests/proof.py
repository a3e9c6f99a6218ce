"""How much of a long proof is run: all of it with ``LIFECYCLE_PROOF=full``, a part at each ``make test``."""

from __future__ import annotations

import os

_FULL = os.environ.get("LIFECYCLE_PROOF") == "full"


def rounds(full: int, usual: int) -> int:
    """``full`` where the proof is asked for, else ``usual``."""
    return full if _FULL else usual
