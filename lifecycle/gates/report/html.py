"""The report as a page, as a notebook's output, and the frame around other tools' pages.

Jinja escapes whatever goes into these templates. Nothing in them is a script, or comes from elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from lifecycle.domain.charts import EmbeddedPage, Explanation
from lifecycle.domain.evidence import Evidence
from lifecycle.domain.sanitize import printable
from lifecycle.domain.verdict import Verdict
from lifecycle.gates.report.cards import Room, cards_of
from lifecycle.gates.report.headline import circumstances_of, facts_of, next_step, title_of

if TYPE_CHECKING:
    from jinja2 import Environment

_FILE = Room(distributions=12, comparisons=4, bars=24)
_NOTEBOOK = Room(distributions=6, comparisons=2, bars=8)
_NOTEBOOK_PASSED = Room(distributions=0, comparisons=1, bars=8)  # a notebook is kept in git with its outputs


def render_html(evidence: Evidence, explanations: Sequence[Explanation] = ()) -> str:
    """A page of its own that runs nothing and loads nothing, light or dark as its reader likes it."""
    return _rendered(
        "report.html", evidence=evidence, cards=list(cards_of(evidence, explanations, lambda _: _FILE))
    )


def render_notebook(evidence: Evidence, explanations: Sequence[Explanation] = ()) -> str:
    """The output of a notebook's cell; its styles touch nothing else in the notebook."""

    def room(verdict: Verdict) -> Room:
        return _NOTEBOOK_PASSED if verdict.outcome == "PASSED" else _NOTEBOOK

    return _rendered("notebook.html", evidence=evidence, cards=list(cards_of(evidence, explanations, room)))


def render_progress(done: Sequence[Verdict], now: str) -> str:
    """What a notebook shows while gates run: those that have answered, and what happens now."""
    return _rendered("progress.html", done=done, now=now)


def render_page(page: EmbeddedPage) -> str:
    """Another tool's page in a frame that has no origin, reaches no network and cannot touch what is around it."""
    content = page.html.encode("utf-8", "replace").decode("utf-8").replace("\0", "")
    return _rendered("page.html", page=page, content=content)


def _rendered(template: str, **values: Any) -> str:
    return _templates().get_template(template).render(**values)


@cache
def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("lifecycle.gates.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["printable"] = printable
    environment.globals |= {
        "circumstances_of": circumstances_of,
        "facts_of": facts_of,
        "next_step": next_step,
        "title_of": title_of,
    }
    return environment
