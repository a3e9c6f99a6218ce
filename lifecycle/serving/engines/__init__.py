"""Engines: a compiled scorer in this process, a pyfunc scorer in its own processes, and their batching."""
