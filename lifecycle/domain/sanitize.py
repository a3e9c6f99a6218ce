"""Sanitizes untrusted text, such as names of columns and models, for display."""

from __future__ import annotations

import re

_JOINERS = "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"  # parts of words in Persian and Hindi
_MARKDOWN = re.compile(r"([\\`*_\[\]|~])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;", "@": "&#64;", "#": "&#35;"}
_LINK = re.compile(r"://|\bwww\.", re.IGNORECASE)


def printable(text: str, limit: int | None = None) -> str:
    r"""One line without control characters, changes of writing direction, and characters that break XML.

    Args:
        limit: Characters to keep; a longer text ends with an ellipsis.

    >>> printable("a\n\x1b[31mb", limit=4)
    'a �…'
    """
    line = " ".join(text.split())
    line = "".join(c if c.isprintable() or c in _JOINERS else "\N{REPLACEMENT CHARACTER}" for c in line)
    return line if limit is None or len(line) <= limit else f"{line[: limit - 1].rstrip()}…"


def markdown_text(text: str, limit: int | None = None) -> str:
    r"""A line that Markdown shows literally: no markup, HTML, formula, mention, link or end of a cell.

    Holds for GitHub's and GitLab's Markdown and for the renderer of MLflow's pages, which knows no
    backslash before ``<``: hence the entities.

    >>> markdown_text("<b> a|b @me")
    '&lt;b&gt; a\\|b &#64;me'
    """
    line = "".join(_ENTITIES.get(c, c) for c in printable(text, limit))
    line = _LINK.sub(lambda found: found[0].replace(":", "&#58;").replace(".", "&#46;"), line)
    return _MARKDOWN.sub(r"\\\1", line)
