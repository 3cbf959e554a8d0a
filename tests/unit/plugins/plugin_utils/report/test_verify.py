# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.report import verify as verify_report
from ansible_collections.kubewright.cluster.plugins.plugin_utils.report.lines import Kind


def check(name, status="ok", node=None, text="text", hint=""):
    return {"name": name, "status": status, "text": text, "node": node, "hint": hint, "ms": None}


PLAN = {"name": "demo", "version": "1.36.3"}


def test_a_healthy_cluster_is_said_in_few_lines():
    checks = (
        [check("pod to pod", node=node) for node in "abc"]
        + [check("pod", node=node) for node in "abc"]
        + [check("etcd", text="3 members, all vote")]
    )
    document = verify_report.document(PLAN, checks)
    assert document["healthy"]
    assert verify_report.text(document) == [
        "demo is healthy: 7 checks, 0 failed, 0 warnings",
        "  ok on a, b, c: pod, pod to pod",
        "  cluster: etcd: 3 members, all vote",
    ]
    assert [line.text for line in verify_report.lines(document, brief=True)] == [
        "demo is healthy: 7 checks, 0 failed, 0 warnings"
    ]


def test_what_fails_is_said_with_node_and_way_out():
    checks = [
        check("pod", node="a"),
        check("pod", "fail", "b", "no pod came up.", "look there"),
        check("certificates", "warn", "a", "9 days left"),
        check("API", "fail", None, "refused"),
    ]
    document = verify_report.document(PLAN, checks)
    assert not document["healthy"]
    assert [item["status"] for item in document["checks"]] == ["fail", "fail", "warn", "ok"]
    assert verify_report.text(document) == [
        "demo is NOT healthy: 4 checks, 2 failed, 1 warning",
        "  certificates: warning on a",
        "  pod: FAIL on b; ok on a",
        "warning: a, certificates: 9 days left",
        "failed: API: refused",
        "failed: b, pod: no pod came up. Fix: look there",
    ]


def test_the_worst_of_a_nodes_checks_counts():
    checks = [check("registry", "ok", "a"), check("registry", "fail", "a"), check("registry", "warn", "a")]
    assert "  registry: FAIL on a" in verify_report.text(verify_report.document(PLAN, checks))


def test_a_large_cluster_has_no_more_lines():
    checks = [check("pod", node="n%04d" % number) for number in range(1000)] + [check("pod", "fail", "x")]
    assert "  pod: FAIL on x; ok on 1000 nodes" in verify_report.text(verify_report.document(PLAN, checks))


def test_what_fails_alike_on_many_nodes_is_one_line():
    checks = [check("services", "fail", "w-%d" % number, "containerd is down", "start it") for number in range(1, 66)]
    checks += [
        check("clock", "fail", "w-%d" % number, "%d s behind" % (number + 9), "sync it") for number in range(1, 66)
    ]
    lines = verify_report.lines(verify_report.document(PLAN, checks))
    failed = [line.text for line in lines if line.kind is Kind.FAILURE]
    assert failed[1:] == [
        "failed: w-1 to w-65, clock: 10 s behind. Fix: sync it (the others alike)",
        "failed: w-1 to w-65, services: containerd is down. Fix: start it",
    ]


def test_a_node_that_gave_no_answer_fails():
    hosts = {
        "h1": {"name": "a", "probed": {"checks": []}},
        "h2": {"name": "b", "probed": {"unreachable": True, "msg": "Connection timed out"}},
        "h3": {"name": "c", "probed": None},
    }
    found = verify_report.unheard(hosts)
    assert [(item["node"], item["text"]) for item in found] == [
        ("b", "gave no answer: Connection timed out"),
        ("c", "gave no answer: it cannot be reached"),
    ]
    assert "ansible -m ping h2" in found[0]["hint"]


NODES = {
    "h1": {"name": "a", "role": "control_plane", "joined": True},
    "h2": {"name": "b", "role": "control_plane", "joined": False},
    "h3": {"name": "c", "role": "worker", "joined": True},
}


def test_the_scope_is_the_plans():
    plan = {
        "nodes": NODES,
        "control_planes": ["h1", "h2"],
        "leader": "h2",
        "members": [{"name": "a", "address": "10.0.0.1"}],
        "api_port": 6444,
    }
    assert verify_report.scope(plan, {}) == {
        "leader": "h2",
        "nodes": ["a", "b", "c"],
        "control_planes": ["a", "b"],
        "servers": ["10.0.0.1:6444"],
    }
    assert verify_report.scope(plan, {}, check_mode=True)["nodes"] == ["a", "c"]


def look(healthy=None, admin=True):
    return {
        "cluster": {
            "kubelet_conf": True,
            "admin_conf": admin,
            "live": None if healthy is None else {"healthy": healthy},
        }
    }


@pytest.mark.parametrize(
    "looks, leader",
    [
        ({"h1": look(False), "h2": look(True)}, "h2"),
        ({"h1": look(True), "h2": look(True)}, "h1"),
        ({"h2": look(False)}, "h2"),
        ({"h1": look(admin=False), "h2": look(False)}, "h2"),
        ({}, "h1"),
    ],
)
def test_a_plan_with_refusals_has_a_scope_too(looks, leader):
    nodes = {host: {"name": node["name"], "role": node["role"]} for host, node in NODES.items()}
    plan = {
        "nodes": nodes,
        "control_planes": ["h1", "h2"],
        "refusals": [{"id": "host.unreachable", "text": "h3: cannot be reached"}],
    }
    found = verify_report.scope(plan, looks)
    assert (found["leader"], found["servers"]) == (leader, [])
    assert verify_report.scope(plan, looks, check_mode=True)["nodes"] == sorted(NODES[host]["name"] for host in looks)
    assert [item["text"] for item in verify_report.doubts(plan)] == ["h3: cannot be reached"]
