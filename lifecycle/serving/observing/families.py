"""Every metric that a server shows: name, kind, labels and help text.

Names and units follow https://prometheus.io/docs/practices/naming.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lifecycle.serving.measures import BATCH_BOUNDS


class Kind(StrEnum):
    """How the numbers of several workers are combined."""

    COUNTER = "counter"
    """Counter: summed, dead workers included."""
    GAUGE = "gauge"
    """Gauge: living workers only, each with its number as the label ``worker``."""
    HISTOGRAM = "histogram"
    """Histogram: summed bucket by bucket."""
    OWN = "own"
    """Counter of one process's life: shown like a gauge, restarts with the next process."""


@dataclass(frozen=True, slots=True)
class Family:
    """One metric.

    Attributes:
        name: Name for Prometheus, without the suffixes of its kind.
        bounds: Upper bounds of a histogram's buckets, without the last one, infinity.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()

    @property
    def of_worker(self) -> bool:
        """Whether each worker has its own number."""
        return self.kind in (Kind.GAUGE, Kind.OWN)

    @property
    def cells(self) -> int:
        """Number of doubles of one series; a histogram has its sum first, then its buckets."""
        return len(self.bounds) + 2 if self.bounds else 1


_WHOLE = (1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_PART = (1e-5, 2.5e-5, 5e-5, *_WHOLE)
_BY = ("protocol", "model")

REQUESTS = Family(
    "lifecycle_requests",
    Kind.COUNTER,
    "Requests answered; code 499: the client disconnected first",
    (*_BY, "code"),
)
REFUSALS = Family("lifecycle_refusals", Kind.COUNTER, "Answers with an error, by error_code", (*_BY, "reason"))
SECONDS = Family(
    "lifecycle_request_seconds", Kind.HISTOGRAM, "Seconds from a request's headers to its answer", _BY, _WHOLE
)
STAGES = Family(
    "lifecycle_stage_seconds",
    Kind.HISTOGRAM,
    "Seconds in one stage: read (the body), decode, score (waiting included), encode",
    (*_BY, "stage"),
    _PART,
)
ROWS = Family("lifecycle_rows", Kind.COUNTER, "Rows scored and answered", _BY)
RECEIVED = Family("lifecycle_request_bytes", Kind.COUNTER, "Bytes of request bodies read", _BY)
SENT = Family("lifecycle_response_bytes", Kind.COUNTER, "Bytes of response bodies", _BY)

BATCHES = Family(
    "lifecycle_batch_rows", Kind.HISTOGRAM, "Rows scored in one batch", bounds=tuple(map(float, BATCH_BOUNDS))
)
DROPPED = Family(
    "lifecycle_dropped",
    Kind.COUNTER,
    "Requests dropped before scoring: expired (deadline passed), abandoned (client disconnected)",
    ("reason",),
)
IN_FLIGHT = Family("lifecycle_in_flight", Kind.GAUGE, "Requests being read or scored")
HELD = Family("lifecycle_in_flight_bytes", Kind.GAUGE, "Bytes of request bodies being read or scored")
QUEUED = Family("lifecycle_queue_requests", Kind.GAUGE, "Requests in the queue")
QUEUED_ROWS = Family("lifecycle_queue_rows", Kind.GAUGE, "Rows in the queue")

READY = Family("lifecycle_ready", Kind.GAUGE, "1 when the server is ready for requests")
MODEL = Family(
    "lifecycle_model_info",
    Kind.GAUGE,
    "1 for each version that answers",
    ("model", "registered_model", "version", "digest", "scorer"),
)
SWAPS = Family("lifecycle_model_swaps", Kind.COUNTER, "Version changes, counted in every worker")
STARTS = Family("lifecycle_worker_starts", Kind.COUNTER, "Starts of worker processes")
CPU = Family("lifecycle_worker_cpu_seconds", Kind.OWN, "Processor time used by the worker process")
MEMORY = Family("lifecycle_worker_resident_memory_bytes", Kind.GAUGE, "Memory of the worker process")
FILES = Family("lifecycle_worker_open_fds", Kind.GAUGE, "Open files and connections of the worker process")
SINCE = Family("lifecycle_worker_start_time_seconds", Kind.GAUGE, "When the worker process started, Unix time")

CAPTURED = Family("lifecycle_captured_rows", Kind.COUNTER, "Rows written to captured files")
CAPTURE_DROPPED = Family(
    "lifecycle_capture_dropped_requests",
    Kind.COUNTER,
    "Sampled requests not captured: busy (the writer is behind), failed (a file could not be written)",
    ("reason",),
)
CAPTURE_BYTES = Family("lifecycle_capture_bytes", Kind.GAUGE, "Size of the captured files that are kept")
LOG_DROPPED = Family("lifecycle_log_dropped_lines", Kind.COUNTER, "Lines of the access log that were dropped")
SPANS_DROPPED = Family(
    "lifecycle_trace_dropped_requests",
    Kind.COUNTER,
    "Requests whose trace was not sent: busy (the thread is behind), limit (200 traces a second and worker)",
    ("reason",),
)

FAMILIES = tuple(value for value in tuple(globals().values()) if isinstance(value, Family))
