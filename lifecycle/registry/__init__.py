"""Registries: reading and moving registered versions."""
