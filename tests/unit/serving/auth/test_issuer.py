"""Where an issuer's keys come from: encrypted or on this machine, bounded, and never in a request."""

from __future__ import annotations

import json
import threading
from time import monotonic

import pytest
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from lifecycle.errors import UsageError
from lifecycle.processes.process import wait_until
from lifecycle.serving.auth.fetch import NotFetched, check_url, fetch_json
from lifecycle.serving.auth.issuer import IssuerKeys
from lifecycle.serving.auth.jwks import check_place, read_jwks
from lifecycle.serving.refusal import Refusal
from tests.issuer import running_issuer


@pytest.fixture(scope="module")
def running():
    with running_issuer() as issuer:
        yield issuer


@pytest.fixture
def issuer(running):
    running.publish()
    running.asked.clear()
    return running


def test_keys_come_from_the_discovery_document_a_url_or_a_file(issuer, tmp_path):
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps(issuer.answers["/jwks"]))
    for source in ("", f"{issuer.url}/jwks", str(file)):
        assert set(read_jwks(issuer.url, source)) == {"rsa-1"}


def test_a_file_that_others_may_write_to_is_not_believed(issuer, tmp_path):
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps(issuer.answers["/jwks"]))
    file.chmod(0o666)
    with pytest.raises(NotFetched, match="others may write"):
        read_jwks(issuer.url, str(file))
    with pytest.raises(NotFetched, match="FileNotFoundError"):
        read_jwks(issuer.url, str(tmp_path / "none.json"))


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"issuer": "https://evil.example", "jwks_uri": "http://127.0.0.1/jwks"}, "spelled as it spells it"),
        ([], "spelled as it spells it"),
        (b"<html>", "does not answer JSON"),
        (b'{"issuer": "a", "issuer": "b"}', "does not answer JSON"),
        (b"[" * 100_000, "does not answer JSON"),
        (b" " * 600_000, "more than 512 KiB"),
        (None, "answered 404"),
        ("http://127.0.0.1:1/elsewhere", "answered 302"),
        ("file:///etc/passwd", "answered 302"),
    ],
)
def test_what_is_no_discovery_document_is_told(issuer, document, words):
    issuer.answers["/.well-known/openid-configuration"] = document
    with pytest.raises(NotFetched, match=words):
        read_jwks(issuer.url, "")
    assert len(issuer.asked) == 1


@pytest.mark.parametrize("place", ["http://issuer.example/jwks", "file:///etc/passwd", "ftp://x/y", None, 7])
def test_a_document_cannot_lead_to_a_place_that_may_not_be_asked(issuer, place):
    issuer.answers["/.well-known/openid-configuration"] = {"issuer": issuer.url, "jwks_uri": place}
    with pytest.raises(NotFetched, match="jwks_uri"):
        read_jwks(issuer.url, "")


@pytest.mark.parametrize(
    "url",
    [
        "http://issuer.example",
        "http://127.0.0.1.example",
        "http://10.0.0.1",
        "file:///etc/passwd",
        "issuer.example",
        "https://me:secret@issuer.example",
        "https://",
        "",
    ],
)
def test_only_https_or_this_machine_may_be_asked(url):
    with pytest.raises(UsageError):
        check_url(url)
    with pytest.raises(UsageError):
        check_place(url, "")


@pytest.mark.parametrize(
    "url", ["https://issuer.example/x", "http://localhost:8080", "http://127.0.0.2", "http://[::1]:1"]
)
def test_https_and_this_machine_may(url):
    check_url(url)


def test_nobody_there_is_told_in_one_line():
    with pytest.raises(NotFetched, match="does not answer"):
        fetch_json("http://127.0.0.1:9/jwks")


@pytest.mark.filterwarnings("ignore:Key size:joserfc.errors.SecurityWarning")  # which is the point
def test_keys_that_are_no_use_or_too_weak_are_left_out(issuer):
    good = ECKey.generate_key("P-256")
    usable = {**good.as_dict(private=False), "kid": "good", "alg": "ES256"}
    issuer.answers["/jwks"] = {
        "keys": [
            OctKey.generate_key(256).as_dict() | {"kid": "a secret"},
            RSAKey.generate_key(1024).as_dict(private=False) | {"kid": "short"},
            RSAKey.generate_key(2048).as_dict(private=False) | {"kid": "other", "alg": "PS256"},
            ECKey.generate_key("P-384").as_dict(private=False) | {"kid": "other curve"},
            OKPKey.generate_key("X25519").as_dict(private=False) | {"kid": "no signatures"},
            good.as_dict(private=True) | {"kid": "private"},
            {**usable, "kid": "to encrypt", "use": "enc"},
            {**usable, "kid": 7},
            {**usable, "kid": "off the curve", "x": usable["y"]},
            "no key",
            usable,
        ]
    }
    assert set(read_jwks(issuer.url, "")) == {"good"}


@pytest.mark.parametrize("content", [{}, {"keys": {}}, {"keys": []}, {"keys": [{}] * 101}, []])
def test_a_jwks_without_a_usable_key_is_told(issuer, content):
    issuer.answers["/jwks"] = content
    with pytest.raises(NotFetched, match="JWKS"):
        read_jwks(issuer.url, "")


class Source:
    """Keys that come when they may."""

    def __init__(self, issuer) -> None:
        self.keys = read_jwks(issuer.url, "")
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.asked = 0

    def __call__(self):
        self.asked += 1
        self.may_answer.wait(10)
        if self.keys is None:
            raise NotFetched("away")
        return self.keys


def test_nobody_waits_for_an_issuer_that_does_not_answer(issuer):
    source = Source(issuer)
    source.may_answer.clear()
    keys = IssuerKeys(source)
    began = monotonic()
    for _ in range(100):
        with pytest.raises(Refusal) as refused:
            keys.find("rsa-1")
        assert refused.value.status == 503
    assert monotonic() - began < 5
    source.may_answer.set()
    wait_until(lambda: keys.generation == 1, 10, "the keys are there")
    assert keys.find("rsa-1") is not None
    assert source.asked == 1
    keys.close()


def test_a_thousand_unknown_names_cause_one_look(issuer):
    source = Source(issuer)
    keys = IssuerKeys(source, again_s=600)
    wait_until(lambda: not keys._wanted.is_set(), 10, "the keys are there")
    assert [keys.find(f"made-up-{number}") for number in range(1000)] == [None] * 1000
    assert source.asked == 1
    keys.close()


def test_keys_stay_as_they_were_while_the_issuer_is_away(issuer, caplog):
    source = Source(issuer)
    keys = IssuerKeys(source, refresh_s=0.01)
    wait_until(lambda: keys.generation == 1, 10, "the keys are there")
    source.keys = None
    wait_until(lambda: "stay as they were: away" in caplog.text, 10, "that is logged")
    assert keys.find("rsa-1") is not None
    keys.close()
