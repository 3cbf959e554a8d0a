# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
import time

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.api.kubernetes import ApiError
from ansible_collections.kubewright.cluster.plugins.module_utils.verify import (
    cluster as verify_cluster,
    etcd as verify_etcd,
)

OLD = "2020-01-01T00:00:00Z"


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class Cluster:
    """An API server's state, as far as a proof asks."""

    def __init__(self, nodes):
        self.nodes = {name: self.node(name) for name in nodes}
        self.made, self.deleted, self.silent, self.refuse, self.events = {}, [], set(), None, []
        self.without_pod, self.namespaces = set(), []
        self.created, self.without_coredns = OLD, 0  # so many answers know no CoreDNS

    @staticmethod
    def node(name, ready="True", created=OLD):
        conditions = [{"type": "Ready", "status": ready, "message": "network plugin not ready"}]
        info = {"kubeletVersion": "v1.36.3"}
        return {
            "metadata": {"name": name, "creationTimestamp": created},
            "status": {"conditions": conditions, "nodeInfo": info},
        }

    def get(self, path, missing_ok=False):
        if path == "/api/v1/nodes":
            return {"items": list(self.nodes.values())}
        if path.endswith("/deployments/coredns"):
            self.without_coredns -= 1
            return self.deployment() if self.without_coredns < 0 else None
        if path == "/api/v1/namespaces/kube-system":
            return {"metadata": {"creationTimestamp": self.created}}
        if path.endswith("/kube-system/deployments"):
            return {"items": [self.deployment()]}
        if path.endswith("/daemonsets") or "labelSelector=tier" in path:
            return {"items": []}
        if path.startswith("/api/v1/namespaces?"):
            return {"items": self.namespaces}
        if "/events?" in path:
            return {"items": self.events}
        if path.endswith("/pods"):
            return {"items": [self.pod(name) for name in self.nodes]}
        assert "/services/" in path
        return {"spec": {"clusterIP": "10.96.0.7"}}

    def deployment(self):
        containers = [{"image": "registry.k8s.io/coredns/coredns:v1.14.2"}]
        return {
            "metadata": {"name": "coredns"},
            "spec": {"replicas": 2, "template": {"spec": {"containers": containers}}},
            "status": {"availableReplicas": 2},
        }

    def pod(self, name):
        runs = name not in self.without_pod
        status = {
            "phase": "Running" if runs else "Pending",
            "podIP": "10.244.0.1" if runs else None,
            "containerStatuses": [{"ready": runs, "state": {}}],
        }
        return {"metadata": {"name": "p-" + name, "uid": "u-" + name}, "spec": {"nodeName": name}, "status": status}

    def create(self, path, body):
        if self.refuse == body["kind"]:
            raise ApiError("POST %s: HTTP 403, no" % path, 403)
        self.made[body["kind"]] = (path, body)
        return body

    def delete(self, path):
        self.deleted.append(path)

    def ask(self, _method, path, patience=None):
        name = path.split("/")[4]
        return (503, '{"message": "dial tcp: timeout"}') if name in self.silent else (200, "ok")


@pytest.fixture(autouse=True)
def no_etcd(monkeypatch):
    monkeypatch.setattr(verify_etcd, "access", dict)


def begin(cluster, expected=("a", "b"), timeout=0.3, **options):
    return verify_cluster.begin(cluster, list(expected), ["a"], timeout, **options)


def failed(begun):
    return {(item["name"], item["node"]): item["text"] for item in begun["checks"] if item["status"] == "fail"}


def test_a_pod_has_an_address_for_each_network_of_its_nodes_pods():
    node = {"spec": {"podCIDRs": ["10.244.0.0/24", "fd42::/64"]}}
    assert verify_cluster._addressed("a", node, ["10.244.0.1", "fd42::1"])["text"] == "runs at 10.244.0.1, fd42::1"
    found = verify_cluster._addressed("a", node, ["10.244.0.1"])
    assert found["status"] == "fail" and "only 10.244.0.1" in found["text"] and "fd42::/64" in found["text"]
    # Another's network may have its own ranges: what the Node says is then no measure.
    assert verify_cluster._addressed("a", {"spec": {}}, ["10.9.0.1"])["status"] == "ok"


def test_a_healthy_cluster_has_a_pod_on_every_node():
    cluster = Cluster("ab")
    begun = begin(cluster)
    assert failed(begun) == {}
    assert begun["pods"] == {name: {"ips": ["10.244.0.1"], "uid": "u-" + name} for name in "ab"}
    assert begun["service_ips"] == ["10.96.0.7"]
    assert re.fullmatch("kubewright-verify-[0-9a-f]{8}", begun["namespace"])
    path, daemonset = cluster.made["DaemonSet"]
    assert path == "/apis/apps/v1/namespaces/%s/daemonsets" % begun["namespace"]
    spec = daemonset["spec"]["template"]["spec"]
    assert spec["containers"][0]["image"] == "registry.k8s.io/coredns/coredns:v1.14.2"
    assert spec["tolerations"] == [{"operator": "Exists"}]
    assert set(cluster.made) == {"Namespace", "ServiceAccount", "DaemonSet", "Service"}


def test_every_proof_has_a_namespace_of_its_own():
    assert begin(Cluster("ab"))["namespace"] != begin(Cluster("ab"))["namespace"]


def test_check_mode_makes_nothing():
    cluster = Cluster("ab")
    begun = begin(cluster, make_pods=False)
    assert (cluster.made, cluster.deleted, begun["namespace"], begun["pods"]) == ({}, [], None, {})
    assert failed(begun) == {}


def test_an_image_of_ones_own():
    cluster = Cluster("ab")
    begin(cluster, image="mirror/coredns:1")
    assert cluster.made["DaemonSet"][1]["spec"]["template"]["spec"]["containers"][0]["image"] == "mirror/coredns:1"


def test_a_lost_node_is_told_at_once():
    cluster = Cluster("ab")
    cluster.nodes["b"] = cluster.node("b", "Unknown")
    cluster.without_pod = {"b"}
    began = time.monotonic()
    begun = begin(cluster, timeout=30)
    assert time.monotonic() - began < 5
    assert failed(begun) == {("node", "b"): "is not Ready: network plugin not ready"}
    assert set(begun["pods"]) == {"a"}


def test_a_young_node_is_waited_for():
    cluster = Cluster("ab")
    cluster.nodes["b"] = cluster.node("b", "False", now())
    began = time.monotonic()
    assert ("node", "b") in failed(begin(cluster, timeout=0.5))
    assert time.monotonic() - began >= 0.5


def test_a_kubelet_that_the_api_does_not_reach_is_told_and_not_waited_for():
    cluster = Cluster("ab")
    cluster.silent, cluster.without_pod = {"b"}, {"b"}
    began = time.monotonic()
    found = failed(begin(cluster, timeout=30))
    assert time.monotonic() - began < 5
    assert found[("kubelet from the API", "b")] == "the API does not reach its kubelet: HTTP 503, dial tcp: timeout"


def test_a_pod_that_does_not_come_up_is_told_with_its_last_event():
    cluster = Cluster("ab")
    cluster.without_pod = {"b"}
    cluster.events = [{"type": "Normal", "message": "x"}, {"type": "Warning", "message": "cni plugin not initialized"}]
    assert failed(begin(cluster))[("pod", "b")] == "no pod was ready within 0 s: Pending; cni plugin not initialized"


def test_a_node_that_is_missing_is_told():
    assert failed(begin(Cluster("a"))) == {("node", "b"): "is not a member of the cluster"}


def test_a_refusal_of_the_pods_leaves_the_other_checks():
    cluster = Cluster("ab")
    cluster.refuse = "DaemonSet"
    begun = begin(cluster)
    assert list(failed(begun)) == [("pod", None)]
    assert "HTTP 403, no" in failed(begun)[("pod", None)]
    assert any(item["name"] == "version skew" for item in begun["checks"])


def test_without_coredns_an_image_is_asked_for():
    cluster = Cluster("ab")
    cluster.without_coredns = 99
    assert "set verify_image" in failed(begin(cluster, timeout=30))[("pod", None)]
    assert cluster.without_coredns == 98  # an old cluster is not waited for
    cluster.created = now()
    assert "set verify_image" in failed(begin(cluster))[("pod", None)]


def test_coredns_of_a_young_cluster_is_waited_for():
    cluster = Cluster("ab")
    cluster.without_coredns, cluster.created = 2, now()
    assert failed(begin(cluster, timeout=30)) == {}


def test_a_silent_api_is_one_failure():
    class Silent(Cluster):
        def get(self, path, missing_ok=False):
            raise ApiError("GET %s: 10.0.0.1:6443: Connection refused" % path)

    assert list(failed(begin(Silent("ab")))) == [("API", None)]


def test_where_the_api_is_silent_etcd_is_asked_all_the_same(monkeypatch):
    class Silent(Cluster):
        def get(self, path, missing_ok=False):
            raise ApiError("GET %s: 10.0.0.1:6443: Connection refused" % path)

    lost = [{"name": "etcd", "status": "fail", "text": "does not answer", "node": None}]
    monkeypatch.setattr(verify_etcd, "checks", lambda *_arguments: lost)
    assert list(failed(begin(Silent("ab")))) == [("API", None), ("etcd", None)]


def test_a_kubelet_that_is_slow_while_everything_starts_is_asked_again():
    cluster = Cluster("ab")
    cluster.silent = {"b"}
    answers = cluster.ask

    def ask(method, path, patience=None):
        answer = answers(method, path, patience)
        cluster.silent = set()
        return answer

    cluster.ask = ask
    assert failed(begin(cluster)) == {}


def test_slow_machines_get_more_time_for_each_answer():
    assert [verify_cluster.pace(seconds) for seconds in (10, 60, 600)] == [1, 1, 10]


def test_leftovers_are_taken_away_and_running_proofs_are_not():
    def namespace(name, created, **more):
        return {"metadata": {"name": name, "creationTimestamp": created, **more}}

    cluster = Cluster("ab")
    cluster.namespaces = [
        namespace("old", OLD),
        namespace("young", now()),
        namespace("going", OLD, deletionTimestamp=OLD),
    ]
    begin(cluster)
    assert cluster.deleted == ["/api/v1/namespaces/old"]


def test_the_end_takes_the_namespace_away():
    cluster = Cluster("ab")
    verify_cluster.end(cluster, "kubewright-verify-1")
    assert cluster.deleted == ["/api/v1/namespaces/kubewright-verify-1"]


def test_a_pod_without_a_node_yet_is_the_one_of_its_affinity():
    terms = [{"matchFields": [{"key": "metadata.name", "values": ["b"]}]}]
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}
    assert verify_cluster._node_of({"spec": {"affinity": affinity}}) == "b"
    assert verify_cluster._node_of({"spec": {}}) is None
