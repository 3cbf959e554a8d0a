# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import time

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.node import paths as places
from ansible_collections.kubewright.cluster.plugins.module_utils.verify import node as probe_node


@pytest.fixture
def node(tmp_path, monkeypatch, authority):
    """A node's files below a directory."""
    kubernetes = tmp_path / "kubernetes"
    (kubernetes / "pki" / "etcd").mkdir(parents=True)
    monkeypatch.setattr(places.Kubeadm, "root", str(kubernetes))
    monkeypatch.setattr(places.Kubeadm, "client", (authority.issue_files("kubelet-client-current"), None))
    return kubernetes


def soon(seconds=0.2):
    return time.monotonic() + seconds


def kubelet_conf(node, authority, url):
    with open(authority.kubeconfig(server=url), encoding="utf-8") as stream:
        (node / "kubelet.conf").write_text(stream.read())


def test_a_machine_that_is_no_node_is_told_so(node):
    found = probe_node.checks("a", soon())
    assert [(item["name"], item["status"]) for item in found] == [("node", "fail")]
    assert "not a member" in found[0]["text"]


def test_the_endpoint_is_asked_with_the_kubelets_certificate(node, authority, serve):
    server = serve(authority.serve(lambda _request: (200, {}, b"ok")))
    kubelet_conf(node, authority, "https://127.0.0.1:%d" % server.port)
    assert [item["status"] for item in probe_node.endpoints("a", places.Kubeadm(), soon())] == ["ok"]
    assert server.requests[0][:2] == ("GET", "/readyz")


def test_every_address_is_tried_once(node, authority, serve):
    server = serve(authority.serve(lambda _request: (200, {}, b"ok")))
    kubelet_conf(node, authority, "https://127.0.0.1:%d" % server.port)
    (node / "admin.conf").write_text("clusters:\n- cluster:\n    server: 'https://127.0.0.1:1'\n")
    found = {item["text"].split(" ")[0]: item["status"] for item in probe_node.endpoints("a", places.Kubeadm(), soon())}
    assert found == {"https://127.0.0.1:%d" % server.port: "ok", "https://127.0.0.1:1": "fail"}


def test_an_api_that_is_not_ready_fails_with_its_own_words(node, authority, serve):
    server = serve(authority.serve(lambda _request: (500, {}, b"[-]etcd failed: reason withheld")))
    kubelet_conf(node, authority, "https://127.0.0.1:%d" % server.port)
    text = probe_node.endpoints("a", places.Kubeadm(), soon())[0]["text"]
    assert "HTTP 500 [-]etcd failed" in text


def test_a_certificate_for_another_address_fails(node, authority, serve):
    server = serve(authority.serve(lambda _request: (200, {}, b"ok"), addresses=("10.0.0.9",)))
    kubelet_conf(node, authority, "https://127.0.0.1:%d" % server.port)
    found = probe_node.endpoints("a", places.Kubeadm(), soon())[0]
    assert found["status"] == "fail" and "127.0.0.1" in found["text"] and "certificate" in found["text"].lower()


def test_a_server_of_another_cluster_fails(node, authority, other_authority, serve):
    server = serve(other_authority.serve(lambda _request: (200, {}, b"ok"), client=False))
    kubelet_conf(node, authority, "https://127.0.0.1:%d" % server.port)
    assert probe_node.endpoints("a", places.Kubeadm(), soon())[0]["status"] == "fail"


def test_a_kubeconfig_without_a_server_fails(node):
    (node / "kubelet.conf").write_text("kind: Config\n")
    assert "does not name a server" in probe_node.endpoints("a", places.Kubeadm(), soon())[0]["text"]


def put(node, name, pem):
    (node / "pki" / name).write_bytes(pem)


def test_certificates_that_last_are_one_line(node, authority):
    put(node, "apiserver.crt", authority.issue("apiserver", days=200)[0])
    put(node, "etcd/server.crt", authority.issue("etcd", days=100)[0])
    found = probe_node.certificates("a", places.Kubeadm(), 30)
    assert [item["status"] for item in found] == ["ok"]
    assert found[0]["text"] == "3 certificates, the next to expire is etcd/server in 99 days"


def test_certificates_that_end_are_named(node, authority):
    put(node, "apiserver.crt", authority.issue("apiserver", days=10.5)[0])
    put(node, "front-proxy-client.crt", authority.issue("client", days=-1)[0])
    put(node, "etcd/peer.crt", authority.issue("peer", days=100)[0])
    found = probe_node.certificates("a", places.Kubeadm(), 30)
    assert [(item["status"], item["text"]) for item in found] == [
        ("fail", "front-proxy-client has expired"),
        ("warn", "apiserver has 10 days left"),
    ]
    assert "cluster.rotate" in found[0]["hint"]


def test_the_limit_can_be_set(node, authority):
    put(node, "apiserver.crt", authority.issue("apiserver", days=10.5)[0])
    assert [item["status"] for item in probe_node.certificates("a", places.Kubeadm(), 7)] == ["ok"]


def test_a_short_lived_certificate_of_a_kubelet_is_well_until_its_last_tenth(node, authority, monkeypatch):
    for days, status in ((0.5, "ok"), (0.05, "warn"), (-0.1, "fail")):
        path = authority.issue_files("kubelet-client-current", days=days, life=1)
        monkeypatch.setattr(places.Kubeadm, "client", (path, None))
        found = probe_node.certificates("a", places.Kubeadm(), 30)
        assert [item["status"] for item in found] == [status], found


def test_certificates_inside_of_kubeconfigs_count(node, authority):
    with open(authority.kubeconfig(days=3.5), encoding="utf-8") as stream:
        (node / "controller-manager.conf").write_text(stream.read())
    found = probe_node.certificates("a", places.Kubeadm(), 30)
    assert [item["text"] for item in found] == ["controller-manager.conf has 3 days left"]


def test_what_is_no_certificate_is_passed_over(node, monkeypatch):
    put(node, "x.crt", b"nonsense")
    monkeypatch.setattr(places.Kubeadm, "client", ("/nowhere", None))
    assert probe_node.certificates("a", places.Kubeadm(), 30)[0]["status"] == "fail"


AGENT = "Id=k3s-agent.service\nLoadState=loaded\nActiveState=active\nUnitFileState=enabled\n\n"
SERVER = "Id=k3s.service\nLoadState=loaded\nActiveState=inactive\nUnitFileState=%s\n"


@pytest.mark.parametrize(
    "output, status, text",
    [
        (
            "Id=containerd.service\nLoadState=loaded\nActiveState=active\n\n"
            "Id=kube-bridge.service\nLoadState=not-found\nActiveState=inactive\n",
            "ok",
            "containerd run",
        ),
        ("Id=kubelet.service\nLoadState=loaded\nActiveState=failed\n", "fail", "kubelet.service is failed"),
        (AGENT + SERVER % "disabled", "fail", "k3s.service is inactive"),
        (
            AGENT + SERVER % "enabled",
            "fail",
            "k3s.service is enabled beside k3s-agent.service: after a boot this node may be something else in the cluster",
        ),
    ],
)
def test_units_that_are_there_have_to_run(monkeypatch, output, status, text):
    monkeypatch.setattr(
        probe_node.commands, "run", lambda *_arguments, **_options: probe_node.commands.Result(0, output)
    )
    found = probe_node.services("a")
    assert [(item["status"], item["text"]) for item in found] == [(status, text)]


def test_a_k3s_server_whose_member_was_removed_is_named_with_the_way_out(tmp_path, monkeypatch):
    place = places.K3s()
    place.data = str(tmp_path)
    monkeypatch.setattr(probe_node, "local_server", lambda: ("127.0.0.1", 6443))
    monkeypatch.setattr(probe_node, "_api", lambda *_arguments: "asked")
    assert probe_node.own_api("cp-1", place, soon()) == ["asked"]
    (tmp_path / "server/db/etcd").mkdir(parents=True)
    (tmp_path / "server/db/etcd/tombstone").write_text("")
    (found,) = probe_node.own_api("cp-1", place, soon())
    assert found["status"] == "fail" and "removed this server's etcd member" in found["text"]
    assert "kubewright.cluster.reset" in found["hint"]


def test_an_agent_is_asked_until_it_serves(monkeypatch):
    answers = ["K3s has been running for only 1 s", ""]
    monkeypatch.setattr(probe_node, "agent_problem", lambda *_arguments: answers.pop(0))
    assert probe_node.ready("w-1", soon(5))["status"] == "ok"
    monkeypatch.setattr(probe_node, "agent_problem", lambda *_arguments: "no network")
    assert probe_node.ready("w-1", soon(0))["text"] == "no network"


@pytest.mark.parametrize(
    ("kind", "days", "status", "hint"),
    [
        ("self_signed", 100, "ok", ""),
        ("self_signed", 20, "warn", "run kubewright.cluster.rotate"),
        ("self_signed", -20, "warn", "run kubewright.cluster.rotate"),
        ("signed", 40, "ok", ""),
        ("signed", -1, "warn", "approve the request of system:node:a"),
        ("none", 0, "warn", "approve the request of system:node:a"),
        ("given", 3, "warn", "renew the file that tlsCertFile"),
        (None, 0, None, ""),
    ],
)
def test_what_the_kubelet_serves_is_only_a_warning(monkeypatch, kind, days, status, hint):
    end = time.time() + days * 86400
    made = kind and probe_node.kubelet_api.Serving(kind, int(end - 365 * 86400), int(end))
    monkeypatch.setattr(probe_node.kubelet_api, "serving", lambda: made)
    found = probe_node.kubelet_serving("a", places.Kubeadm(), 30)
    assert [item["status"] for item in found] == ([status] if status else [])
    assert all(item["hint"].startswith(hint) for item in found)
    assert probe_node.kubelet_serving("a", places.K3s(), 30) == []
