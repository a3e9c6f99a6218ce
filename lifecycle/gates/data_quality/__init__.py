"""The gate ``data_quality``: the current rows against a Great Expectations suite."""

from lifecycle.gates.data_quality.gate import DataQualityGate

__all__ = ["DataQualityGate"]
