"""Nested lists, as JSON has tensors."""

from __future__ import annotations

from itertools import chain
from typing import Any


def flattened(data: list[Any]) -> tuple[list[Any], set[type]]:
    """The values row-major without the lists around them, and their types; a list beside a value stays one."""
    kinds = set(map(type, data))
    while kinds == {list}:
        data = list(chain.from_iterable(data))
        kinds = set(map(type, data))
    return data, kinds
