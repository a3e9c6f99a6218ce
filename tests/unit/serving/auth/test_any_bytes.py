"""Whatever comes as a key or a token, the door answers, and lets in nobody whom the issuer has not signed for.

``LIFECYCLE_PROOF=full`` tries 5,000 of each.
"""

from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey

from lifecycle.serving.auth.caller import Caller, NotKnown
from lifecycle.serving.auth.claims import caller_of
from lifecycle.serving.auth.jwks import PublicKey
from lifecycle.serving.auth.known_keys import KnownKeys
from lifecycle.serving.auth.tokens import Tokens
from tests.issuer import signed, spelled
from tests.proof import rounds

EXAMPLES = rounds(5_000, 200)
KEY = ECKey.generate_key("P-256")
tries = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
names = st.sampled_from(["iss", "aud", "exp", "nbf", "sub", "scope", "scp", "roles", "iat"])
fields = st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk", "enc"])
headers = st.dictionaries(fields, json_values | st.sampled_from(["ES256", "RS256", "HS256", "none", "k", "JWT"]))


class Keys:
    """One key, and nobody to fetch others from."""

    generation = 1

    def find(self, kid: str) -> PublicKey | None:
        return PublicKey(KEY, frozenset({"ES256"})) if kid == "k" else None


TOKENS = Tokens("https://issuer", "us", Keys())
GOOD = {"iss": "https://issuer", "aud": "us", "exp": time.time() + 3600, "sub": "me"}


@tries
@given(st.binary(max_size=300) | st.text(max_size=100).map(lambda text: text.encode("utf-8", "replace")))
def test_bytes(tmp_path_factory, token):
    for find in (TOKENS.find, KnownKeys(tmp_path_factory.getbasetemp() / "none.json").find):
        with pytest.raises(NotKnown):
            find(token)


@tries
@given(headers, st.dictionaries(names, json_values), st.binary(max_size=80))
def test_headers_and_claims_that_nobody_signed(header, claims, signature):
    with pytest.raises(NotKnown):
        TOKENS.find(spelled(header, claims, signature).encode())


@tries
@given(st.dictionaries(names, json_values, min_size=1))
def test_claims_that_the_issuer_signed(claims):
    """Read from the wire or not, the same are let in."""
    token = signed({"alg": "ES256", "kid": "k"}, {**GOOD, **claims}, KEY)

    def outcome(read) -> Caller | None:
        try:
            return read()
        except NotKnown:
            return None

    caller = outcome(lambda: TOKENS.find(token.encode()))
    expected = outcome(lambda: caller_of({**GOOD, **claims}, "https://issuer", "us", time.time()))
    assert (caller is None) == (expected is None)
    if caller is not None:
        assert caller.until < 2**54
        assert caller.name.isprintable()
