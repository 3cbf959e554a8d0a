# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fields of the kubelet's configuration that the collection depends on."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.kubeadm import service
from ansible_collections.kubewright.cluster.plugins.plugin_utils.machine import kubelet
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import ids


@pytest.mark.parametrize("given", [{"healthzPort": 0}, {"healthzPort": 10300}, {"healthzBindAddress": "192.0.2.1"}])
def test_the_kubelet_answers_where_a_changed_node_is_asked(given):
    assert ids(kubelet.refusals(given)) == ["inputs.owned_key"]
    assert kubelet.refusals({"maxPods": 50}) == []


@pytest.mark.parametrize(
    ("cluster", "expected"),
    [
        ({"live": {"etcd_cluster": "100"}}, "100"),
        ({"live": {"etcd_cluster": None}}, ""),
        ({"live": None}, ""),
        ({}, ""),
    ],
)
def test_a_changed_control_plane_has_to_be_in_the_etcd_cluster_that_it_was_in(cluster, expected):
    """The gate compares with what the look saw before the change."""
    node, inputs = {"action": "", "role": "control_plane", "name": "cp-1"}, {"kubeadm_timeout": None}
    plan = {"control_planes": ["cp-1"], "nodes": {"cp-1": node}}
    assert service.actions(node, plan, inputs, {"cluster": cluster})["etcd_cluster"] == expected


def test_a_failed_join_is_undone_by_control_planes_that_ran_before():
    rows = {
        "cp-1": {"name": "cp-1", "address": "10.0.0.11", "joined": False, "action": "init"},
        "cp-2": {"name": "cp-2", "address": "10.0.0.12", "joined": True, "action": ""},
        "cp-3": {"name": "cp-3", "address": "10.0.0.13", "joined": False, "action": "pull"},
        "cp-4": {"name": "cp-4", "address": "10.0.0.14", "joined": False, "action": "pull"},
    }
    plan = {"control_planes": sorted(rows), "nodes": rows}
    node = {**rows["cp-3"], "role": "control_plane"}
    made = service.actions(node, plan, {"kubeadm_timeout": None}, {})
    assert made["join"]["others"] == ["10.0.0.11", "10.0.0.12"]
    worker = {**rows["cp-3"], "role": "worker"}
    assert service.actions(worker, plan, {"kubeadm_timeout": None}, {})["join"]["others"] == []
