"""The terms of the product as frozen values. Standard library only; no I/O, no clock."""
