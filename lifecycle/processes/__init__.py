"""Processes that outlive the call that started them, and never their owner. Standard library and psutil."""
