"""How far a run is, for whoever shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Progress:
    """Rows behind us, those of an interrupted run before included.

    Attributes:
        rows_total: Rows there are; None where an input is CSV, which does not say.
    """

    rows_total: int | None
    rows_in: int = 0
    rows_rejected: int = 0

    def after(self, rows_in: int, rows_rejected: int) -> Progress:
        """Progress after so many more rows."""
        return replace(self, rows_in=self.rows_in + rows_in, rows_rejected=self.rows_rejected + rows_rejected)


OnProgress = Callable[[Progress], None]
"""Called after each chunk, from the thread that runs the batch."""
