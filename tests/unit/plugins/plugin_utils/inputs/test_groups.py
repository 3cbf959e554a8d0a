# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that the inventory counts to the cluster and whose groups give no role: none is left out without a word."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.inputs.groups import misspelt, without_role
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described

LEFT_OUT = [
    # Inventories of public repositories.
    ({"server": ["a"], "agents": ["b", "c"], "k3s_cluster": ["a", "b", "c"]}, "b, c", "k3s_cluster"),
    ({"server": ["a"], "workers": ["b"], "k3s_cluster": ["a", "b"]}, "b", "k3s_cluster"),
    (
        {"master": ["a"], "additional_master": ["b", "c"], "node": ["d"], "k3s_cluster": ["a", "b", "c", "d"]},
        "b, c",
        "k3s_cluster",
    ),
    (
        {"kube-master": ["a"], "kube-node": ["b"], "kube-ingress": ["c"], "k8s-cluster": ["a", "b", "c"]},
        "c",
        "k8s-cluster",
    ),
    ({"kube_control_plane": ["a"], "k8s_cluster": ["a", "b"]}, "b", "k8s_cluster"),
]


@pytest.mark.parametrize(("groups", "hosts", "cluster"), LEFT_OUT)
def test_hosts_without_a_role_are_refused(groups, hosts, cluster):
    groups = {"all": groups[cluster], **groups}
    (found,) = without_role(groups)
    assert described([vars(found)]) == ["groups.no_role value=%s limit=%s" % (hosts, cluster)]
    text = found.text
    assert (
        "or take %s out of %s." % ("it" if len(hosts) == 1 else "them", cluster) in text and "all" not in text.split()
    )


@pytest.mark.parametrize(
    "groups",
    [
        {"kube_control_plane": ["a"], "kube_node": ["b"], "k8s_cluster": ["a", "b"]},
        {"kube_control_plane": ["a"], "calico_rr": ["r"], "k8s_cluster": ["a", "r"]},
        {"kube_control_plane": ["a"], "zabbix": ["z"], "workers": ["q"]},  # of other software
        {"k3s_cluster": ["a", "b"]},  # PyratLabs' role gives roles by a variable
    ],
)
def test_other_hosts_are_not(groups):
    assert without_role(groups) == []


def test_a_group_that_is_misspelt_is_said_once():
    groups = {"kube_control_plane": ["a"], "kube_nodes": ["b"], "k8s_cluster": ["a", "b"]}
    assert len(misspelt(groups)) == 1 and without_role(groups) == []


def test_another_cluster_in_the_inventory_is_not_put_into_this_one():
    groups = {
        "kube_control_plane": ["m"],
        "kube_node": ["n"],
        "server": ["s"],
        "agent": ["a"],
        "k3s_cluster": ["s", "a"],
    }
    (found,) = without_role(groups)
    assert described([found]) == ["groups.no_role value=a, s limit=k3s_cluster"]
    assert "An inventory is one cluster: if these hosts are another one, give them an inventory." in found.text


def test_groups_for_lost_control_planes_are_not_misspelt_ones():
    groups = {
        "kube_control_plane": ["a"],
        "broken_kube_control_plane": ["b"],
        "broken_etcd": ["b"],
        "k8s_cluster": ["a"],
    }
    assert misspelt(groups) == [] and without_role(groups) == []


@pytest.mark.parametrize("name", ["rke2", "k8s"])
def test_groups_of_other_distributions_show_the_roles(name):
    servers, agents = {"rke2": ("servers", "agents"), "k8s": ("masters", "workers")}[name]
    groups = {"%s_%s" % (name, servers): ["s"], "%s_%s" % (name, agents): ["a"], "%s_cluster" % name: ["s", "a"]}
    assert [found.limit for found in misspelt(groups)] in (
        ["kube_node", "kube_control_plane"],
        ["kube_control_plane", "kube_node"],
    )
