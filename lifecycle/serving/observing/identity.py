"""The name of one request, by which a client's log, ours and a trace are put side by side."""

from __future__ import annotations

import os
import re
from itertools import count

from lifecycle.serving.message import Request, Response
from lifecycle.serving.settings import Settings

HEADER = b"x-request-id"
# Longer, or with other characters, it may be an attempt to forge lines of a log or to fill a disk.
_SANE = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}").fullmatch


def tracing_wanted() -> bool:
    """Whether the environment names a place for traces, in OpenTelemetry's own words.

    https://opentelemetry.io/docs/specs/otel/protocol/exporter/
    """
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    names = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    return any(os.environ.get(name) for name in names)


_TRACING = tracing_wanted()
# As unlikely to be given twice as a UUID for each, at a tenth of the time. A worker is never forked.
_PREFIX = os.urandom(10).hex()
_numbers = count(1)


def identify(request: Request) -> str:
    """The client's own ``x-request-id`` where it is a plain word; else a new one of ours."""
    if not request.id:
        given = request.header(HEADER)
        request.id = given.decode() if given is not None and _SANE(given) else f"{_PREFIX}-{next(_numbers):x}"
    return request.id


def echo_id(settings: Settings, request: Request, response: Response) -> None:
    """Tell the client the id, where somebody will write it down."""
    if _TRACING or settings.access_log != "none":
        response.headers.append((HEADER, identify(request).encode()))
