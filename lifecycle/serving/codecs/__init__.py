"""The scoring protocols, one module per protocol."""
