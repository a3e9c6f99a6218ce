"""The operator's allow-list of names in a model's files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

DEFAULT = Path(__file__).with_name("allowed.txt")
"""The list that ships with the gate, with reasons in comments."""

EXACT_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", re.ASCII)
"""``module.name``. Nothing stands for a whole module: most modules hold something harmful somewhere, such as the
``os`` that they import, or numpy's ``numpy.testing._private.utils.runstring``."""


@dataclass(frozen=True, slots=True)
class AllowList:
    """Exact names that are allowed. The model's own list is never used.

    Attributes:
        called: Names that loading may instantiate or call.
        named: Names that loading may reference as a value.
    """

    called: frozenset[str]
    named: frozenset[str]

    def may_call(self, name: str) -> bool:
        """Whether loading may instantiate or call it."""
        return name in self.called

    def may_name(self, name: str) -> bool:
        """Whether loading may reference it as a value."""
        return name in self.called or name in self.named


def allow_list(extra: Iterable[str] = ()) -> AllowList:
    """The shipped list, with the operator's own names, which may be called."""
    default = _default()
    return AllowList(default.called | frozenset(extra), default.named)


@cache
def _default() -> AllowList:
    sections: dict[str, set[str]] = {"called": set(), "named": set()}
    section = ""
    for line in DEFAULT.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            module, _, names = line.partition(": ")
            sections[section] |= {f"{module}.{name}" for name in names.split()}
    return AllowList(frozenset(sections["called"]), frozenset(sections["named"]))
