"""TLS settings from two PEM files."""

from __future__ import annotations

import os
import ssl
from datetime import datetime
from pathlib import Path
from typing import Any

from lifecycle.errors import OptionError
from lifecycle.serving.settings import Settings

_OTHERS = 0o077
_OTHERS_BUT_GROUP = 0o037  # as mounted secrets are: owned by root and readable by the server's group


def ssl_options(settings: Settings) -> dict[str, Any]:
    """TLS arguments for ``uvicorn.Config``; none for plain HTTP. TLS 1.2 and newer (RFC 9325)."""
    if not settings.tls_cert:
        return {}
    return {
        "ssl_certfile": settings.tls_cert,
        "ssl_keyfile": settings.tls_key,
        "ssl_ciphers": "ECDHE+AESGCM:ECDHE+CHACHA20",  # of TLS 1.2: forward secret and authenticated
        "ssl_context_factory": _newer_than_1_1,
    }


def _newer_than_1_1(_config: Any, make: Any) -> ssl.SSLContext:
    context: ssl.SSLContext = make()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def scheme(settings: Settings) -> str:
    """Scheme of the server's address: ``https`` or ``http``."""
    return "https" if settings.tls_cert else "http"


def check_certificate(settings: Settings, now: datetime) -> None:
    """Check that a server can use the files.

    Raises:
        OptionError: a file is missing, unreadable or readable by others, they do not match, or it has expired.
    """
    cert, key = settings.tls_cert, settings.tls_key
    if not cert and not key:
        return
    if not cert or not key:
        raise OptionError(
            "TLS needs both: -C tls_cert=… (the certificate chain) and -C tls_key=… (its private key)"
        )
    certificate = _readable(cert, "tls_cert")
    _check_mode(key)
    _check_dates(certificate, cert, now)
    try:
        # an empty passphrase, or OpenSSL would ask for one on the terminal
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password="")
    except ssl.SSLError as exc:
        if exc.reason == "KEY_VALUES_MISMATCH":
            raise OptionError(f"tls_key: {key} is not the key of the certificate {cert}") from None
        raise OptionError(f"tls_key: {key} is no private key in plain PEM, without a passphrase") from None


def leaf_of(cert: str) -> bytes:
    """The server's own certificate in DER.

    Raises:
        OptionError: the file holds no certificate.
    """
    return _leaf(_readable(cert, "tls_cert"), cert)


def _leaf(text: str, cert: str) -> bytes:
    start, end = text.find("-----BEGIN CERTIFICATE-----"), text.find("-----END CERTIFICATE-----")
    try:
        return ssl.PEM_cert_to_DER_cert(text[start : end + len("-----END CERTIFICATE-----")])
    except ValueError:
        raise OptionError(f"tls_cert: {cert} holds no certificate in PEM") from None


def _check_dates(text: str, cert: str, now: datetime) -> None:
    from cryptography import x509

    try:
        certificate = x509.load_der_x509_certificate(_leaf(text, cert))
    except ValueError:
        raise OptionError(f"tls_cert: {cert} holds no certificate that can be read") from None
    if now >= certificate.not_valid_after_utc:
        raise OptionError(f"tls_cert: {cert} has expired on {certificate.not_valid_after_utc:%Y-%m-%d}")
    if now < certificate.not_valid_before_utc:
        raise OptionError(f"tls_cert: {cert} is not valid before {certificate.not_valid_before_utc:%Y-%m-%d}")


def _check_mode(key: str) -> None:
    _readable(key, "tls_key")
    status = Path(key).stat()
    forbidden = _OTHERS if status.st_uid == os.geteuid() else _OTHERS_BUT_GROUP
    if status.st_mode & forbidden:
        raise OptionError(f"tls_key: others may read {key}; run: chmod 600 {key}")


def _readable(path: str, option: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii", errors="replace")
    except OSError as exc:
        raise OptionError(f"{option}: {path} cannot be read: {exc.strerror}") from None
