"""Every scorer keeps the scorer's contract."""

from __future__ import annotations

import pytest

from lifecycle.scoring.loader import load_scorer
from lifecycle.testing import ScorerContract, ScorerExample

pytestmark = pytest.mark.slow  # two models are trained for these


class TestOnnxScorer(ScorerContract):
    @pytest.fixture
    def example(self, lifecycle_models):
        model, _ = lifecycle_models
        return ScorerExample(load_scorer(model.snapshot.path, model.compiled), model.rows, model.expected)


class TestPyfuncScorer(ScorerContract):
    @pytest.fixture
    def example(self, lifecycle_models):
        model, _ = lifecycle_models
        return ScorerExample(load_scorer(model.snapshot.path), model.rows, model.expected)
