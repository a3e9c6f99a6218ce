"""Places where a version answers."""
