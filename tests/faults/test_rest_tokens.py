"""A server that takes an issuer's tokens: no forged one gets in, and the issuer may change its keys or be away."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

import pytest
from joserfc.jwk import ECKey

from lifecycle.errors import Unavailable
from lifecycle.processes.process import owned_by_me, wait_until
from lifecycle.targets.rest import RestTarget
from lifecycle.testing.target_contract import folder_context
from tests.issuer import AUDIENCE, forged, running_issuer

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def issuer():
    with running_issuer() as issuer:
        yield issuer


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("home") / "deployments"


@pytest.fixture(scope="module")
def deployed(folder, issuer, lifecycle_models):
    target = RestTarget(folder_context(folder))
    options = {"jwt_issuer": issuer.url, "jwt_audience": AUDIENCE}
    with pytest.MonkeyPatch.context() as patch:
        for key, value in owned_by_me().items():
            patch.setenv(key, value)
        yield target.deploy(lifecycle_models[0].spec("flights", options))
        target.undeploy("flights")


@pytest.fixture
def ask(deployed):
    """Status and body for a token, waiting while the issuer's keys are being fetched."""
    url = urlsplit(deployed.address)

    def once(token, path, method):
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=20)
        connection.request(method, path, headers={"Authorization": f"Bearer {token}".encode()} if token else {})
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response.status, body

    def ask(token, path="/metadata", method="GET"):
        answers = []
        wait_until(
            lambda: answers.append(once(token, path, method)) or answers[-1][0] != 503, 20, "keys are there"
        )
        return answers[-1]

    return ask


def test_a_token_opens_what_its_scope_says(issuer, ask):
    assert ask(None)[0] == 401  # an issuer is asked on a loopback address too
    assert ask(issuer.token())[0] == 200
    assert ask(issuer.token(scope="openid"))[0] == 403
    assert ask(issuer.token(), "/v2/repository/index", "POST")[0] == 403
    assert ask(issuer.token(roles=["admin"]), "/v2/repository/index", "POST")[0] == 200


def test_no_forged_token_gets_in_or_into_the_log(issuer, ask, folder):
    tokens = forged(issuer)
    answers = {name: ask(token) for name, token in tokens.items()}
    assert {name: status for name, (status, _) in answers.items() if status not in (401, 429)} == {}
    assert ask(issuer.token())[0] == 200
    log = (folder / "deployments" / "rest" / "flights" / "server.log").read_text()
    for token in tokens.values():
        for segment in (part for part in token.split(".") if len(part) > 20):
            assert segment not in log
            assert not any(segment.encode() in body for _, body in answers.values())


def test_a_new_key_of_the_issuer_is_taken_soon_and_its_absence_hurts_nobody(issuer, ask):
    issuer.add("ec-2", "ES256", ECKey.generate_key("P-256"))
    issuer.publish()
    token = issuer.token("ec-2")
    wait_until(lambda: ask(token)[0] == 200, 30, "the new key is taken")
    issuer.answers = {}
    assert ask(issuer.token("ec-2", n=1))[0] == 200


def test_an_issuer_that_is_not_there_is_told_before_a_server_starts(tmp_path, lifecycle_models):
    target = RestTarget(folder_context(tmp_path))
    options = {"jwt_issuer": "http://127.0.0.1:9", "jwt_audience": AUDIENCE}
    with pytest.raises(Unavailable, match="the issuer's keys cannot be fetched"):
        target.deploy(lifecycle_models[0].spec("flights", options))
    assert target.list() == []
