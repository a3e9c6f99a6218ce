"""A gate run as a JUnit test suite, for the test pages of CI servers.

The elements and attributes are those of Jenkins' ``junit-10.xsd``, which GitLab's and GitHub's readers share;
it knows no properties of a test case, so figures go to its ``system-out``.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

from lifecycle.domain.evidence import Evidence
from lifecycle.domain.sanitize import printable
from lifecycle.domain.verdict import Outcome, Verdict
from lifecycle.gates.report.cards import figures_of
from lifecycle.gates.report.headline import circumstances_of, facts_of, next_step, title_of

_ELEMENTS = {Outcome.FAILED: "failure", Outcome.INCONCLUSIVE: "error", Outcome.ERROR: "error"}


def render_junit(evidence: Evidence) -> str:
    """A suite ``lifecycle.<stage>`` with a test case for each gate.

    INCONCLUSIVE is an error of type ``inconclusive``: skipped tests are green, and it is not. So is a suite
    without any gate.
    """
    suite = ET.Element("testsuite", _totals(evidence))
    suite.set("name", printable(f"lifecycle.{evidence.stage}"))
    suite.set("timestamp", f"{evidence.created_at:%Y-%m-%dT%H:%M:%S}")
    properties = ET.SubElement(suite, "properties")
    for name, _, whole in facts_of(evidence):
        ET.SubElement(properties, "property", name=printable(name), value=printable(whole))
    ET.SubElement(properties, "property", name="attempt", value=str(evidence.attempt))
    for verdict in evidence.verdicts or (_NOTHING_RAN,):
        suite.append(_case(verdict, f"models:/{evidence.model}/{evidence.version}"))
    lines = [title_of(evidence), ", ".join(circumstances_of(evidence)), *next_step(evidence)]
    ET.SubElement(suite, "system-out").text = "\n".join(map(printable, lines))
    suites = ET.Element("testsuites", _totals(evidence))
    suites.append(suite)
    ET.indent(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(suites, encoding="unicode")}\n'


_NOTHING_RAN = Verdict("gates", Outcome.INCONCLUSIVE, "gates.none", "No gate was run.")


def _totals(evidence: Evidence) -> dict[str, str]:
    verdicts = evidence.verdicts or (_NOTHING_RAN,)
    elements = [_ELEMENTS.get(v.outcome) for v in verdicts]
    return {
        "tests": str(len(verdicts)),
        "failures": str(elements.count("failure")),
        "errors": str(elements.count("error")),
        "time": f"{sum(v.seconds for v in verdicts):.3f}",
    }


def _case(verdict: Verdict, uri: str) -> ET.Element:
    attributes = {"classname": printable(uri), "name": printable(verdict.gate), "time": f"{verdict.seconds:.3f}"}
    case = ET.Element("testcase", attributes)
    element = _ELEMENTS.get(verdict.outcome)
    if element:
        message = printable(verdict.message)
        why = ET.SubElement(case, element, message=message, type=_type(verdict))
        why.text = f"{verdict.outcome} {printable(verdict.reason)}: {message}"
    figures = [f"{name}: {value}" for name, value in figures_of(verdict.figures)]
    ET.SubElement(case, "system-out").text = "\n".join([printable(verdict.message), *figures])
    return case


def _type(verdict: Verdict) -> str:
    return "inconclusive" if verdict.outcome is Outcome.INCONCLUSIVE else printable(verdict.reason)
