"""What a gate run leaves behind: for people, a page with pictures; for machines, JUnit, Markdown and JSON.

Every name and text in it was written by somebody else, and is shown as text wherever it appears.
"""

from lifecycle.gates.report.documents import report_pages, verdict_documents
from lifecycle.gates.report.gate_report import GateReport
from lifecycle.gates.report.headline import next_step, title_of
from lifecycle.gates.report.html import render_html
from lifecycle.gates.report.junit import render_junit
from lifecycle.gates.report.markdown import render_markdown

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
