"""Configuration: ``lifecycle.yaml`` and environment variables."""
