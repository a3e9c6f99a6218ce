"""The scoring protocols, one module each."""
