"""The gate ``performance``: a metric against thresholds and the champion, on all rows and on every slice of them.

``scored_rows`` scores, ``answers``, ``metrics`` and ``measured`` measure, ``influence`` and ``intervals`` say how
sure that is; ``slices`` divides the rows, ``slice_check`` judges the parts, ``sliced_rows`` tells of them;
``decide`` says what it all means.
"""

from lifecycle.gates.performance.gate import PerformanceGate
from lifecycle.gates.performance.options import PerformanceOptions

__all__ = ["PerformanceGate", "PerformanceOptions"]
