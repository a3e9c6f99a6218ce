"""What loading a model would execute, judged from its files alone."""

from lifecycle.gates.safety.gate import SafetyGate

__all__ = ["SafetyGate"]
