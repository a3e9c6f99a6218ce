"""Reports of a gate run: an HTML page with charts, JUnit, Markdown and JSON.

Every name and text in them is untrusted and shown as plain text.
"""

from lifecycle.gates.report.gate_report import GateReport, report_pages, verdict_documents
from lifecycle.gates.report.html import render_html
from lifecycle.gates.report.summaries import next_step, render_junit, render_markdown, title_of

__all__ = [
    "GateReport",
    "next_step",
    "render_html",
    "render_junit",
    "render_markdown",
    "report_pages",
    "title_of",
    "verdict_documents",
]
