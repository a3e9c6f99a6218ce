"""The process in which gates run: reads requests from standard input, writes one JSON message per line.

It runs the model's code, so the parent accepts only these messages from it and may end it at any time.
"""

from __future__ import annotations

import faulthandler
import os
import pickle
import select
import sys
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

import orjson
from pydantic import TypeAdapter

from lifecycle.domain.charts import Explanation
from lifecycle.domain.verdict import Verdict
from lifecycle.gates.contract import load_gate
from lifecycle.gates.gate_process import LATER
from lifecycle.gates.run import GateJob, Progress, explain_gates, run_in_order, subject_of
from lifecycle.gates.subject import Subject
from lifecycle.processes.process import watch_owner

VERDICT: TypeAdapter[Verdict] = TypeAdapter(Verdict)
EXPLANATION: TypeAdapter[Explanation] = TypeAdapter(Explanation)

_IDLE_SECONDS = 600.0
"""Seconds that it keeps data and model for explanations."""


def main() -> None:
    """Serve requests until the parent closes the input."""
    # what libraries print must not look like a message
    messages = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    watch_owner(lambda: os._exit(1))
    requests = os.fdopen(os.dup(0), "rb")
    subject: Subject | None = None
    while select.select([requests], [], [], _IDLE_SECONDS)[0]:
        try:
            task, arguments, debug = pickle.load(requests)  # noqa: S301  # from our own parent
        except EOFError:
            return
        if debug:
            _log_everything()
        if task == "evaluate":
            subject = evaluate(messages, *arguments)
        else:
            explain(messages, subject, *arguments)


def evaluate(messages: BinaryIO, job: GateJob, indices: Sequence[int], may_load: bool) -> Subject:
    """Run some gates of a job, in this order. Returns their subject."""
    subject = _subject_of(job)
    if not may_load:
        subject.forbid_loading()
    gates = [load_gate(spec) for spec in job.gates]
    progress = Progress(on_start=lambda gate: _say(messages, {"started": gate}))
    for index, verdict in run_in_order(gates, indices, subject, progress):
        _say(
            messages,
            {
                "index": index,
                "verdict": VERDICT.dump_python(verdict, mode="json", warnings=False),
                "data": dict(subject.fingerprints()),
                "imported": [name for name in LATER if name in sys.modules],
            },
        )
    return subject


def explain(messages: BinaryIO, subject: Subject | None, job: GateJob, verdicts: Sequence[Verdict]) -> None:
    """Write one explanation per verdict, in order.

    Args:
        subject: The subject of the verdicts, if this process gave them.
    """
    gates = [load_gate(spec) for spec in job.gates]
    for explanation in explain_gates(gates, verdicts, subject or _subject_of(job)):
        _say(
            messages,
            {
                "explanation": EXPLANATION.dump_python(explanation, mode="json"),
                "imported": [name for name in LATER if name in sys.modules],
            },
        )


def _subject_of(job: GateJob) -> Subject:
    from lifecycle.scoring.loader import load_scorer

    return subject_of(job, load_scorer)


def _log_everything() -> None:
    import logging

    faulthandler.enable()
    logging.basicConfig(level=logging.WARNING)
    logging.getLogger("lifecycle").setLevel(logging.DEBUG)


def _say(messages: BinaryIO, message: Mapping[str, Any]) -> None:
    messages.write(orjson.dumps(message) + b"\n")
    messages.flush()


if __name__ == "__main__":
    main()
