"""The performance gate: a metric against thresholds and the champion, on all rows and on every slice.

``targets`` holds labels and predictions, ``metrics`` measures them, ``slices`` judges parts of the rows, ``gate``
decides.
"""

from lifecycle.gates.performance.gate import PerformanceGate
from lifecycle.gates.performance.options import PerformanceOptions

__all__ = ["PerformanceGate", "PerformanceOptions"]
