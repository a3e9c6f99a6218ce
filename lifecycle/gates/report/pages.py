"""Where the reports of other tools lie beside ours."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lifecycle.domain.charts import EmbeddedPage, Explanation
from lifecycle.domain.evidence import Evidence

_NOT_IN_FILE_NAMES = re.compile(r"[^A-Za-z0-9_-]+")
_OURS = {"report"}


@dataclass(frozen=True, slots=True)
class PlacedPage:
    """A page with the name of its file, which no other page has and which stays in the folder."""

    gate: str
    page: EmbeddedPage
    file_name: str


def placed_pages(evidence: Evidence, explanations: Sequence[Explanation]) -> Iterator[PlacedPage]:
    """The pages of all explanations, in order. What is no plain file name is made one."""
    taken = set(_OURS)
    for verdict, explanation in zip(evidence.verdicts, explanations, strict=False):
        for page in explanation.charts:
            if isinstance(page, EmbeddedPage):
                stem = _free(_plain(page.file_name.removesuffix(".html")), _plain(verdict.gate), taken)
                taken.add(stem.lower())
                yield PlacedPage(verdict.gate, page, f"{stem}.html")


def _plain(name: str) -> str:
    return _NOT_IN_FILE_NAMES.sub("-", name).strip("-")[:60] or "page"


def _free(stem: str, gate: str, taken: set[str]) -> str:
    candidates = [stem, f"{gate}-{stem}", *(f"{gate}-{stem}-{number}" for number in range(2, len(taken) + 3))]
    return next(name for name in candidates if name.lower() not in taken)
