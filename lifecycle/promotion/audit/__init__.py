"""Verifies the ledger: hash chain, signatures, and agreement with MLflow's tables."""

from lifecycle.promotion.audit.verify import audit

__all__ = ["audit"]
