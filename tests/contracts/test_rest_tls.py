"""A server with a certificate: encrypted, and our own client trusts that very certificate."""

from __future__ import annotations

import http.client
import json
import ssl
from urllib.parse import urlsplit

import numpy as np
import pytest

from lifecycle.domain.deployment import Status
from lifecycle.errors import OptionError, Unavailable
from lifecycle.processes.process import owned_by_me, wait_until
from lifecycle.targets.rest import RestTarget
from lifecycle.targets.rest.client import connect
from lifecycle.testing.target_contract import folder_context
from tests.certificates import Authority

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def pair(authority):
    return authority.issue("flights")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("rest")


@pytest.fixture(scope="module")
def target(folder):
    return RestTarget(folder_context(folder))


@pytest.fixture(scope="module")
def deployed(target, pair, lifecycle_models):
    options = {"tls_cert": str(pair[0]), "tls_key": str(pair[1])}
    with pytest.MonkeyPatch.context() as patch:
        for key, value in owned_by_me().items():
            patch.setenv(key, value)
        yield target.deploy(lifecycle_models[0].spec("flights", options))
        target.undeploy("flights")


def trusting(authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority.file))


def test_a_client_that_trusts_the_authority_is_answered(deployed, authority):
    url = urlsplit(deployed.address)
    assert (deployed.status, url.scheme) == (Status.READY, "https")
    connection = http.client.HTTPSConnection(url.hostname, url.port, timeout=20, context=trusting(authority))
    connection.request("GET", "/metadata")
    assert json.loads(connection.getresponse().read())["name"] == "flights"
    assert connection.sock.version() in ("TLSv1.2", "TLSv1.3")
    connection.close()


def test_our_own_client_is_answered_although_nobody_here_knows_the_authority(target, deployed, lifecycle_models):
    model = lifecycle_models[0]
    np.testing.assert_allclose(target.predict("flights", model.rows), model.expected, rtol=1e-6, atol=1e-7)
    assert target.describe("flights").status is Status.READY


def test_another_certificate_is_not_trusted_whoever_signed_it(deployed, authority):
    another, _ = authority.issue("another")
    with pytest.raises(Unavailable, match="another certificate than its own"):
        connect(deployed.address, str(another))


def test_what_is_not_encrypted_is_not_answered(deployed):
    url = urlsplit(deployed.address)
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=20)
    connection.request("GET", "/livez")
    with pytest.raises((OSError, http.client.HTTPException)):
        connection.getresponse()
    connection.close()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_nothing_older_than_tls_1_2_is_answered(deployed):
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    url = urlsplit(deployed.address)
    with pytest.raises(OSError):  # noqa: PT011  as OpenSSL puts it
        http.client.HTTPSConnection(url.hostname, url.port, timeout=20, context=old).connect()


def test_a_certificate_that_is_renewed_in_its_place_is_shown_without_a_restart(
    deployed, authority, target, pair, folder
):
    pid = target.describe("flights").figures["pid"]
    renewed, key = authority.issue("renewed")
    key.replace(pair[1])
    log = folder / "deployments" / "rest" / "flights" / "server.log"
    wait_until(lambda: "cannot be used" in log.read_text(), 20, "half a pair is noticed")
    connect(deployed.address, str(pair[0])).close()  # the one before is still shown
    renewed.replace(pair[0])

    def shown() -> bool:
        try:
            connect(deployed.address, str(pair[0])).close()
        except Unavailable:
            return False
        return True

    wait_until(shown, 30, "the new certificate is shown")
    assert target.describe("flights").figures["pid"] == pid


def test_a_certificate_that_no_server_could_use_is_told_before_one_starts(authority, tmp_path, lifecycle_models):
    target = RestTarget(folder_context(tmp_path))
    cert, key = authority.issue("open")
    key.chmod(0o644)
    with pytest.raises(OptionError, match="chmod 600"):
        target.deploy(lifecycle_models[0].spec("flights", {"tls_cert": str(cert), "tls_key": str(key)}))
    with pytest.raises(OptionError, match="write the absolute path"):
        target.deploy(lifecycle_models[0].spec("flights", {"tls_cert": "cert.pem", "tls_key": "key.pem"}))
    assert target.list() == []
