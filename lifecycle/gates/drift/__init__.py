"""The drift gate: whether current rows are distributed as those that the model was trained on.

``columns`` measures one column, ``gate`` all of them, labels and predictions included; ``decide`` turns the
distances into a verdict, ``report`` into charts.
"""

from lifecycle.gates.drift.decide import DriftOptions
from lifecycle.gates.drift.gate import DriftGate

__all__ = ["DriftGate", "DriftOptions"]
