# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the plan chooses where the inventory leaves it open, what a node keeps from pods, and how a plan is asked."""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path

import jmespath
import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.machine import capacity
from ansible_collections.kubewright.cluster.plugins.plugin_utils.network import overlaps
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described, ids
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import (
    GIB,
    applied,
    inventory,
    machine,
)

ROOT = Path(__file__).resolve().parents[5]


def plan_of(inputs=None, changes=None, **more):
    """A plan; changes: by host, differences of its machine."""
    hosts, groups = inventory(inputs=inputs, **more)
    for host, difference in (changes or {}).items():
        address = hosts[host]["info"]["network"]["probe_source"]
        hosts[host]["info"] = machine(host, **{"address": address, **difference})
    return planner.cluster_plan(hosts, groups), hosts, groups


def said(plan, rule):
    return [(row["node"], row["value"], row["limit"]) for row in plan["reasons"] if row["rule"] == rule]


def test_the_newest_release_is_taken():
    plan, _hosts, _groups = plan_of()
    assert plan["version"] == "1.37.2" and said(plan, "version") == [(None, "1.37.2", None)]


def test_cgroup_v1_holds_the_version_and_says_how_to_go_on():
    plan, _hosts, _groups = plan_of(changes={"w-1": {"cgroup__version": "v1"}})
    assert plan["refusals"] == [] and plan["version"].startswith("1.34.")
    assert said(plan, "version") == [("w-1", "v1", "1.35")]
    assert "cgroup.holds_version node=w-1 value=v1 limit=1.35" in described(plan["warnings"])
    plan, _hosts, _groups = plan_of({"kube_allow_cgroup_v1": True}, {"w-1": {"cgroup__version": "v1"}})
    assert plan["version"] == "1.37.2" and plan["refusals"] == []


@pytest.mark.parametrize(
    ("inputs", "changes", "plugin", "because"),
    [
        ({}, {}, "bridge", (None, 1, 1)),
        ({"kube_needs": ["network_policy"]}, {}, "kube-router", (None, "network_policy", None)),
        ({}, {"w-1": {"address": "10.7.0.14"}}, "kube-router", (None, 2, 1)),
    ],
)
def test_the_network_follows_what_is_asked(inputs, changes, plugin, because):
    plan, _hosts, _groups = plan_of(inputs, changes)
    assert plan["refusals"] == []
    assert plan["plugin"] == plugin and said(plan, "network") == [because]
    assert (plan["nodes"]["w-1"]["files"]["network"] != []) == (plugin == "bridge")


def test_kube_proxy_uses_nftables_for_many_nodes_where_kernels_have_it():
    many = {"kube_needs": ["many_nodes"]}
    assert plan_of()[0]["proxy_mode"] == "iptables"
    assert plan_of(many)[0]["proxy_mode"] == "nftables"
    old = {"w-1": {"kernel__version": [5, 10, 0], "kernel__release": "5.10.0-30-amd64"}}
    plan, _hosts, _groups = plan_of(many, old)
    assert plan["proxy_mode"] == "iptables" and said(plan, "proxy_mode") == [("w-1", "5.10.0-30-amd64", "5.13")]
    refused = plan_of({"kube_proxy_mode": "nftables"}, old)[0]["refusals"]
    assert described(refused) == ["proxy_mode.old_kernel node=w-1 value=5.10.0-30-amd64 limit=5.13"]
    assert plan_of({"kube_proxy_mode": "nftables"}, {"w-1": {"kernel__version": None}})[0]["refusals"] == []


def running(inputs):
    plan, hosts, groups = plan_of(inputs)
    for host in hosts:
        hosts[host]["info"] = applied(hosts[host]["info"], plan["nodes"][host], plan)
    return hosts, groups


def test_a_running_cluster_keeps_its_network_and_its_proxy_mode():
    hosts, groups = running({"kube_needs": ["network_policy", "many_nodes"]})
    for row in hosts.values():
        row["inputs"] = {}
    plan = planner.cluster_plan(hosts, groups)
    assert (plan["plugin"], plan["proxy_mode"], plan["refusals"]) == ("kube-router", "nftables", [])
    assert not any(node["steps"] for node in plan["nodes"].values())


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"kube_network": {"plugin": "kube-router"}}, "inputs.fixed value=kube-router limit=bridge"),
        ({"kube_proxy_mode": "nftables"}, "inputs.fixed value=nftables limit=iptables"),
    ],
)
def test_what_runs_is_not_switched(inputs, message):
    hosts, groups = running({})
    for row in hosts.values():
        row["inputs"] = inputs
    assert described(planner.cluster_plan(hosts, groups)["refusals"]) == [message]


def test_a_network_that_collides_is_refused_with_one_that_does_not():
    plan, hosts, groups = plan_of({"kube_pod_cidrs": ["10.0.0.0/16"]})
    text = next(row["text"] for row in plan["refusals"] if row["id"] == "cidrs.used_by_host")
    proposed = re.search(r"such as (\S+)\.$", text)[1]
    for row in hosts.values():
        row["inputs"]["kube_pod_cidrs"] = [proposed]
    assert planner.cluster_plan(hosts, groups)["refusals"] == []


def test_free_networks():
    taken = [ip_network("10.0.0.0/9"), ip_network("fd00::/8"), ip_network("10.128.0.0/16")]
    assert overlaps.free(16, taken) == "10.129.0.0/16"
    full = [ip_network(text) for text in overlaps.PRIVATE]
    assert overlaps.free(16, full) is None


def test_an_air_gap_with_mirrors_is_fine():
    mirrors = {"registry.k8s.io": {"endpoints": ["https://mirror.example"]}}
    inputs = {"kube_artifacts": {"source": "http://mirror.example"}, "kube_registries": {"mirrors": mirrors}}
    assert plan_of({"kube_needs": ["air_gap"], **inputs})[0]["refusals"] == []
    found = plan_of({"kube_needs": ["air_gap", "network_policy"], **inputs})[0]["refusals"]
    assert described(found) == [
        "air_gap.no_mirror node=%s value=docker.io" % host for host in ("cp-1", "cp-2", "cp-3", "w-1")
    ]


def test_gpu_workers_want_a_gpu():
    plan, _hosts, _groups = plan_of({"kube_needs": ["gpu_workers"]})
    assert plan["refusals"] == [] and ids(plan["warnings"]) == ["gpu.none"]
    card = {"gpus": [{"vendor": "nvidia", "address": "0000:3b:00.0"}]}
    plan, _hosts, _groups = plan_of({"kube_needs": ["gpu_workers"]}, {"w-1": card})
    assert plan["warnings"] == [] and plan["nodes"]["w-1"]["machine"]["gpus"] == ["nvidia"]


# -- capacity
# -------------------------------------------------------------------------------------------------------------


def test_a_node_keeps_from_pods_what_its_kubelet_is_told():
    plan, _hosts, _groups = plan_of()
    room = plan["nodes"]["w-1"]["capacity"]
    # 4 GiB: a quarter is kept, and 100 MiB for eviction (RESERVED_MEMORY_STEPS).
    assert room["reserved"]["kube"]["memory"] == room["reserved"]["system"]["memory"] == "512Mi"
    assert room["allocatable"] == {"memory_bytes": 4 * GIB - GIB - 100 * 2**20, "cpus": 3.92}
    assert room["pods"] == {"limit": 110, "of_128Mi": 23}


def test_the_users_kubelet_settings_count():
    mine = {"maxPods": 20, "evictionHard": {"memory.available": "10%"}}
    room = plan_of({"kubelet_config": mine})[0]["nodes"]["w-1"]["capacity"]
    assert room["pods"] == {"limit": 20, "of_128Mi": 20}
    assert room["allocatable"]["memory_bytes"] == int(3 * GIB - 0.4 * GIB)


def test_an_unknown_machine_has_no_known_room():
    facts = machine(memory=None, cpus=None)
    room = capacity.capacity(facts, {"kubeReserved": {"memory": "1Gi"}})
    assert room["allocatable"] == {"memory_bytes": None, "cpus": None} and room["pods"]["of_128Mi"] is None


def test_a_full_disk_is_fine_where_the_user_lowers_the_threshold():
    disks = {
        "/var/lib/containerd": {"mount": "/", "free_bytes": 34 * GIB, "total_bytes": 252 * GIB, "read_only": False}
    }
    assert len(plan_of(disks=disks)[0]["refusals"]) == 4
    lower = {"kubelet_config": {"evictionHard": {"imagefs.available": "5Gi", "nodefs.available": "2%"}}}
    assert plan_of(lower, disks=disks)[0]["refusals"] == []


# -- queries
# --------------------------------------------------------------------------------------------------------------


def queries():
    text = (ROOT / "docs" / "plan.md").read_text().partition("## Queries")[2]
    return re.findall(r"^\| .* \| `(.*)` \|$", text, re.MULTILINE)


@pytest.mark.parametrize("query", queries())
def test_the_documented_queries_have_answers(query):
    assert jmespath.search(query.replace("\\|", "|"), plan_of()[0])


def test_queries_are_documented():
    assert len(queries()) == 5
