# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A control plane names its cluster by its own API server and its own etcd, and by no other."""

from __future__ import annotations

import json
import time

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.node import paths
from ansible_collections.kubewright.cluster.plugins.module_utils.verify import identity

MEMBERS = [{"ID": "1", "name": "cp-1", "peerURLs": ["https://10.0.0.11:2380"]}]


class Server:
    """A K3s server: its directory, and the answers of its API and of its etcd. None: it does not answer."""

    def __init__(self, place, authority, serve, monkeypatch):
        self.place, self.authority, self.serve = place, authority, serve
        self.api, self.etcd = (
            {"metadata": {"uid": "a"}},
            {"header": {"cluster_id": "7", "member_id": "1"}, "members": MEMBERS},
        )
        self.asked = []
        for name, path in (("K3S_ADMIN", "k3s.yaml"), ("K3S_DATA", "data"), ("K3S_CONFIG", "config.yaml")):
            monkeypatch.setattr(paths, name, str(place / path))
        monkeypatch.setattr(paths, "ADMIN", str(place / "admin.conf-of-kubeadm"))
        monkeypatch.setattr(paths.Kubeadm, "root", str(place / "kubernetes"))
        (place / "data/server/db").mkdir(parents=True)
        self.patch = monkeypatch

    def stores_in(self, datastore):
        if datastore == "etcd":
            certificates = self.place / "data/server/tls/etcd"
            certificates.mkdir(parents=True)
            (self.place / "data/server/db/etcd/member").mkdir(parents=True)
            (certificates / "server-ca.crt").write_bytes(self.authority.pem(self.authority.certificate))
            for name, content in zip(("client.crt", "client.key"), self.authority.issue("client")):
                (certificates / name).write_bytes(content)
        elif datastore == "SQLite":
            (self.place / "data/server/db/state.db").write_text("x")

    def _start(self, name):
        def reply(_request):
            answer = getattr(self, name)
            self.asked.append(name)
            return answer if isinstance(answer, tuple) else (200, {}, json.dumps(answer).encode())

        if getattr(self, name) is None:
            return 1
        return self.serve(self.authority.serve(reply)).port

    def says(self):
        url = "https://127.0.0.1:%d" % self._start("api")
        with open(self.authority.kubeconfig(server=url), encoding="utf-8") as stream:
            (self.place / "k3s.yaml").write_text(stream.read())
        self.patch.setattr(paths, "K3S_ETCD_HTTP_PORT", self._start("etcd"))
        return identity.of_control_plane(time.monotonic() + 0.1)


@pytest.fixture
def server(tmp_path, authority, serve, monkeypatch):
    return Server(tmp_path, authority, serve, monkeypatch)


@pytest.mark.parametrize(("datastore", "etcd"), [("etcd", "7"), ("SQLite", None), ("an external database", None)])
def test_a_server_names_its_cluster(server, datastore, etcd):
    server.stores_in(datastore)
    assert server.says() == {"uid": "a", "etcd_cluster": etcd, "datastore": datastore, "problems": []}


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (None, "its API does not name its cluster"),
        ((403, {}, b"{}"), "HTTP 403"),
        ((200, {}, b"no JSON"), "not JSON"),
        ({}, "has no UID"),
        ({"metadata": {"uid": ""}}, "has no UID"),
    ],
)
def test_an_api_that_does_not_say_is_unknown(server, answer, problem):
    server.stores_in("SQLite")
    server.api = answer
    found = server.says()
    assert found["uid"] is None and len(found["problems"]) == 1 and problem in found["problems"][0]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (None, "its etcd does not name its cluster"),
        ((503, {}, b"no leader"), "HTTP 503"),
        ({"members": []}, "names no member"),
        ({}, "names no member"),
        ({"members": MEMBERS}, "no ID"),
        ({"header": {"cluster_id": ""}, "members": MEMBERS}, "no ID"),
    ],
)
def test_an_etcd_that_does_not_say_is_unknown(server, answer, problem):
    server.stores_in("etcd")
    server.etcd = answer
    found = server.says()
    assert found["etcd_cluster"] is None and found["uid"] == "a"
    assert len(found["problems"]) == 1 and problem in found["problems"][0]


def test_missing_certificates_of_etcd_are_a_reason_too(server):
    server.stores_in("etcd")
    (server.place / "data/server/tls/etcd/client.crt").unlink()
    assert "its etcd does not name its cluster" in server.says()["problems"][0]


def test_a_kubeconfig_that_names_another_server_is_not_asked(server):
    text = "clusters:\n- cluster:\n    server: https://10.0.0.11:6443\n"
    (server.place / "k3s.yaml").write_text(text)
    assert identity.of_control_plane(time.monotonic()) is None and server.asked == []


def test_an_agent_has_no_api_server(server):
    assert identity.of_control_plane(time.monotonic()) is None
