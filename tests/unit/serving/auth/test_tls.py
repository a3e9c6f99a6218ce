"""Certificates that no server could use are refused before one starts."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta

import pytest

from lifecycle.errors import OptionError
from lifecycle.serving.auth.tls import check_certificate, scheme, ssl_options
from lifecycle.serving.settings import Settings
from tests.certificates import Authority

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("certificates"))


def check(cert, key) -> None:
    check_certificate(Settings(tls_cert=str(cert), tls_key=str(key)), NOW)


def test_a_pair_that_belongs_together_will_do(authority):
    check(*authority.issue("good"))
    check("", "")


def test_each_thing_that_is_wrong_is_told_by_its_option(authority, tmp_path):
    cert, key = authority.issue("first")
    other = authority.issue("second")[1]
    words = tmp_path / "words.pem"
    words.touch(mode=0o600)
    words.write_text("no PEM")
    cases = [
        (cert, "", "TLS needs both"),
        ("", key, "TLS needs both"),
        (tmp_path / "none.pem", key, r"tls_cert: .*none\.pem cannot be read"),
        (cert, tmp_path / "none.pem", r"tls_key: .*none\.pem cannot be read"),
        (tmp_path, key, "tls_cert: .* cannot be read"),
        (words, key, "tls_cert: .* holds no certificate"),
        (key, key, "tls_cert: .* holds no certificate"),
        (cert, words, "tls_key: .* is no private key in plain PEM"),
        (cert, other, "tls_key: .* is not the key of the certificate"),
        (*authority.issue("late", begins=NOW - timedelta(days=8)), "tls_cert: .* has expired on"),
        (*authority.issue("early", begins=NOW + timedelta(days=1)), "tls_cert: .* is not valid before"),
        (*authority.issue("locked", password=b"secret"), "without a passphrase"),
    ]
    for one, two, told in cases:
        with pytest.raises(OptionError, match=told):
            check(one, two)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622, 0o666])
def test_a_key_that_others_may_read_is_refused_with_the_command_that_mends_it(authority, mode):
    cert, key = authority.issue(f"open-{mode}")
    key.chmod(mode)
    with pytest.raises(OptionError, match=f"chmod 600 {key}"):
        check(cert, key)


def test_nothing_older_than_tls_1_2_is_spoken(authority):
    cert, key = authority.issue("versions")
    settings = Settings(tls_cert=str(cert), tls_key=str(key))
    context = ssl_options(settings)["ssl_context_factory"](None, lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert (scheme(settings), scheme(Settings()), ssl_options(Settings())) == ("https", "http", {})
