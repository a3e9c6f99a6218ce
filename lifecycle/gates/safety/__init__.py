"""The safety gate: finds what loading a model would execute, from its files alone."""

from lifecycle.gates.safety.gate import SafetyGate

__all__ = ["SafetyGate"]
