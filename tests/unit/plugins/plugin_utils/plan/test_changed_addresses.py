# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that got other addresses while they were off. The advice never costs the last copy of the cluster's data."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import applied, inventory

BOTH = pytest.mark.parametrize("distribution", ["kubeadm", "k3s"])


def running(distribution, control_planes, workers, moved, silent=()):
    """(hosts, groups, former addresses) of a cluster. moved: hosts with another address now. silent: without an API."""
    hosts, groups = inventory(control_planes, workers, {"kube_distribution": distribution})
    plan = planner.cluster_plan(hosts, groups)
    former = {host: node["address"] for host, node in plan["nodes"].items()}
    for host, row in hosts.items():
        row["info"] = applied(row["info"], plan["nodes"][host], plan)
        row["info"]["cluster"].update(node_ips=[former[host]], finished=True)
        for item in (row["info"]["cluster"]["live"] or {}).get("nodes") or []:
            own = next(former[name] for name, node in plan["nodes"].items() if node["name"] == item["name"])
            item["addresses"] = {"InternalIP": [own]}
    for host in silent:
        hosts[host]["info"]["cluster"]["live"] = {"api_port": 6443, "healthy": False, "nodes": [], "error": "no route"}
    for host in moved:
        network = hosts[host]["info"]["network"]
        for link in network["interfaces"]:
            for one in link["addresses"]:
                if one["address"] == former[host]:
                    one["address"] = "10.77.0.%s" % former[host].rpartition(".")[2]
    return hosts, groups, former


def refused(hosts, groups):
    """{host: text} of the refusals address.gone."""
    plan = planner.cluster_plan(hosts, groups)
    described(plan["refusals"])
    return {row["node"]: row["text"] for row in plan["refusals"] if row["id"] == "address.gone"}


@BOTH
def test_all_nodes_have_other_addresses_and_no_api_answers(distribution):
    everybody = ["cp-1", "cp-2", "cp-3", "w-1"]
    hosts, groups, former = running(distribution, 3, 1, everybody, everybody[:3])
    found = refused(hosts, groups)
    planes = [host for host in everybody[:3] if host in found]
    assert planes == everybody[:3]
    for host in planes:
        assert "has the address %s" % former[host] in found[host]
        assert "it has 10.77.0." in found[host]
        assert "Do not reset" in found[host] and "--limit" not in found[host]


@BOTH
def test_the_only_control_plane_is_not_to_be_reset(distribution):
    """K3s's API answers at its loopback address, whatever the host's addresses are."""
    hosts, groups, _former = running(distribution, 1, 1, ["cp-1"])
    assert "Do not reset" in refused(hosts, groups)["cp-1"]
    hosts["cp-1"]["inputs"]["kube_node_ip"] = "10.77.0.0/16"
    plan = planner.cluster_plan(hosts, groups)
    assert all("--limit cp-1" not in row["text"] for row in plan["refusals"] if row["id"].startswith("address."))


@BOTH
def test_other_messages_about_the_only_control_plane(distribution):
    hosts, groups, _former = running(distribution, 1, 1, [])
    hosts["cp-1"]["info"]["cluster"]["node_name"] = "former"
    renamed = [row for row in planner.cluster_plan(hosts, groups)["refusals"] if row["id"] == "member.renamed"]
    described(renamed)
    assert "Do not reset" in renamed[0]["text"]
    hosts, groups, _former = running(distribution, 1, 1, [])
    groups = {**groups, "kube_control_plane": ["w-1"], "kube_node": ["cp-1"]}
    moved = {row["node"]: row["text"] for row in planner.cluster_plan(hosts, groups)["refusals"]}
    assert "Do not reset" in moved["cp-1"]


@BOTH
def test_one_of_three_may_be_replaced(distribution):
    hosts, groups, _former = running(distribution, 3, 1, ["cp-2"], ["cp-2"])
    assert "kubewright.cluster.reset --limit cp-2" in refused(hosts, groups)["cp-2"]
