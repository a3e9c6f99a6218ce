"""The edge target: packs a compiled model into one file that runs with numpy and onnxruntime only."""

from lifecycle.targets.edge.target import EdgeTarget

__all__ = ["EdgeTarget"]
