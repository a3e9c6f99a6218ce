"""Keeps deployments equal to what the registry says."""
