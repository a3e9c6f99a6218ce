"""The batch target: scores files into files, exactly once, resumable, in constant memory."""

from lifecycle.targets.batch.target import BatchTarget

__all__ = ["BatchTarget"]
