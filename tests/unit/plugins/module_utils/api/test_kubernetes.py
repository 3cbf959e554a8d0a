# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.api import kubernetes as kube_api

MANIFEST = "    - --advertise-address=10.0.0.7\n    - --secure-port=6444\n"


def answering(answers):
    """Answers of a server: {"METHOD path": (status, object)}; a list is gone through, the last one stays."""

    def answer(request):
        found = answers.get("%s %s" % (request.command, request.path), (404, {"message": "not there"}))
        if isinstance(found, list):
            found = found.pop(0) if len(found) > 1 else found[0]
        return found[0], {}, json.dumps(found[1]).encode()

    return answer


@pytest.fixture
def api(authority, serve):
    def make(answers, **options):
        server = serve(authority.serve(answering(answers)))
        return kube_api.Api([server.address], authority.kubeconfig(), **options), server

    return make


def test_it_asks_with_its_certificate(api):
    client, _server = api({"GET /version": (200, {"gitVersion": "v1.36.3"})})
    assert client.get("/version") == {"gitVersion": "v1.36.3"}


def test_what_is_not_there_is_none_where_that_is_fine(api):
    client, _server = api({})
    assert client.get("/api/v1/x", missing_ok=True) is None
    assert client.delete("/api/v1/x") is None
    with pytest.raises(kube_api.ApiError, match="GET /api/v1/x: HTTP 404, not there"):
        client.get("/api/v1/x")


def test_an_object_that_was_made_already_is_fine(api):
    client, _server = api({"POST /api/v1/namespaces": (409, {"message": "exists"})})
    assert client.create("/api/v1/namespaces", {"kind": "Namespace"}) == {"kind": "Namespace"}


def test_a_refusal_is_told_in_the_apis_words(api):
    client, _server = api({"POST /x": (403, {"message": "the webhook says no"})})
    with pytest.raises(kube_api.ApiError, match="POST /x: HTTP 403, the webhook says no"):
        client.create("/x", {})


def test_a_deletion_goes_on_in_the_background(api):
    client, server = api({})
    client.delete("/api/v1/namespaces/x")
    assert server.requests[-1][1] == "/api/v1/namespaces/x?propagationPolicy=Background&gracePeriodSeconds=0"


def test_a_busy_api_is_asked_again(api):
    client, server = api({"GET /x": [(503, {"message": "busy"}), (429, {"message": "later"}), (200, {"a": 1})]})
    assert client.get("/x") == {"a": 1}
    assert len(server.requests) == 3


def test_a_busy_api_is_not_asked_for_ever(api):
    client, _server = api({"GET /x": (503, {"message": "busy"})}, patience=0)
    with pytest.raises(kube_api.ApiError, match="HTTP 503, busy"):
        client.get("/x")


def test_the_next_server_is_asked_where_one_is_silent(authority, serve):
    server = serve(authority.serve(answering({"GET /x": (200, {"a": 1})})))
    silent = ("127.0.0.1", 1)
    client = kube_api.Api([silent, server.address], authority.kubeconfig())
    assert client.get("/x") == {"a": 1}
    assert [(one.address, one.port) for one in client.sessions] == [
        server.address,
        silent,
    ]  # it is the first one from now on


def test_a_connection_that_was_closed_is_opened_again(authority, serve):
    def answer(_request):
        return 200, {"Connection": "close"}, b"{}"

    client = kube_api.Api([serve(authority.serve(answer)).address], authority.kubeconfig())
    assert [client.get("/x") for _each in range(3)] == [{}, {}, {}]


def test_no_server_is_told_with_the_address_and_the_reason(authority):
    client = kube_api.Api([("127.0.0.1", 1)], authority.kubeconfig(), patience=0)
    with pytest.raises(kube_api.ApiError, match="127.0.0.1:1: .*refused"):
        client.get("/x")


def test_a_server_of_another_authority_is_not_believed(authority, other_authority, serve):
    server = serve(other_authority.serve(answering({}), client=False))
    client = kube_api.Api([server.address], authority.kubeconfig(), patience=0)
    with pytest.raises(kube_api.ApiError, match="(?i)certificate"):
        client.get("/x")


def test_no_kubeconfig_is_no_control_plane(tmp_path):
    with pytest.raises(kube_api.ApiError, match="not a control plane"):
        kube_api.Api([], str(tmp_path / "admin.conf"))


def test_a_damaged_kubeconfig_is_told(tmp_path):
    path = tmp_path / "admin.conf"
    path.write_text("kind: Config\n")
    with pytest.raises(kube_api.ApiError, match="certificate-authority-data"):
        kube_api.Api([], str(path))


def test_the_own_server_is_read_from_its_manifest(tmp_path):
    path = tmp_path / "kube-apiserver.yaml"
    assert kube_api.local_server(str(path)) is None
    path.write_text(MANIFEST)
    assert kube_api.local_server(str(path)) == ("10.0.0.7", 6444)
    path.write_text("kind: Pod\n")
    assert kube_api.local_server(str(path)) == ("127.0.0.1", 6443)
