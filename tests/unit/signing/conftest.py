"""A machine with a key that is trusted, and how somebody would build a signed text by hand."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lifecycle.signing.keys import SigningKey
from lifecycle.signing.trust import Permission, TrustStore

NOW = datetime(2026, 5, 3, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def now() -> datetime:
    return NOW


@pytest.fixture(scope="session")
def key() -> SigningKey:
    """One whose thumbprint could be a name, too."""
    return next(made for made in iter(SigningKey.generate, None) if made.kid[0].isalnum())


@pytest.fixture(scope="session")
def breaker() -> SigningKey:
    """A key that may override and nothing else."""
    return SigningKey.generate()


@pytest.fixture(scope="session")
def trust(tmp_path_factory: pytest.TempPathFactory, key: SigningKey, breaker: SigningKey) -> TrustStore:
    """What nobody changes."""
    store = TrustStore(tmp_path_factory.mktemp("trust") / "trusted.json")
    store.trust(key, "ci", [Permission.EVIDENCE], NOW)
    store.trust(breaker, "breaker", [Permission.OVERRIDE], NOW)
    return store


@pytest.fixture
def store(tmp_path: Path) -> TrustStore:
    """One to change."""
    return TrustStore(tmp_path / "keys" / "trusted.json")


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.fixture(scope="session")
def by_hand(key: SigningKey) -> Callable[..., str]:
    """A text that the trusted key has really signed, under whatever header: only the header can give it away."""

    def build(header: Any, payload: bytes = b"{}", sign: Callable[[bytes], bytes] | None = None) -> str:
        raw = header if isinstance(header, bytes) else json.dumps(header).encode()
        signed = f"{base64url(raw)}.{base64url(payload)}"
        signature = (sign or key.jwk.private_key.sign)(signed.encode())
        return f"{signed}.{base64url(signature)}"

    return build
