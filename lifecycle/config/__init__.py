"""What people set: ``lifecycle.yaml`` and the environment."""
