"""Spans as a collector gets them: a request and its stages, in the client's own trace where it has one."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Collector(BaseHTTPRequestHandler):
    """Takes what an exporter posts."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.taken.append((self.path, ExportTraceServiceRequest.FromString(body)))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def collector(monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    server.taken = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def spans(site, collector):
    site.close()
    assert {path for path, _ in collector.taken} <= {"/v1/traces"}
    return [
        (span, {a.key: a.value.string_value for a in group.resource.attributes})
        for _, request in collector.taken
        for group in request.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]


def told(span):
    return {a.key: a.value.string_value or a.value.int_value for a in span.attributes}


def test_a_request_is_a_span_with_a_child_for_each_stage(start, collector):
    site = start()
    site.score("a", "bc", headers=[(b"traceparent", f"00-{TRACE}-{PARENT}-01".encode())])
    found = spans(site, collector)
    ((root, resource),) = [(span, r) for span, r in found if span.parent_span_id.hex() == PARENT]
    children = [span for span, _ in found if span.parent_span_id == root.span_id]
    assert root.name == "POST /invocations"
    assert resource["service.name"] == "names"
    assert {span.trace_id.hex() for span, _ in found} == {TRACE}
    assert [span.name for span in children] == ["read", "decode", "score", "encode"]
    expected = {
        "http.request.method": "POST",
        "http.route": "/invocations",
        "http.response.status_code": 200,
        "lifecycle.model": "name-lengths",
        "lifecycle.version": 1,
        "lifecycle.digest": "ab" * 32,
        "lifecycle.rows": 2,
    }
    assert expected.items() <= told(root).items()
    for span, later in pairwise(children):
        assert root.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
        assert abs(later.start_time_unix_nano - span.end_time_unix_nano) < 1000
        assert later.end_time_unix_nano <= root.end_time_unix_nano


def test_a_trace_that_its_client_does_not_sample_is_not_sent(start, collector):
    site = start()
    site.score("a", headers=[(b"traceparent", f"00-{TRACE}-{PARENT}-00".encode())])
    assert spans(site, collector) == []


def test_without_a_trace_of_the_clients_it_begins_here_and_holds_no_values(start, collector):
    site = start()
    site.score("hunter2")
    site.score("break")
    found = spans(site, collector)
    roots = [span for span, _ in found if not span.parent_span_id]
    assert [told(span)["http.response.status_code"] for span in roots] == [200, 500]
    assert roots[1].status.code == 2  # STATUS_CODE_ERROR
    assert "hunter2" not in str(found)


def test_more_than_the_thread_can_send_is_dropped_and_counted(start, collector, monkeypatch):
    monkeypatch.setattr("lifecycle.serving.observing.tracing._MOST_WAITING", 0)
    site = start()
    assert site.score("a")[0] == 200
    assert site.figures()["lifecycle_trace_dropped_requests_total", "busy"] == 1


def test_a_collector_that_is_away_costs_traces_only(start, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:9/v1/traces")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    site = start()
    assert site.score("a")[0] == 200
    site.close()
