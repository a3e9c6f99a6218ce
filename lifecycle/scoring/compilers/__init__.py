"""Compilers: a model of one flavor to ONNX."""
