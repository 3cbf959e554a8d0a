# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.api import etcd as api_etcd
from ansible_collections.kubewright.cluster.plugins.module_utils.verify import (
    etcd as verify_etcd,
    rules as verify_rules,
)


def node(ready="True", message="", version="v1.36.3", **spec):
    conditions = [{"type": "Ready", "status": ready, "message": message}]
    return {"spec": spec, "status": {"conditions": conditions, "nodeInfo": {"kubeletVersion": version}}}


def words(checks):
    return [(item["status"], item["node"], item["text"]) for item in checks]


def test_nodes_are_members_and_ready():
    nodes = {
        "a": node(),
        "b": node("Unknown", "Kubelet stopped posting node status."),
        "d": node(),
        "e": node(unschedulable=True),
    }
    assert words(verify_rules.node_checks(nodes, ["a", "b", "c", "e"])) == [
        ("ok", "a", "Ready"),
        ("fail", "b", "is not Ready: Kubelet stopped posting node status."),
        ("fail", "c", "is not a member of the cluster"),
        ("ok", "e", "Ready, cordoned"),
        ("warn", "d", "is in the cluster but not in the inventory"),
    ]


def test_a_node_that_never_reported_is_not_ready():
    assert verify_rules.ready({"status": {}}) == (False, "its kubelet never reported")


def test_the_hint_names_the_services_of_the_distribution():
    nodes = {"a": node("False"), "b": node("False", version="v1.36.3+k3s1")}
    kubeadm, k3s = verify_rules.node_checks(nodes, ["a", "b"])
    assert "-u kubelet" in kubeadm["hint"]
    assert "-u k3s" in k3s["hint"] and "kubelet" not in k3s["hint"]


def skew(**versions):
    return [
        item["text"]
        for item in verify_rules.skew_checks({name.replace("_", "-"): places for name, places in versions.items()})
        if item["status"] == "fail"
    ]


@pytest.mark.parametrize(
    "versions, failed",
    [
        ({"kube_apiserver": {"a": "v1.36.3"}, "kubelet": {"a": "v1.36.3", "b": "v1.33.0"}}, 0),
        ({"kube_apiserver": {"a": "v1.36.3"}, "kubelet": {"a": "v1.32.9"}}, 1),
        ({"kube_apiserver": {"a": "v1.36.3"}, "kubelet": {"a": "v1.37.0"}}, 1),
        ({"kube_apiserver": {"a": "v1.36.3"}, "kubelet": {"a": "v1.36.9"}}, 0),
        ({"kube_apiserver": {"a": "v1.36.3", "b": "v1.37.2"}, "kubelet": {"a": "v1.36.3"}}, 0),
        ({"kube_apiserver": {"a": "v1.36.3", "b": "v1.37.2"}, "kubelet": {"b": "v1.37.2"}}, 1),
        ({"kube_apiserver": {"a": "v1.35.3", "b": "v1.37.2"}}, 1),
        ({"kube_apiserver": {"a": "v1.36.3"}, "kube_proxy": {None: "v1.33.1"}}, 0),
        ({"kube_apiserver": {"a": "v1.36.3"}, "kube_proxy": {None: "v1.32.1"}}, 1),
        ({"kube_apiserver": {"a": "v1.36.3"}, "kube_scheduler": {"a": "v1.35.1"}}, 0),
        ({"kube_apiserver": {"a": "v1.36.3"}, "kube_scheduler": {"a": "v1.34.1"}}, 1),
        ({"kube_apiserver": {"a": "v1.36.3"}, "kube_controller_manager": {"a": "v1.37.1"}}, 1),
    ],
)
def test_versions_are_held_to_upstreams_policy(versions, failed):
    assert len(skew(**versions)) == failed, skew(**versions)


def test_versions_that_cannot_be_told_are_a_warning():
    assert [item["status"] for item in verify_rules.skew_checks({"kubelet": {"a": "v1.36.3"}})] == ["warn"]


def test_versions_are_read_from_what_runs():
    pod = {
        "metadata": {"labels": {"component": "kube-apiserver", "tier": "control-plane"}},
        "spec": {"nodeName": "a", "containers": [{"image": "mirror:5000/kube-apiserver:v1.36.3@sha256:00"}]},
    }
    digest = {**pod, "spec": {"nodeName": "b", "containers": [{"image": "x/kube-apiserver@sha256:00"}]}}
    proxy = {
        "metadata": {"name": "kube-proxy"},
        "spec": {"template": {"spec": {"containers": [{"image": "x/kube-proxy:v1.35.0"}]}}},
    }
    found = verify_rules.versions_of({"a": node()}, [pod, digest], [proxy])
    assert found["kube-apiserver"] == {"a": "v1.36.3"}
    assert found["kubelet"] == {"a": "v1.36.3"}
    assert found["kube-proxy"] == {None: "v1.35.0"}
    assert found["kube-scheduler"] == {}


def workload(name, well, wanted):
    return {"metadata": {"name": name}, "spec": {"replicas": wanted}, "status": {"availableReplicas": well}}


@pytest.mark.parametrize(
    "found, statuses",
    [
        ([("coredns", 2, 2), ("kube-proxy", 4, 4)], ["ok"]),
        ([("coredns", 1, 2)], ["warn"]),
        ([("coredns", 0, 2)], ["fail"]),
        ([("coredns", 2, 2), ("kube-proxy", 3, 4)], ["fail"]),
        ([("coredns", 2, 2), ("metrics-server", 0, 1)], ["warn"]),
        ([("kube-proxy", 4, 4)], ["warn"]),
    ],
)
def test_the_clusters_own_workloads_have_to_serve(found, statuses):
    assert [item["status"] for item in verify_rules.workload_checks(found)] == statuses


def test_workloads_are_counted():
    daemonset = {
        "metadata": {"name": "kube-proxy"},
        "spec": {},
        "status": {"numberReady": 3, "desiredNumberScheduled": 4},
    }
    new = {"metadata": {"name": "new"}, "spec": {}}
    assert verify_rules.workloads([workload("coredns", 1, 2), new], [daemonset]) == [
        ("coredns", 1, 2),
        ("new", 0, 1),
        ("kube-proxy", 3, 4),
    ]


def static(component, host, ready="True", **state):
    return {
        "metadata": {"labels": {"tier": "control-plane", "component": component}},
        "spec": {"nodeName": host},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": ready}],
            "containerStatuses": [{"state": state}],
        },
    }


def test_static_pods_have_to_be_ready():
    assert words(verify_rules.static_checks([static("etcd", "a"), static("etcd", "gone", "False")], ["a"])) == [
        ("ok", None, "all static pods are ready on a")
    ]
    crash = static("kube-scheduler", "a", "False", waiting={"reason": "CrashLoopBackOff", "message": "back-off 5m0s"})
    assert words(verify_rules.static_checks([crash], ["a"])) == [
        ("fail", "a", "kube-scheduler is not ready: CrashLoopBackOff back-off 5m0s")
    ]


def test_why_a_pod_does_not_run():
    assert verify_rules.why(None) == "no pod was created for it"
    assert verify_rules.why({"status": {"phase": "Pending"}}) == "Pending: its kubelet has not started it"
    unschedulable = {"status": {"phase": "Pending", "conditions": [{"message": "0/3 nodes are available"}]}}
    assert verify_rules.why(unschedulable) == "Pending: 0/3 nodes are available"
    starting = {
        "status": {"phase": "Pending", "containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}]}
    }
    assert verify_rules.why(starting) == "Pending"


def test_a_pod_runs_with_an_address_and_ready_containers():
    status = {"phase": "Running", "podIP": "10.0.0.1", "containerStatuses": [{"ready": True}]}
    assert verify_rules.running({"status": status})
    for lacking in (
        {"phase": "Pending"},
        {"podIP": ""},
        {"containerStatuses": []},
        {"containerStatuses": [{"ready": False}]},
    ):
        assert not verify_rules.running({"status": {**status, **lacking}}), lacking


def member(name, learner=False, number=1):
    return {
        "ID": str(number),
        "name": name,
        "peerURLs": ["https://10.0.0.%d:2380" % number],
        "clientURLs": ["https://10.0.0.%d:2379" % number] if name else [],
        "isLearner": learner,
    }


HEALTHY = {"leader": "7", "version": "3.6.8", "dbSize": str(5 << 20)}


@pytest.mark.parametrize(
    "members, answers, statuses, text",
    [
        ([member("a"), member("b")], [(HEALTHY, None)] * 2, ["ok"], "2 members, all vote, version 3.6.8, 5 MiB"),
        ([member("a")], [(HEALTHY, None)], ["fail"], "no etcd member"),
        ([member("a"), member("b", learner=True)], [(HEALTHY, None)] * 2, ["fail"], "b is a learner"),
        (
            [member("a"), member("")],
            [(HEALTHY, None), (None, "it has not started")],
            ["fail", "fail"],
            "https://10.0.0.1:2380 does not answer: it has not started",
        ),
        (
            [member("a"), member("b")],
            [(HEALTHY, None), (None, "Connection refused")],
            ["fail"],
            "b does not answer: Connection refused",
        ),
        (
            [member("a"), member("b"), member("old")],
            [(HEALTHY, None)] * 3,
            ["fail"],
            "old is not a control plane of the inventory",
        ),
        (
            [member("a"), member("b")],
            [(HEALTHY, None), ({**HEALTHY, "leader": "0"}, None)],
            ["fail"],
            "b knows no leader",
        ),
        (
            [member("a"), member("b")],
            [(HEALTHY, None), ({**HEALTHY, "errors": ["memberID:1 alarm:NOSPACE"]}, None)],
            ["fail"],
            "NOSPACE",
        ),
        (
            [member("a"), member("b")],
            [(HEALTHY, None), ({**HEALTHY, "dbSize": str(1900 << 20)}, None)],
            ["warn", "ok"],
            "1900 of 2048 MiB",
        ),
        (
            [member("a"), member("b")],
            [(HEALTHY, None), ({**HEALTHY, "dbSize": str(1900 << 20), "dbSizeQuota": str(8 << 30)}, None)],
            ["ok"],
            "1900 MiB",
        ),
    ],
)
def test_every_etcd_member_votes(members, answers, statuses, text):
    checks = verify_etcd.judge(members, answers, ["a", "b"])
    assert [item["status"] for item in checks] == statuses, checks
    assert text in " ".join(item["text"] for item in checks)


def test_an_external_etcd_has_other_names():
    assert [item["status"] for item in verify_etcd.judge([member("x")], [(HEALTHY, None)], None)] == ["ok"]


def test_etcd_is_found_as_the_api_server_finds_it(tmp_path):
    path = tmp_path / "kube-apiserver.yaml"
    assert api_etcd.access(str(path)) == {}
    path.write_text(
        "    - --etcd-cafile=/ca\n    - --etcd-certfile=/c\n    - --etcd-keyfile=/k\n"
        "    - --etcd-servers=https://127.0.0.1:2379\n"
    )
    assert api_etcd.access(str(path)) == {
        "servers": "https://127.0.0.1:2379",
        "cafile": "/ca",
        "certfile": "/c",
        "keyfile": "/k",
    }
    assert verify_etcd.checks(["a"], 0, how={}) == []


def test_etcd_is_asked_by_its_gateway(authority, serve, tmp_path, monkeypatch):
    import json
    import time

    # This machine may be a node of something.
    monkeypatch.setattr(verify_etcd.paths, "here", verify_etcd.paths.Kubeadm)

    def answer(request):
        if request.path == "/v3/cluster/member/list":
            return 200, {}, json.dumps({"members": [{**member("a"), "clientURLs": [url]}]}).encode()
        return 200, {}, json.dumps(HEALTHY).encode()

    server = serve(authority.serve(answer, addresses=("10.0.0.9",)))
    url = "https://127.0.0.1:%d" % server.port
    pem = authority.issue_files("client")
    how = {"servers": "https://127.0.0.1:1," + url, "cafile": authority.path, "certfile": pem, "keyfile": pem}
    deadline = time.monotonic() + 1
    assert [item["status"] for item in verify_etcd.checks(["a"], deadline, how=how)] == ["ok"]
    assert [
        item["status"]
        for item in verify_etcd.checks(["a"], time.monotonic(), how={**how, "servers": "https://127.0.0.1:1"})
    ] == ["fail"]
    assert "cannot be read" in verify_etcd.checks(["a"], deadline, how={**how, "cafile": "/nowhere"})[0]["text"]


def test_k3s_members_answer_at_home_alone_and_take_a_certificate_elsewhere(authority, serve, monkeypatch):
    import json
    import time

    def answer(request):
        if request.path == "/v3/cluster/member/list":
            others = [
                {**member("b-0a1b2c3d", number=2), "clientURLs": [grpc]},
                {**member("c-4e5f6a7b", number=3), "clientURLs": [away]},
            ]
            return (
                200,
                {},
                json.dumps({"header": {"member_id": "1"}, "members": [member("a-89abcdef"), *others]}).encode(),
            )
        return 200, {}, json.dumps(HEALTHY).encode()

    url, grpc = (
        "https://127.0.0.1:%d" % serve(authority.serve(reply)).port
        for reply in (answer, lambda _request: (404, {}, b""))
    )
    away = grpc
    pem = authority.issue_files("client")
    how = {"servers": url, "own_only": "yes", "cafile": authority.path, "certfile": pem, "keyfile": pem}
    monkeypatch.setattr(verify_etcd.paths, "here", verify_etcd.paths.K3s)

    def told():
        checks = verify_etcd.checks(["a", "b", "c"], time.monotonic(), how=how)
        return " ".join("%s %s" % (item["status"], item["text"]) for item in checks)

    assert told() == "ok 3 members, all vote, version 3.6.8, 5 MiB"
    away = "https://127.0.0.1:1"
    assert told() == "fail the member c does not answer: Connection refused"
