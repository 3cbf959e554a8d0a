# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate of a K3s node: one that serves passes, and each way to pass although it does not is tried."""

from __future__ import annotations

import time

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.api import etcd as api_etcd, gate
from ansible_collections.kubewright.cluster.plugins.module_utils.api.kubernetes import ApiError
from ansible_collections.kubewright.cluster.plugins.module_utils.k3s import readiness
from ansible_collections.kubewright.cluster.plugins.module_utils.node.services import Process

NAME = "cp-1"
NODE = "/api/v1/nodes/" + NAME
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/" + NAME


def at(seconds):
    """A time as the API writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


class Node:
    """A K3s node that serves, and its API."""

    def __init__(self):
        self.now = 1798761600.5
        self.processes = {"k3s": [Process("7", "a1", 0, True, self.now - 20)]}
        self.health, self.readyz, self.has_etcd = "", (200, "ok"), True
        self.own_id, self.cluster_id, self.leader = "1", "100", "1"
        self.rows = [{"ID": "1", "name": NAME + "-0a1b2c3d"}, {"ID": "2", "name": "cp-2-4e5f6a7b"}]
        self.conditions = {
            "Ready": {"status": "True", "lastHeartbeatTime": at(self.now - 10)},
            "EtcdIsVoter": {"status": "True"},
        }
        self.renewed = at(self.now - 5)

    def process(self, unit):
        answers = self.processes[unit]
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def ask(self, _method, path):
        assert path == "/readyz"
        return self.readyz

    def get(self, path, missing_ok=False):
        rows = [{"type": kind, **row} for kind, row in self.conditions.items()]
        answers = {NODE: {"status": {"conditions": rows}}, LEASE: {"spec": {"renewTime": self.renewed}}}
        return answers[path]

    def members(self):
        return self.rows

    def own_status(self):
        return {"leader": self.leader}


@pytest.fixture
def node(monkeypatch):
    made = Node()
    place = type("K3s", (), {"etcd": lambda _self: {"servers": "x"} if made.has_etcd else {}})
    place.own_server = lambda _self: "https://127.0.0.1:6444"
    place.api_server = lambda _self: ("127.0.0.1", 6443)
    monkeypatch.setattr(readiness.paths, "K3s", place)
    monkeypatch.setattr(readiness.services, "here", lambda: made)
    monkeypatch.setattr(readiness, "Api", lambda *_arguments, **_options: made)
    monkeypatch.setattr(readiness.tls, "from_files", lambda *_files: None)
    monkeypatch.setattr(api_etcd, "connect", lambda _how: made)
    monkeypatch.setattr(gate.kubelet, "health_problem", lambda: made.health)
    monkeypatch.setattr(gate.time, "time", lambda: made.now)
    return made


def problem(_node, must_vote=False, cluster="100", members=None):
    return readiness.server_problem(NAME, must_vote, cluster, members)


def test_a_server_that_serves_passes(node):
    assert problem(node) == problem(node, True) == problem(node, cluster="") == ""
    node.has_etcd = False
    assert problem(node) == ""


def test_a_restart_that_removed_another_member_does_not_pass(node):
    """https://github.com/k3s-io/k3s/issues/7613"""
    before = {"1": NAME + "-0a1b2c3d", "2": "cp-2-4e5f6a7b"}
    assert problem(node, members=before) == ""
    node.rows.append({"ID": "3", "name": "", "peerURLs": ["https://10.0.0.3:2380"]})  # others may join meanwhile
    assert problem(node, members=before) == ""
    del node.rows[1]
    assert problem(node, members=before) == "etcd has lost the members cp-2-4e5f6a7b since the change began"


def test_an_agent_that_serves_passes(node):
    node.processes = {"k3s-agent": node.processes["k3s"]}
    assert readiness.agent_problem(NAME, "/data") == ""


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"processes": [None]}, "K3s does not run"),
        ({"processes": [Process("7", "a1", 0, False, 5)]}, "K3s is being started or stopped"),
        ({"processes": [Process("8", "b2", 3, True, Node().now - 8)]}, "K3s failed 3 times"),
        (
            {"processes": [Node().processes["k3s"][0], Process("8", "b2", 1, True, Node().now)]},
            "K3s was started again in the meantime",
        ),
        ({"health": "refused"}, "its kubelet is not healthy: refused"),
        ({"renewed": at(Node().now - 25)}, "its kubelet has not renewed the node's Lease since the change"),
        ({"renewed": None}, "its kubelet has not renewed the node's Lease since the change"),
        (
            {"conditions": {"Ready": {"status": "True", "lastHeartbeatTime": at(Node().now - 25)}}},
            "the node's status is older than its kubelet, which has not reported yet",
        ),
        ({"conditions": {}}, "the node is not Ready: its kubelet never reported"),
    ],
)
def test_a_node_that_does_not_serve_does_not_pass(node, change, expected):
    for unit, ask in (("k3s", lambda: problem(node)), ("k3s-agent", lambda: readiness.agent_problem(NAME, "/data"))):
        for name, value in change.items():
            setattr(node, name, {unit: list(value)} if name == "processes" else value)
        if "processes" not in change:
            node.processes = {unit: Node().processes["k3s"]}
        assert expected in ask()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"readyz": (500, "[-]etcd failed")}, "its API is not ready: HTTP 500, [-]etcd failed"),
        (
            {"readyz": (503, '{"message": "apiserver not ready"}')},
            "its API is not ready: HTTP 503, apiserver not ready",
        ),
        ({"cluster_id": "200"}, "its etcd is of another cluster: 200, before the change it was 100"),
        ({"rows": [{"ID": "1", "name": NAME + "-0a1b2c3d", "isLearner": True}]}, "does not vote: it is a learner"),
        ({"rows": [{"ID": "2", "name": "cp-2-4e5f6a7b"}]}, "does not vote: the members are cp-2-4e5f6a7b"),
        ({"leader": "0"}, "its etcd member knows no leader"),
    ],
)
def test_a_server_that_does_not_serve_does_not_pass(node, change, expected):
    for name, value in change.items():
        setattr(node, name, value)
    assert expected in problem(node)


@pytest.mark.parametrize(
    ("condition", "problem_of_it"),
    [
        (None, "does not say so yet"),
        ({"status": "False", "message": "a learner"}, "a learner"),
        ({"status": "True"}, ""),
    ],
)
def test_a_converted_server_reports_its_vote(node, condition, problem_of_it):
    node.conditions["EtcdIsVoter"] = condition or {}
    if condition is None:
        del node.conditions["EtcdIsVoter"]
    assert problem_of_it in problem(node, True)


def test_what_a_silent_api_is_said_to_be(node, monkeypatch):
    monkeypatch.setattr(node, "get", lambda *_arguments, **_options: (item for item in ()).throw(ApiError("HTTP 429")))
    assert problem(node) == "HTTP 429"
    node.processes["k3s-agent"] = node.processes["k3s"]
    assert readiness.agent_problem(NAME, "/data") == "the servers do not answer through its balancer: HTTP 429"


def test_the_cluster_before_a_change(node, monkeypatch):
    assert readiness.etcd_before() == ("100", {"1": NAME + "-0a1b2c3d", "2": "cp-2-4e5f6a7b"})
    monkeypatch.setattr(node, "members", lambda: (item for item in ()).throw(OSError("refused")))
    assert readiness.etcd_before() == ("", {})
    node.has_etcd = False
    assert readiness.etcd_before() == ("", {})
