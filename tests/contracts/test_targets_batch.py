from __future__ import annotations

import pytest

from lifecycle.targets.batch import BatchTarget
from lifecycle.testing.target_contract import Example, TargetContract


class TestBatchTarget(TargetContract):
    @pytest.fixture
    def target(self, context) -> BatchTarget:
        return BatchTarget(context)

    @pytest.fixture
    def options(self, tmp_path, lifecycle_models) -> dict[str, str]:
        """Each version into a folder of its own: predictions that somebody may have read are never rewritten."""
        import pandas as pd

        pd.DataFrame(dict(lifecycle_models[0].rows)).to_parquet(tmp_path / "rows.parquet")
        return {"input": str(tmp_path / "rows.parquet"), "output": str(tmp_path / "predictions-{version}")}

    @pytest.fixture
    def first(self, lifecycle_models, options) -> Example:
        return lifecycle_models[0].example("july", options)

    @pytest.fixture
    def second(self, lifecycle_models, options, tmp_path) -> Example:
        return lifecycle_models[1].example("august", options)
