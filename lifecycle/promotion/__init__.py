"""Promotion: running gates, the guard inside the registry, ledger and audit."""
