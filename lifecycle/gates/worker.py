"""The process in which gates run: reads a job from standard input, writes one JSON message per line.

It runs the model's code, so the parent accepts only these messages from it and may end it at any time.
"""

from __future__ import annotations

import faulthandler
import os
import pickle
import sys
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

from pydantic import TypeAdapter

from lifecycle.domain.charts import Explanation
from lifecycle.domain.verdict import Verdict
from lifecycle.gates.discovery import load_gate
from lifecycle.gates.job import GateJob, subject_of
from lifecycle.gates.progress import Progress
from lifecycle.gates.run import explain_gates, run_in_order
from lifecycle.processes.process import watch_owner

VERDICT: TypeAdapter[Verdict] = TypeAdapter(Verdict)
EXPLANATION: TypeAdapter[Explanation] = TypeAdapter(Explanation)


def work(messages: BinaryIO, job: GateJob, indices: Sequence[int], may_load: bool) -> None:
    """Run some gates of a job, in this order."""
    from lifecycle.scoring.loader import load_scorer

    subject = subject_of(job, load_scorer)
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
            },
        )


def explain(messages: BinaryIO, job: GateJob, verdicts: Sequence[Verdict]) -> None:
    """Write the explanations of a job's verdicts, in order."""
    from lifecycle.scoring.loader import load_scorer

    gates = [load_gate(spec) for spec in job.gates]
    for explanation in explain_gates(gates, verdicts, subject_of(job, load_scorer)):
        _say(messages, {"explanation": EXPLANATION.dump_python(explanation, mode="json")})


def main() -> None:
    """Run one job and exit."""
    # what libraries print must not look like a message
    messages = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    watch_owner(lambda: os._exit(1))
    task, arguments, debug = pickle.load(sys.stdin.buffer)  # noqa: S301  # from our own parent
    if debug:
        import logging

        faulthandler.enable()
        logging.basicConfig(level=logging.WARNING)
        logging.getLogger("lifecycle").setLevel(logging.DEBUG)
    if task == "explain":
        explain(messages, *arguments)
    else:
        work(messages, *arguments)


def _say(messages: BinaryIO, message: Mapping[str, Any]) -> None:
    import orjson

    messages.write(orjson.dumps(message) + b"\n")
    messages.flush()


if __name__ == "__main__":
    main()
