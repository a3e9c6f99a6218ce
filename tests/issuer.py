"""An OpenID Connect issuer on this machine: a discovery document, a JWKS, and tokens, good and forged."""

from __future__ import annotations

import base64
import hmac
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jws
from joserfc.jwk import RSAKey

AUDIENCE = "flights-api"


class Issuer:
    """What it publishes and signs. ``answers`` maps paths to documents, raw bytes, or a text to redirect to."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.keys: dict[str, tuple[str, Any]] = {}
        self.answers: dict[str, Any] = {}
        self.asked: list[str] = []
        self.add("rsa-1", "RS256", RSAKey.generate_key(2048))
        self.publish()

    def add(self, kid: str, algorithm: str, key: Any) -> None:
        self.keys[kid] = (algorithm, key)

    def publish(self, *kids: str) -> None:
        """The public halves of these keys, or of all."""
        public = [{**key.as_dict(private=False), "kid": kid} for kid, (_, key) in self.keys.items()]
        self.answers = {
            "/.well-known/openid-configuration": {"issuer": self.url, "jwks_uri": f"{self.url}/jwks"},
            "/jwks": {"keys": [key for key in public if not kids or key["kid"] in kids]},
        }

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = time.time()
        claims = {"iss": self.url, "aud": AUDIENCE, "sub": "me@example.org", "exp": now + 600, "scope": "predict"}
        return {name: value for name, value in (claims | changes).items() if value is not None}

    def token(self, kid: str = "rsa-1", header: dict[str, Any] | None = None, **claims: Any) -> str:
        """Signed with that key. A claim of None is left out."""
        algorithm, key = self.keys[kid]
        return signed({"alg": algorithm, "kid": kid, **(header or {})}, self.claims(**claims), key)


def signed(header: dict[str, Any], claims: Any, key: Any) -> str:
    registry = jws.JWSRegistry(algorithms=[header["alg"]], strict_check_header=False)
    return jws.serialize_compact(header, json.dumps(claims).encode(), key, registry=registry)


def spelled(header: Any, claims: Any, signature: bytes = b"") -> str:
    """A token that nobody signed."""
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def mac(header: Any, claims: Any, secret: bytes) -> str:
    """A token whose signature is an HMAC. By hand: a good library refuses to take a public key for a secret."""
    text = spelled(header, claims).rstrip(".")
    signature = base64.urlsafe_b64encode(hmac.digest(secret, text.encode(), "sha256")).rstrip(b"=")
    return f"{text}.{signature.decode()}"


def forged(issuer: Issuer) -> dict[str, str]:
    """The ways to forge or misuse a token, by name."""
    good = issuer.token()
    header, payload, signature = good.split(".")
    algorithm, key = issuer.keys["rsa-1"]
    public_pem = key.as_pem(private=False)
    stranger = RSAKey.generate_key(2048)
    now = time.time()
    return {
        "alg none": spelled({"alg": "none", "kid": "rsa-1"}, issuer.claims()),
        "alg None": spelled({"alg": "None", "kid": "rsa-1"}, issuer.claims()),
        "alg a list": spelled({"alg": ["RS256"], "kid": "rsa-1"}, issuer.claims(), b"x" * 256),
        "no alg": spelled({"kid": "rsa-1"}, issuer.claims(), b"x" * 256),
        "HS256 with the public key": mac({"alg": "HS256", "kid": "rsa-1"}, issuer.claims(), public_pem),
        "RS512": signed({"alg": "RS512", "kid": "rsa-1"}, issuer.claims(), key),
        "ES256 by name": spelled({"alg": "ES256", "kid": "rsa-1"}, issuer.claims(), b"x" * 64),
        "a stranger's key": signed({"alg": algorithm, "kid": "rsa-1"}, issuer.claims(), stranger),
        "a key that it brings": signed(
            {"alg": algorithm, "kid": "rsa-1", "jwk": stranger.as_dict(private=False)}, issuer.claims(), stranger
        ),
        "another kid": signed({"alg": algorithm, "kid": "rsa-9"}, issuer.claims(), key),
        "no kid": signed({"alg": algorithm}, issuer.claims(), key),
        "kid a number": spelled({"alg": algorithm, "kid": 1}, issuer.claims(), b"x" * 256),
        "critical extensions": spelled({"alg": algorithm, "kid": "rsa-1", "crit": ["b64"]}, issuer.claims(), b"x"),
        "another kind": issuer.token(header={"typ": "logout+jwt"}),
        "kind a list": spelled({"alg": algorithm, "kid": "rsa-1", "typ": []}, issuer.claims(), b"x" * 256),
        "header twice": ".".join(
            [base64.urlsafe_b64encode(b'{"alg":"RS256","alg":"RS256","kid":"rsa-1"}').decode(), payload, signature]
        ),
        "tampered header": ".".join([_tampered(header), payload, signature]),
        "tampered payload": ".".join([header, _tampered(payload), signature]),
        "tampered signature": ".".join([header, payload, _tampered(signature)]),
        "another spelling of the signature": ".".join([header, payload, signature + "="]),
        "no signature": f"{header}.{payload}.",
        "two segments": f"{header}.{payload}",
        "four segments": f"{good}.{signature}",
        "no JSON": "aaaa.bbbb.cccc",
        "not base64": "ü.ü.ü",
        "no object": spelled([], issuer.claims()),
        "wrong audience": issuer.token(aud="another-api"),
        "no audience": issuer.token(aud=None),
        "part of the audience": issuer.token(aud=f"{AUDIENCE} other"),
        "wrong issuer": issuer.token(iss="https://evil.example"),
        "no issuer": issuer.token(iss=None),
        "issuer with a slash": issuer.token(iss=f"{issuer.url}/"),
        "expired": issuer.token(exp=now - 61),
        "no exp": issuer.token(exp=None),
        "exp a text": issuer.token(exp=str(now + 600)),
        "exp NaN": issuer.token(exp=float("nan")),
        "exp infinite": issuer.token(exp=float("inf")),
        "exp of 400 digits": issuer.token(exp=10**400),
        "exp true": issuer.token(exp=True),
        "future nbf": issuer.token(nbf=now + 120),
        "nbf NaN": issuer.token(nbf=float("nan")),
        "nobody": issuer.token(sub=None),
        "two lines of a log": issuer.token(sub="me\nroot logged in"),
        "10,000 characters": issuer.token(padding="x" * 10_000),
    }


def _tampered(segment: str) -> str:
    """With one bit of its middle turned."""
    raw = bytearray(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    raw[len(raw) // 2] ^= 1
    return base64.urlsafe_b64encode(bytes(raw)).rstrip(b"=").decode()


@contextmanager
def running_issuer() -> Iterator[Issuer]:
    """On a free port of 127.0.0.1."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked.append(self.path)
            answer = issuer.answers.get(self.path)
            if isinstance(answer, str):  # a redirect
                self.send_response(302)
                self.send_header("Location", answer)
                self.end_headers()
                return
            body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(404 if answer is None else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    issuer = Issuer(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
