"""Rows to predictions: one scorer for every target."""
