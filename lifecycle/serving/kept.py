"""Files in a deployment's folder besides the control files.

::

    metrics/0.counts, 0.models.json      what worker 0 has counted, and which versions it answers with
    captured/flights/3/….parquet         rows and predictions of version 3
"""

from __future__ import annotations

import shutil
from pathlib import Path

from lifecycle.durable import sweep

COUNTS = "metrics"
CAPTURED = "captured"


def clean_up(folder: Path) -> None:
    """Delete the last server's counts and unfinished files. Called once, before the first worker starts.

    Args:
        folder: The deployment's folder.
    """
    shutil.rmtree(folder / COUNTS, ignore_errors=True)
    for place in (folder / CAPTURED).glob("*/*"):
        sweep(place)
