"""GET /docs: the OpenAPI document as a page, with a form to try each path. One file, no other hosts."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from importlib.resources import files

from lifecycle.serving.message import Request, Response


async def docs_page(request: Request) -> Response:
    """This API as a page, to read and to try in a browser."""
    del request
    body, policy = _page()
    headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-security-policy", policy),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
    ]
    return Response(200, body, headers)


@cache
def _page() -> tuple[bytes, bytes]:
    """The page, and the policy that allows only its own script and style, and requests to this server only."""
    body = (files(__package__) / "docs.html").read_bytes()
    hashes = {tag: _hash(body, tag) for tag in (b"script", b"style")}
    policy = (
        f"default-src 'none'; script-src '{hashes[b'script']}'; style-src '{hashes[b'style']}';"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return body, policy.encode()


def _hash(body: bytes, tag: bytes) -> str:
    found = re.search(rb"<%b>(.*?)</%b>" % (tag, tag), body, re.DOTALL)
    inside = found.group(1) if found else b""
    return f"sha256-{base64.b64encode(hashlib.sha256(inside).digest()).decode()}"
