"""Packs a compiled model into one file that runs with numpy and onnxruntime alone."""

from lifecycle.targets.edge.target import EdgeTarget

__all__ = ["EdgeTarget"]
