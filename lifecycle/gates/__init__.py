"""Checks of a snapshot against data."""
