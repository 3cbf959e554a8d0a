# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's registry with tokens: who gets which token, and whether its signature is right."""

from __future__ import annotations

import base64
import http.server
import json
import threading
import urllib.error
import urllib.parse
import urllib.request

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from lablib import catalog, private, services, token_server

SCOPE = "repository:coredns/coredns:pull"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The directory of the login and the certificates, with both in it."""
    monkeypatch.setattr(catalog, "cache", tmp_path.joinpath)
    private.make_certificates("10.131.0.2")
    return tmp_path / "login"


@pytest.fixture
def server(place):
    """The token server, without TLS."""
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), token_server.handler(place))
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield "http://127.0.0.1:%d/token" % made.server_port
    made.shutdown()


def login(place):
    return (place / "login").read_text().strip()


def claims_of(place, token):
    """The claims of a token, once its signature is checked with the certificate that it brings."""
    header, claims, signature = (base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in token.split("."))
    certificate = x509.load_der_x509_certificate(base64.b64decode(json.loads(header)["x5c"][0]))
    assert certificate == x509.load_pem_x509_certificate((place / "token.crt").read_bytes())
    data = ".".join(token.split(".")[:2]).encode()
    certificate.public_key().verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
    return json.loads(claims)


def get(server, authorization=None):
    headers = {"Authorization": "Basic " + base64.b64encode(authorization.encode()).decode()} if authorization else {}
    query = urllib.parse.urlencode({"service": token_server.SERVICE, "scope": SCOPE})
    with urllib.request.urlopen(urllib.request.Request("%s?%s" % (server, query), headers=headers)) as answer:
        return json.load(answer)


def test_a_login_gets_a_token_to_pull(server, place):
    claims = claims_of(place, get(server, login(place))["token"])
    assert claims["access"] == [{"type": "repository", "name": "coredns/coredns", "actions": ["pull"]}]
    assert claims["aud"] == claims["iss"] == token_server.SERVICE and claims["exp"] > claims["iat"] > claims["nbf"]


def test_the_form_of_oauth_gets_one_too(server, place):
    user, _colon, password = login(place).partition(":")
    form = {"grant_type": "password", "username": user, "password": password, "scope": SCOPE, "service": "x"}
    with urllib.request.urlopen(server, urllib.parse.urlencode(form).encode()) as answer:
        assert claims_of(place, json.load(answer)["access_token"])["access"]


def test_nobody_gets_a_token_that_allows_nothing(server, place):
    assert claims_of(place, get(server)["token"])["access"] == []


def test_a_wrong_login_gets_none(server):
    with pytest.raises(urllib.error.HTTPError, match="401"):
        get(server, "puller:wrong")


def test_the_registrys_configuration_names_the_token_server(place):
    text = token_server.REGISTRY.format(port=5001, realm="10.131.0.2:5002", service="s", place="/login")
    made = yaml.safe_load(text)
    assert made["auth"]["token"]["realm"] == "https://10.131.0.2:5002/token"
    assert made["http"]["tls"] == {"certificate": "/login/server.crt", "key": "/login/server.key"}
    assert made["storage"]["maintenance"]["readonly"] == {"enabled": True}


def test_the_inputs_have_the_login_and_the_authority(place):
    made = private.inputs("10.131.0.2")
    (config,) = made["kube_registries"]["configs"].values()
    assert "%s:%s" % (config["username"], config["password"]) == login(place)
    assert config["ca"].startswith("-----BEGIN CERTIFICATE-----")
    assert made["kube_registries"]["mirrors"]["docker.io"] == {"endpoints": ["https://10.131.0.2:5001"]}


def test_the_container_reads_only(place, monkeypatch):
    monkeypatch.setattr(services, "image_name", lambda: "image")
    words = private.run_arguments("10.131.0.2")
    assert all(word.endswith(":ro") for flag, word in zip(words, words[1:]) if flag == "--volume")
    assert words[words.index("--network") + 1] == "container:" + services.CONTAINER
