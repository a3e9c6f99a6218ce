"""The result of ``lifecycle.check``, and the files that a gate run leaves."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from lifecycle.domain.charts import Explanation
from lifecycle.domain.text import printable
from lifecycle.domain.verdict import Evidence, Outcome, Verdict
from lifecycle.gates.report.html import placed_pages, render_html, render_notebook, render_page
from lifecycle.gates.report.summaries import circumstances_of, render_junit, render_markdown, title_of


def verdict_documents(evidence: Evidence) -> Mapping[str, str]:
    """File name -> text of the files without charts: Markdown, JUnit and JSON."""
    verdicts = [verdict.as_dict() for verdict in evidence.verdicts]
    return {
        "report.md": render_markdown(evidence),
        "junit.xml": render_junit(evidence),
        "verdicts.json": json.dumps(verdicts, indent=1),
    }


@dataclass(frozen=True, repr=False)
class GateReport:
    """The verdicts of one gate run: shown as cards with charts in notebooks, as lines elsewhere.

    Attributes:
        explain: Makes one explanation per verdict; called once, when a report is first shown or saved.
    """

    evidence: Evidence
    explain: Callable[[], Sequence[Explanation]] = field(default=tuple, compare=False)

    @cached_property
    def explanations(self) -> Sequence[Explanation]:
        """Charts and pages of each verdict, in order."""
        return self.explain()

    @property
    def title(self) -> str:
        """Model version, stage and outcome in one line."""
        return title_of(self.evidence)

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """One verdict per gate, in order."""
        return self.evidence.verdicts

    @property
    def outcome(self) -> Outcome:
        """The worst of the verdicts."""
        return self.evidence.outcome

    @property
    def passed(self) -> bool:
        """Whether every gate passed."""
        return self.outcome is Outcome.PASSED

    def pages(self) -> Mapping[str, str]:
        """The report with its charts, and other tools' pages: HTML by file name."""
        placed_in = placed_pages(self.evidence, self.explanations)
        others = {placed.file_name: render_page(placed.page) for placed in placed_in}
        return {"report.html": render_html(self.evidence, self.explanations), **others}

    def documents(self) -> Mapping[str, str]:
        """All documents that MLflow stores of the gate run: text by file name."""
        return {**verdict_documents(self.evidence), **self.pages()}

    def save(self, folder: str | Path) -> Path:
        """Write all documents to a folder: HTML pages, Markdown, JUnit and JSON.

        Returns:
            The path of ``report.html``.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in self.documents().items():
            (folder / name).write_text(text, encoding="utf-8")
        return folder / "report.html"

    def __repr__(self) -> str:
        head = f"{self.title} ({', '.join(circumstances_of(self.evidence))})"
        lines = (printable(f"{v.gate}: {v.outcome}. {v.message}") for v in self.verdicts)
        return "\n  ".join([printable(head), *lines])

    def _repr_html_(self) -> str:
        return render_notebook(self.evidence, self.explanations)
