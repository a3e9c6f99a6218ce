"""Contract suites: a test class inherits one, supplies its fixtures, and proves its implementation.

Needs pytest, which this package does not install for you.
"""

from lifecycle.testing.gate_contract import GateContract
from lifecycle.testing.gate_queue_contract import GateQueueContract
from lifecycle.testing.registry_contract import RegistryContract
from lifecycle.testing.scorer_contract import ScorerContract, ScorerExample
from lifecycle.testing.target_contract import Example, TargetContract

__all__ = [
    "Example",
    "GateContract",
    "GateQueueContract",
    "RegistryContract",
    "ScorerContract",
    "ScorerExample",
    "TargetContract",
]
