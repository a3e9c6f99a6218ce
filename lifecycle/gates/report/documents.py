"""Everything that a gate run leaves behind, as files."""

from __future__ import annotations

import json
from collections.abc import Mapping

from lifecycle.domain.evidence import Evidence


def documents(evidence: Evidence) -> Mapping[str, str]:
    """File name -> text: ``report.html`` and the other tools' pages beside it, and the forms for machines."""
    from lifecycle.gates.report.html import render_html, render_page
    from lifecycle.gates.report.junit import render_junit
    from lifecycle.gates.report.markdown import render_markdown
    from lifecycle.gates.report.pages import placed_pages

    verdicts = [verdict.as_dict() for verdict in evidence.verdicts]
    return {
        "report.html": render_html(evidence),
        "report.md": render_markdown(evidence),
        "junit.xml": render_junit(evidence),
        "verdicts.json": json.dumps(verdicts, indent=1),
    } | {placed.file_name: render_page(placed.page) for placed in placed_pages(evidence)}
