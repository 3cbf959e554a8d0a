# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A way out is taken on every node that a message names: together they must not delete the cluster's data."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.plugins.plugin_utils.report import summary
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.clusters import running
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import ids

KINDS = pytest.mark.parametrize("kind", ["kubeadm", "k3s"])


def renamed(hosts, host):
    row = hosts[host]
    row["info"]["cluster"]["node_name"] = host
    row["inputs"] = {**row["inputs"], "kube_node_name": host + ".example.com"}


def moved(hosts, host):
    network = hosts[host]["info"]["network"]
    network["interfaces"][0]["addresses"][0]["address"] = network["probe_source"] = "10.0.0.9%s" % host[-1]


def readdressed(hosts, host):
    hosts[host]["inputs"] = {**hosts[host]["inputs"], "kube_node_ip": "10.0.0.9%s" % host[-1]}


CHANGES = [renamed, moved, readdressed]


def advice(kind, change, concerned, groups=None):
    hosts, known = running({"kube_distribution": kind}, 3, 2)
    for host in concerned:
        change(hosts, host)
    refusals = planner.cluster_plan(hosts, groups or known)["refusals"]
    ids(refusals)
    return [row["text"] for row in refusals if row["node"] in concerned]


@KINDS
@pytest.mark.parametrize("change", CHANGES)
def test_a_reset_is_no_way_out_for_several_control_planes(kind, change):
    for concerned in (["cp-1", "cp-2"], ["cp-1", "cp-2", "cp-3"]):
        found = advice(kind, change, concerned)
        assert len(found) == len(concerned) and not any("cluster.reset" in text for text in found)
        assert all("Do not reset it: the same is said of " in text for text in found)


@KINDS
@pytest.mark.parametrize("change", CHANGES)
def test_it_is_one_for_a_control_plane_while_others_serve(kind, change):
    (found,) = advice(kind, change, ["cp-2"])
    assert found.endswith("or reset it first (kubewright.cluster.reset --limit cp-2).")


@KINDS
def test_control_planes_that_became_workers_are_not_reset(kind):
    groups = {"kube_control_plane": ["cp-3"], "kube_node": ["cp-1", "cp-2", "w-1", "w-2"]}
    found = advice(kind, lambda hosts, host: None, ["cp-1", "cp-2"], groups)
    assert len(found) == 2 and not any("cluster.reset" in text for text in found)


@KINDS
def test_another_data_directory_is_not_a_reason_to_reset_control_planes(kind):
    hosts, groups = running({"kube_distribution": kind}, 3, 2)
    for row in hosts.values():
        row["inputs"] = {**row["inputs"], "kube_data_dir": "/data"}
    found = planner.cluster_plan(hosts, groups)["refusals"]
    assert set(ids(found)) == {"data_dir.fixed"}
    assert [row["node"] for row in found if "reset" in row["text"]] == ["w-1", "w-2"]


@pytest.mark.parametrize("served", [True, False])
def test_a_k3s_server_without_its_member_is_reset_only_while_another_serves(served):
    hosts, groups = running({"kube_distribution": "k3s"}, 3, 1)
    for host in ["cp-2"] if served else ["cp-1", "cp-2", "cp-3"]:
        hosts[host]["info"]["cluster"].update(datastore="removed", live=None)
    found = [row for row in planner.cluster_plan(hosts, groups)["refusals"] if row["id"] == "member.removed"]
    assert len(ids(found)) == (1 if served else 3)
    assert all(("cluster.reset" in row["text"]) is served for row in found)


@pytest.mark.parametrize("authority", ["ca", "other"])
def test_servers_with_a_database_each_are_several_clusters(authority):
    """No conversion is proposed, and one cause is one message."""
    first, groups = running({"kube_distribution": "k3s"}, 1, 0)
    second = running({"kube_distribution": "k3s"}, 1, 0)[0]["cp-1"]
    second["info"].update(hostname="cp-2", machine_id="2" * 32)
    second["info"]["cluster"]["ca_sha256"] = authority
    row = {"address": "10.0.0.12", "prefix": 24, "family": 4, "scope": "global"}
    second["info"]["network"]["interfaces"][0]["addresses"] = [row]
    second["info"]["cluster"]["live"]["nodes"] = []
    plan = planner.cluster_plan({**first, "cp-2": second}, {"kube_control_plane": ["cp-1", "cp-2"], "kube_node": []})
    found = [name for name in ids(plan["refusals"]) if name.startswith(("member.", "datastore."))]
    assert found == ["member.other_cluster" if authority == "other" else "member.several_databases"]


def test_one_fault_of_nodes_with_names_in_it_is_one_line():
    hosts, groups = running({"kube_distribution": "kubeadm"}, 1, 5)
    for host in groups["kube_node"]:
        renamed(hosts, host)
    plan = planner.cluster_plan(hosts, groups)
    (found,) = summary.sentences(plan["refusals"], plan["nodes"])
    assert found.startswith("w-1 to w-5 (5 nodes): is the node w-1 of the cluster") and found.endswith(
        "(the others alike)"
    )


def test_addresses_of_ipv6_are_alike_too():
    rows = [
        {"id": "x.y", "node": host, "text": "%s: its address 2001:db8::%s is IPv6. Set it." % (host, host)}
        for host in "abcde"
    ]
    assert len(summary.sentences(rows, "abcde")) == 1
