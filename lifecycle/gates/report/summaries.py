"""Markdown and JUnit summaries of a gate run, and the sentences that every form of a report shares."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from xml.etree import ElementTree as ET

from lifecycle.domain.text import markdown_text, printable
from lifecycle.domain.verdict import Evidence, Figure, Outcome, Verdict

_NAME_CHARS, _FIGURE_CHARS = 80, 120
_SHORT = 12  # digits of a digest that are enough to distinguish it


def title_of(evidence: Evidence) -> str:
    """``models:/name/version for stage: OUTCOME``."""
    return f"models:/{evidence.model}/{evidence.version} for {evidence.stage}: {evidence.outcome}"


def next_step(evidence: Evidence) -> tuple[str, str]:
    """The next step in a sentence, and its shell command."""
    uri = f"models:/{printable(evidence.model)}/{evidence.version}"
    again = shlex.join(["lifecycle", "gate", "run", uri, "--stage", evidence.stage])
    match evidence.outcome:
        case Outcome.PASSED:
            return "Promote it:", shlex.join(["lifecycle", "promote", uri, "--stage", evidence.stage])
        case Outcome.INCONCLUSIVE:
            return "Supply the missing data, and run the gates again:", again
        case Outcome.ERROR:
            return "Fix what broke, and run the gates again:", again
        case Outcome.FAILED:
            return f"It cannot go to {evidence.stage}. After a change of data or policy, run again:", again


def facts_of(evidence: Evidence) -> Iterator[tuple[str, str, str]]:
    """Digests of snapshot, policy and data: name, short value, whole value."""
    yield "snapshot", evidence.digest[:_SHORT], evidence.digest
    yield "policy", evidence.policy_digest[:_SHORT], evidence.policy_digest
    for role, fingerprint in sorted(evidence.data.items()):
        yield f"{role} data", fingerprint[:_SHORT], fingerprint


def figures_of(figures: Mapping[str, Figure]) -> Iterator[tuple[str, str]]:
    """Names and formatted values of figures."""
    for name, value in figures.items():
        yield printable(str(name), _NAME_CHARS), printable(_figure(value), _FIGURE_CHARS)


def _figure(value: Figure) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.6g}" if isinstance(value, float) else value


def circumstances_of(evidence: Evidence) -> Iterator[str]:
    """Attempt (0 is a partial run), time, requester, duration and expiry."""
    yield f"attempt {evidence.attempt}" if evidence.attempt else "partial run: not recorded as evidence"
    yield f"{evidence.created_at:%Y-%m-%d %H:%M} UTC"
    if evidence.requested_by:
        yield f"by {evidence.requested_by}"
    yield f"{sum(v.seconds for v in evidence.verdicts):.1f} s"
    yield f"valid until {evidence.expires_at:%Y-%m-%d %H:%M} UTC"


def render_markdown(evidence: Evidence) -> str:
    """A heading, a table with one row per gate, and the next step. Names from data are escaped."""
    rows = [("Gate", "Verdict", "Why", "Reason", "Seconds"), ("---",) * 4 + ("---:",)]
    for v in evidence.verdicts:
        gate, message, reason = map(markdown_text, (v.gate, v.message, v.reason))
        rows.append((gate, f"**{v.outcome}**", message, reason, f"{v.seconds:.1f}"))
    facts = [f"{name} {short}" for name, short, _ in facts_of(evidence)]
    sentence, command = next_step(evidence)
    return "\n\n".join(
        [
            f"### {markdown_text(title_of(evidence))}",
            " · ".join(map(markdown_text, [*circumstances_of(evidence), *facts])),
            "\n".join(f"| {' | '.join(row)} |" for row in rows),
            f"**Next:** {markdown_text(sentence)}\n\n```shell\n{printable(command)}\n```\n",
        ]
    )


_ELEMENTS = {Outcome.FAILED: "failure", Outcome.INCONCLUSIVE: "error", Outcome.ERROR: "error"}


def render_junit(evidence: Evidence) -> str:
    """A suite ``lifecycle.<stage>`` with one test case per gate.

    INCONCLUSIVE is an error of type ``inconclusive``, as skipped tests would be green. So is a suite
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
        kind = "inconclusive" if verdict.outcome is Outcome.INCONCLUSIVE else printable(verdict.reason)
        why = ET.SubElement(case, element, message=message, type=kind)
        why.text = f"{verdict.outcome} {printable(verdict.reason)}: {message}"
    figures = [f"{name}: {value}" for name, value in figures_of(verdict.figures)]
    ET.SubElement(case, "system-out").text = "\n".join([printable(verdict.message), *figures])
    return case
