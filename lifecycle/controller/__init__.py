"""Deploys promoted versions, and keeps deployments equal to the registry."""
