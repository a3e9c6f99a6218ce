"""Contract tests for gates, registries, scorers and targets. Inherit one and supply its fixtures.

They need pytest, which this package does not install.
"""

from lifecycle.testing.engine_contract import EngineContract
from lifecycle.testing.gate_contract import GateContract
from lifecycle.testing.gate_queue_contract import GateQueueContract
from lifecycle.testing.registry_contract import FollowerLeaseContract, RegistryContract
from lifecycle.testing.scorer_contract import ScorerContract, ScorerExample
from lifecycle.testing.target_contract import Example, FolderModels, TargetContract, folder_source

__all__ = [
    "EngineContract",
    "Example",
    "FolderModels",
    "FollowerLeaseContract",
    "GateContract",
    "GateQueueContract",
    "RegistryContract",
    "ScorerContract",
    "ScorerExample",
    "TargetContract",
    "folder_source",
]
