"""Scores files into files: exactly once, resumable, in flat memory."""

from lifecycle.targets.batch.target import BatchTarget

__all__ = ["BatchTarget"]
