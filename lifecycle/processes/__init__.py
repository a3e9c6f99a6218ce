"""Processes that outlive their caller but not their owner. Standard library and psutil."""
