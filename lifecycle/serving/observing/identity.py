"""Request ids, which connect a client's log, the server's log and traces."""

from __future__ import annotations

import os
import re
from itertools import count

from lifecycle.serving.message import Request, Response
from lifecycle.serving.settings import Settings

HEADER = b"x-request-id"
# a longer value, or one with other characters, may be an attempt to forge log lines or fill a disk
_SANE = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}").fullmatch


def tracing_wanted() -> bool:
    """Whether the environment configures trace export, by OpenTelemetry's variables.

    https://opentelemetry.io/docs/specs/otel/protocol/exporter/
    """
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    names = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    return any(os.environ.get(name) for name in names)


_TRACING = tracing_wanted()
# as unique as one UUID per request, at a tenth of the time; a worker is never forked
_PREFIX = os.urandom(10).hex()
_numbers = count(1)


def identify(request: Request) -> str:
    """The client's ``x-request-id`` if it is a plain word, else a new id."""
    if not request.id:
        given = request.header(HEADER)
        request.id = given.decode() if given is not None and _SANE(given) else f"{_PREFIX}-{next(_numbers):x}"
    return request.id


def echo_id(settings: Settings, request: Request, response: Response) -> None:
    """Send the id back, if it is logged or traced."""
    if _TRACING or settings.access_log != "none":
        response.headers.append((HEADER, identify(request).encode()))
