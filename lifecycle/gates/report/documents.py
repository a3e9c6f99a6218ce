"""The files that a gate run leaves: verdicts at once, and pages with charts afterwards."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from lifecycle.domain.charts import Explanation
from lifecycle.domain.evidence import Evidence


def verdict_documents(evidence: Evidence) -> Mapping[str, str]:
    """File name -> text of what needs no charts: Markdown, JUnit and JSON."""
    from lifecycle.gates.report.junit import render_junit
    from lifecycle.gates.report.markdown import render_markdown

    verdicts = [verdict.as_dict() for verdict in evidence.verdicts]
    return {
        "report.md": render_markdown(evidence),
        "junit.xml": render_junit(evidence),
        "verdicts.json": json.dumps(verdicts, indent=1),
    }


def report_pages(evidence: Evidence, explanations: Sequence[Explanation]) -> Mapping[str, str]:
    """File name -> HTML: ``report.html`` with the charts, and the other tools' pages beside it.

    Args:
        explanations: One for each verdict, or none.
    """
    from lifecycle.gates.report.html import render_html, render_page
    from lifecycle.gates.report.pages import placed_pages

    return {"report.html": render_html(evidence, explanations)} | {
        placed.file_name: render_page(placed.page) for placed in placed_pages(evidence, explanations)
    }
