from __future__ import annotations

import pytest

from lifecycle.targets.batch.engine import LocalEngine
from lifecycle.testing.engine_contract import EngineContract


class TestLocalEngine(EngineContract):
    @pytest.fixture
    def engine(self):
        return LocalEngine
