from __future__ import annotations

import pytest

from lifecycle.targets.memory_target import MemoryTarget
from lifecycle.testing.target_contract import Example, TargetContract


class TestMemoryTarget(TargetContract):
    @pytest.fixture
    def target(self, context) -> MemoryTarget:
        return MemoryTarget(context)

    @pytest.fixture
    def first(self, lifecycle_models) -> Example:
        return lifecycle_models[0].example("flights")

    @pytest.fixture
    def second(self, lifecycle_models) -> Example:
        return lifecycle_models[1].example("flights-next")
