"""Spans for OpenTelemetry, if the environment names a collector. The SDK is loaded only then.

A span costs the SDK about 50 µs, more than a compiled prediction. So the spans of a request, one and a child per
stage, are made afterwards from the times that were recorded, by a thread and with a bound on their number.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from typing import TYPE_CHECKING

from lifecycle.serving.observer import Exchange
from lifecycle.serving.observing import families as f
from lifecycle.serving.observing.board import Board
from lifecycle.serving.observing.record import Record, record_of
from lifecycle.serving.observing.ticker import Ticker

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, Tracer

_LOG = logging.getLogger(__name__)
_PARENT, _STATE = b"traceparent", b"tracestate"
_MOST_WAITING = 10_000
_MOST_TRACES_A_TICK = 100
_TICK_S = 0.5


class Tracing:
    """Sends traces with OpenTelemetry's own settings, its sampler included.

    Args:
        service: Name of the server when the environment gives none.
    """

    def __init__(self, board: Board, service: str) -> None:
        self._board = board
        self._service = service
        self._waiting: deque[tuple[Record, bytes | None, bytes | None]] = deque()
        self._provider: TracerProvider | None = None
        self._ticker = Ticker("tracing", _TICK_S, [self._flush])

    def observe(self, exchange: Exchange) -> None:
        """Record what the request's spans need."""
        if len(self._waiting) >= _MOST_WAITING:
            self._drop(1, "busy")
            return
        header = exchange.request.header
        self._waiting.append((record_of(exchange), header(_PARENT), header(_STATE)))

    def close(self) -> None:
        """Send the last spans."""
        self._ticker.close()
        if self._provider is not None:
            self._provider.shutdown()

    def _flush(self) -> None:
        if self._provider is None:
            self._provider = _provider(self._service)
        tracer = self._provider.get_tracer("lifecycle.serving")
        offset, traces = time.time() - time.perf_counter(), 0
        while self._waiting and traces < _MOST_TRACES_A_TICK:
            traces += _trace(tracer, *self._waiting.popleft(), offset)
            time.sleep(0)  # the thread that answers requests wants to run in between
        if traces == _MOST_TRACES_A_TICK:
            self._drop(len(self._waiting), "limit")
            self._waiting.clear()

    def _drop(self, number: int, why: str) -> None:
        self._board.values[self._board.cells((f.SPANS_DROPPED.name, why), 1)] += number


def _provider(service: str) -> TracerProvider:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    named = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    resource = Resource.create({} if named else {SERVICE_NAME: service})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def _trace(tracer: Tracer, record: Record, parent: bytes | None, state: bytes | None, offset: float) -> bool:
    """Send one trace; returns whether the sampler took it."""
    from opentelemetry.trace import SpanKind, set_span_in_context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier = {"traceparent": (parent or b"").decode("latin-1"), "tracestate": (state or b"").decode("latin-1")}
    context = TraceContextTextMapPropagator().extract(carrier)
    name = f"{record.method} {record.route}".rstrip()
    span = tracer.start_span(name, context, SpanKind.SERVER, start_time=_nanoseconds(record.arrived, offset))
    wanted = span.is_recording()
    if wanted:
        _describe(span, record)
        inside = set_span_in_context(span, context)
        for stage, (start, end) in record.stages().items():
            child = tracer.start_span(stage, inside, start_time=_nanoseconds(start, offset))
            child.end(_nanoseconds(end, offset))
    span.end(_nanoseconds(record.done, offset))
    return wanted


def _describe(span: Span, record: Record) -> None:
    """Attributes, by https://opentelemetry.io/docs/specs/semconv/http/http-spans and our own names."""
    from opentelemetry.trace import StatusCode

    span.set_attribute("http.request.method", record.method)
    span.set_attribute("http.response.status_code", record.status)
    span.set_attribute("http.request.body.size", record.received)
    span.set_attribute("http.response.body.size", record.sent)
    span.set_attribute("lifecycle.request_id", record.id)
    span.set_attribute("lifecycle.rows", record.rows)
    if record.route:
        span.set_attribute("http.route", record.route)
    if record.protocol:
        span.set_attribute("lifecycle.protocol", record.protocol)
    if (desired := record.desired) is not None:
        span.set_attribute("lifecycle.model", desired.model)
        span.set_attribute("lifecycle.version", desired.version)
        span.set_attribute("lifecycle.digest", desired.digest)
    if record.reason:
        span.set_attribute("error.type", record.reason)
    if record.status >= 500:
        span.set_status(StatusCode.ERROR)


def _nanoseconds(moment: float, offset: float) -> int:
    """Unix time in nanoseconds."""
    return round((moment + offset) * 1e9)


def tracing_or_none(board: Board, service: str) -> Tracing | None:
    """The tracing observer; None, and a line in the log, when the exporter is not installed."""
    from importlib.util import find_spec

    try:
        found = find_spec("opentelemetry.exporter.otlp.proto.http")
    except ModuleNotFoundError:
        found = None
    if found is None:
        _LOG.warning("no traces are sent; to send them: pip install 'mlflow-lifecycle[otel]'")
        return None
    return Tracing(board, service)
