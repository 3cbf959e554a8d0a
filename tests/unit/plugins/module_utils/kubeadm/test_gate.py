# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate after a change: a node that serves passes, and each way to pass although it does not is tried."""

from __future__ import annotations

import json
import time

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.api import gate as api_gate
from ansible_collections.kubewright.cluster.plugins.module_utils.api.kubernetes import ApiError
from ansible_collections.kubewright.cluster.plugins.module_utils.base.commands import Result
from ansible_collections.kubewright.cluster.plugins.module_utils.kubeadm import gate, static_pods
from ansible_collections.kubewright.cluster.plugins.module_utils.kubeadm.gate import Gate
from ansible_collections.kubewright.cluster.plugins.module_utils.kubeadm.runner import (
    STATIC_PODS,
    KubeadmError,
    Runner,
)
from ansible_collections.kubewright.cluster.plugins.module_utils.node.services import Process

NAME = "cp-1"
PODS = "/api/v1/namespaces/kube-system/pods"
NODE = "/api/v1/nodes/" + NAME
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/" + NAME
MANIFEST = "- --advertise-address=192.0.2.11\n- --secure-port=6443\n- --etcd-servers=https://127.0.0.1:2379\n"


def at(seconds):
    """A time as the API writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + "%sZ" % (".%06d" % (seconds % 1 * 1e6))


class Etcd:
    """This node's member, as its gateway answers."""

    def __init__(self):
        self.rows = [{"ID": "1", "name": NAME}, {"ID": "2", "name": "cp-2"}]
        self.own_id, self.cluster_id, self.leader = "1", "100", "2"

    def members(self):
        return self.rows

    def own_status(self):
        return {"leader": self.leader}


class Node(Runner):
    """A control plane that serves. Its clock says 10,000 seconds after the start of 1 January 2027."""

    now = 1798761600 + 10000.5

    def __init__(self, root):
        super().__init__(str(root), self.answer)
        (root / "etc/kubernetes/manifests").mkdir(parents=True)
        self.place = root / "etc/kubernetes"
        for kind in STATIC_PODS:
            (self.place / "manifests" / (kind + ".yaml")).write_text(MANIFEST)
        (self.place / "admin.conf").write_text("server: https://192.0.2.100:6443\n")
        self.processes = {name: Process("7", "a1", 0, True, self.now - 20) for name in ("containerd", "kubelet")}
        self.health, self.readyz, self.etcd, self.asked = "", "", Etcd(), []
        self.containers = {kind: ("hash-" + kind, self.now - 15, "CONTAINER_RUNNING") for kind in STATIC_PODS}
        self.pods = {kind: self.pod(kind) for kind in STATIC_PODS}
        self.ready = {"type": "Ready", "status": "True", "lastHeartbeatTime": at(int(self.now - 10))[:19] + "Z"}
        self.renewed = at(self.now - 5)

    def pod(self, kind, ready="True", **metadata):
        return {
            "metadata": {
                "labels": {"component": kind},
                "annotations": {"kubernetes.io/config.hash": "hash-" + kind},
                **metadata,
            },
            "status": {"conditions": [{"type": "Ready", "status": ready}]},
        }

    def answer(self, argv, **_options):
        rows = [
            {
                "metadata": {"name": kind},
                "state": state,
                "createdAt": str(int(created * 1e9)),
                "labels": {"io.kubernetes.pod.name": "%s-%s" % (kind, NAME), "io.kubernetes.pod.uid": pod},
            }
            for kind, (pod, created, state) in self.containers.items()
        ]
        return Result(0, json.dumps({"containers": rows}))

    def api_problem(self):
        return self.readyz

    def get(self, path, missing_ok=False):
        """Answer as an API server."""
        self.asked.append(path.partition("?")[0])
        answers = {
            NODE: {"status": {"conditions": [self.ready]}} if self.ready else None,
            LEASE: {"spec": {"renewTime": self.renewed}} if self.renewed else None,
            PODS: {"items": list(self.pods.values())},
        }
        return answers[path.partition("?")[0]]


@pytest.fixture
def node(tmp_path, monkeypatch):
    made = Node(tmp_path)
    made.servers = []

    def api(servers, *_arguments, **_options):
        made.servers.append(servers)
        return made

    manager = type("Manager", (), {"process": lambda _self, unit: made.processes[unit]})()
    monkeypatch.setattr(gate.services, "here", lambda: manager)
    monkeypatch.setattr(gate, "Api", api)
    monkeypatch.setattr(Runner, "api", lambda _self, kubeconfig, timeout=5: api(kubeconfig))
    monkeypatch.setattr(api_gate.kubelet, "health_problem", lambda: made.health)
    monkeypatch.setattr(api_gate.time, "time", lambda: made.now)
    monkeypatch.setattr(gate.etcd, "local", lambda _root: made.etcd)
    monkeypatch.setattr(static_pods.time, "sleep", lambda _seconds: None)
    return made


def problem(node, control_plane=True, cluster="100"):
    return Gate(node, NAME, control_plane, cluster).problem()


def test_a_control_plane_that_serves_passes(node):
    assert problem(node) == ""
    Gate(node, NAME, True, "100").wait(0)
    # Its own API server, although the kubeconfig names the endpoint.
    assert {tuple(servers) for servers in node.servers} == {(("192.0.2.11", 6443),)}


def test_a_worker_that_serves_passes_and_is_asked_with_its_own_kubeconfig(node):
    assert problem(node, control_plane=False) == ""
    assert node.servers == ["kubelet.conf"] and node.asked == [NODE, LEASE]


def test_the_last_problem_is_named_when_the_time_is_over(node):
    node.health = "refused"
    with pytest.raises(KubeadmError, match="cp-1 is not healthy after 0 s: its kubelet is not healthy: refused"):
        Gate(node, NAME, True).wait(0)


PROCESSES = [
    (None, "does not run"),
    (Process("7", "a1", 0, False, Node.now - 900), "is being started or stopped"),
    (Process("8", "b2", 0, True, Node.now - 1), "has been running for only 1 s"),
    (Process("8", "b2", 2, True, Node.now - 9), "failed 2 times, and has been running for only 9 s since then"),
]


@pytest.mark.parametrize("unit", ["kubelet", "containerd"])
@pytest.mark.parametrize(("process", "expected"), PROCESSES)
def test_a_service_that_stops_starts_or_fails_does_not_pass(node, unit, process, expected):
    node.processes[unit] = process
    assert problem(node) == "its %s %s" % (unit, expected)


@pytest.mark.parametrize("later", [("8", "a1", 0), ("7", "b2", 0), ("7", "a1", 1)])
def test_a_kubelet_that_was_started_again_while_it_was_asked_does_not_pass(node, later, monkeypatch):
    answers = [node.processes["kubelet"], Process(*later, True, node.now - 20)]
    monkeypatch.setattr(
        Gate, "_process", lambda _self, unit: answers.pop(0) if unit == "kubelet" else node.processes[unit]
    )
    assert problem(node) == "its kubelet was started again in the meantime"


def test_a_dead_kubelet_whose_node_is_still_ready_does_not_pass(node):
    node.health = "connection refused"
    assert problem(node) == problem(node, False) == "its kubelet is not healthy: connection refused"


@pytest.mark.parametrize(
    ("ready", "expected"),
    [
        (None, "the API does not know the node cp-1"),
        ({"type": "Ready", "status": "False", "message": "no network"}, "the node is not Ready: no network"),
        ({"type": "Other"}, "the node is not Ready: its kubelet never reported"),
        (
            {"type": "Ready", "status": "True", "lastHeartbeatTime": at(int(Node.now - 21))[:19] + "Z"},
            "the node's status is older than its kubelet, which has not reported yet",
        ),
        (
            {"type": "Ready", "status": "True"},
            "the node's status is older than its kubelet, which has not reported yet",
        ),
    ],
)
def test_a_node_that_is_not_ready_or_was_ready_before_does_not_pass(node, ready, expected):
    node.ready = ready
    assert problem(node) == problem(node, False) == expected


def test_a_kubelet_that_has_run_for_a_minute_has_reported_whatever_its_clock_said(node):
    node.processes["kubelet"] = Process("7", "a1", 0, True, node.now - 61)
    node.ready["lastHeartbeatTime"] = "2026-12-31T00:00:00Z"
    assert problem(node) == ""
    node.processes["kubelet"] = Process("7", "a1", 0, True, node.now - 59)
    assert "has not reported yet" in problem(node)


@pytest.mark.parametrize("what", ["kubelet", "containerd", "kube-scheduler"])
@pytest.mark.parametrize("renewed", [None, "", "yesterday", at(Node.now - 13)])
def test_a_lease_from_before_the_change_does_not_pass(node, what, renewed):
    """Whatever was started last: the kubelet, containerd or a static pod."""
    if what in node.processes:
        node.processes[what] = Process("7", "a1", 0, True, node.now - 12)
    else:
        node.containers[what] = ("hash-" + what, node.now - 12, "CONTAINER_RUNNING")
    assert problem(node) == ""
    node.renewed = renewed
    assert problem(node) == "its kubelet has not renewed the node's Lease since the change"


def test_the_api_of_another_node_does_not_answer_for_it(node):
    """Its own address refuses; whoever answers at the endpoint is not asked."""
    node.readyz = "GET /readyz: 192.0.2.11:6443: connection refused"
    assert problem(node) == node.readyz and node.servers == []


def test_a_control_plane_without_a_manifest_of_its_api_server_does_not_pass(node, monkeypatch):
    monkeypatch.undo()
    (node.place / "manifests/kube-apiserver.yaml").unlink()
    assert Runner.api_problem(node) == "/etc/kubernetes/manifests/kube-apiserver.yaml is missing"


@pytest.mark.parametrize("kind", STATIC_PODS)
def test_every_static_pod_has_to_be_there(node, kind):
    pod, container = node.pods.pop(kind), node.containers[kind]
    assert problem(node) == "its static pods are not ready (%s)" % kind
    node.pods[kind] = node.pod(kind, "False")
    assert problem(node) == "its static pods are not ready (%s)" % kind
    node.pods[kind] = node.pod(kind, deletionTimestamp="2027-01-01T00:00:00Z")
    assert problem(node) == "its static pods are not ready (%s)" % kind
    node.pods[kind] = pod
    del node.containers[kind]
    assert problem(node) == "its static pods do not run (%s)" % kind
    node.containers[kind] = (*container[:2], "CONTAINER_EXITED")
    assert problem(node) == "its static pods do not run (%s)" % kind
    node.containers[kind] = container
    (node.place / "manifests" / (kind + ".yaml")).unlink()
    assert problem(node) == "its static pods have no manifest (%s)" % kind


def test_no_pods_at_all_do_not_pass(node):
    node.pods.clear()
    assert problem(node) == "its static pods are not ready (%s)" % ", ".join(STATIC_PODS)


def test_the_pods_of_the_former_manifests_do_not_pass(node):
    node.containers["kube-apiserver"] = ("new", node.now - 15, "CONTAINER_RUNNING")
    assert problem(node) == "the API does not know its new static pods yet (kube-apiserver)"


@pytest.mark.parametrize("output", ["", "{}", "[]"])
def test_a_runtime_that_does_not_list_its_containers_does_not_pass(node, monkeypatch, output):
    monkeypatch.setattr(node, "_run", lambda argv, **_options: Result(0 if output else 1, output, "no runtime"))
    assert "containerd does not list its containers" in problem(node)


def test_containers_of_others_are_not_taken_for_static_pods(node):
    found = static_pods.latest(node, "cp-2")
    assert found == {} and set(static_pods.latest(node, NAME)) == set(STATIC_PODS)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {"cluster_id": "200"},
            "its etcd is of another cluster: 200, before the change it was 100",
        ),
        ({"rows": [{"ID": "1", "name": NAME, "isLearner": True}]}, "its etcd member does not vote: it is a learner"),
        ({"rows": [{"ID": "2", "name": "cp-2"}, {}]}, "the members are cp-2, one that has not started"),
        # Another node's member answers, and lists this node's.
        ({"own_id": "2"}, "its etcd member does not vote: another member answers in its place"),
        ({"leader": "0"}, "its etcd member knows no leader"),
        ({"rows": []}, "its etcd member does not vote: the members are unknown"),
    ],
)
def test_a_member_that_does_not_vote_in_the_same_cluster_does_not_pass(node, change, expected):
    for name, value in change.items():
        setattr(node.etcd, name, value)
    assert expected in problem(node)


def test_an_unknown_cluster_is_not_compared(node):
    node.etcd.cluster_id = "200"
    assert problem(node, cluster="") == ""


def test_an_etcd_that_does_not_answer_does_not_pass(node, monkeypatch):
    monkeypatch.setattr(node.etcd, "members", lambda: (item for item in ()).throw(OSError("refused")))
    assert problem(node) == "its etcd does not answer: refused"


def test_an_etcd_that_runs_elsewhere_is_not_asked(node, monkeypatch):
    (node.place / "manifests/etcd.yaml").unlink()
    (node.place / "manifests/kube-apiserver.yaml").write_text(MANIFEST.replace("127.0.0.1", "192.0.2.77"))
    del node.pods["etcd"], node.containers["etcd"]
    monkeypatch.setattr(gate.etcd, "local", None)
    assert problem(node) == ""


def test_an_api_that_refuses_is_waited_for(node, monkeypatch):
    monkeypatch.setattr(node, "get", lambda *_arguments, **_options: (item for item in ()).throw(ApiError("HTTP 429")))
    assert problem(node) == "HTTP 429"


# -- changed static pods ---------------------------------------------------------------------------------------------


def changing(node, kinds, restarted):
    """kubeadm that writes other manifests; the kubelet then starts some of them."""

    def reconfigure(_config, _timeout):
        for kind in kinds:
            (node.place / "manifests" / (kind + ".yaml")).write_text("other")
        for kind in restarted:
            node.containers[kind] = ("new", node.now, "CONTAINER_RUNNING")

    node.reconfigure = reconfigure


def test_changed_static_pods_are_waited_for(node):
    changing(node, ["kube-apiserver"], ["kube-apiserver"])
    static_pods.reconfigure(node, NAME, "x", 0)
    changing(node, [], [])
    static_pods.reconfigure(node, NAME, "x", 0)


@pytest.mark.parametrize("state", ["CONTAINER_RUNNING", "CONTAINER_EXITED"])
def test_a_kubelet_that_does_not_start_changed_static_pods_is_named(node, state):
    changing(node, ["kube-apiserver", "kube-scheduler"], ["kube-apiserver"])
    node.containers["kube-scheduler"] = (*node.containers["kube-scheduler"][:2], state)
    with pytest.raises(KubeadmError, match=r"the kubelet has not started the changed static pods \(kube-scheduler\)"):
        static_pods.reconfigure(node, NAME, "x", 0)


def test_nothing_is_changed_where_the_runtime_does_not_answer(node, monkeypatch):
    monkeypatch.setattr(node, "_run", lambda argv, **_options: Result(1, "", "no runtime"))
    node.reconfigure = None
    with pytest.raises(KubeadmError, match="no runtime"):
        static_pods.reconfigure(node, NAME, "x", 0)
