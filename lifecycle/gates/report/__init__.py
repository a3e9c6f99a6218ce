"""What a gate run leaves behind: for people, a page with pictures; for machines, JUnit, Markdown and JSON.

Every name and text in it was written by somebody else, and is shown as text wherever it appears.
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
