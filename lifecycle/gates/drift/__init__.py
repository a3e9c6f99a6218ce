"""The drift gate: whether the rows of today still look like those that the model was trained on.

``distances`` and ``chance`` are the arithmetic; ``numbers`` and ``categories`` apply it to one column's values,
``columns`` to a column with its nulls, ``compare`` to all columns, ``outcomes`` to labels and predictions;
``judge`` says what each means, ``decide`` what they mean together.
"""

from lifecycle.gates.drift.gate import DriftGate
from lifecycle.gates.drift.options import DriftOptions

__all__ = ["DriftGate", "DriftOptions"]
