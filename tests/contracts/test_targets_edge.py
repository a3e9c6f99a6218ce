from __future__ import annotations

import pytest

from lifecycle.targets.edge import EdgeTarget
from lifecycle.testing.target_contract import Example, TargetContract

pytestmark = pytest.mark.slow


class TestEdgeTarget(TargetContract):
    @pytest.fixture
    def target(self, context) -> EdgeTarget:
        return EdgeTarget(context)

    @pytest.fixture
    def first(self, lifecycle_models, tmp_path) -> Example:
        return lifecycle_models[0].example("gate-7", {"output": str(tmp_path / "first.zip")})

    @pytest.fixture
    def second(self, lifecycle_models, tmp_path) -> Example:
        return lifecycle_models[1].example("gate-8", {"output": str(tmp_path / "second.zip")})
