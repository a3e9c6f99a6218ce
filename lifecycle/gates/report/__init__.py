"""Reports of a gate run: a page with charts for people; JUnit, Markdown and JSON for machines.

All names and texts in them are untrusted and are escaped.
"""

from lifecycle.gates.report.gate_report import GateReport, verdict_documents
from lifecycle.gates.report.html import render_html
from lifecycle.gates.report.summaries import next_step, render_junit, render_markdown, title_of

__all__ = [
    "GateReport",
    "next_step",
    "render_html",
    "render_junit",
    "render_markdown",
    "title_of",
    "verdict_documents",
]
