# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A control plane that is silent while others serve is named, and no other one is changed meanwhile."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import membership, planner, slices
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import applied, inventory


@pytest.fixture
def cluster(request):
    """(hosts, groups) of three control planes and a worker, cp-2 silent."""
    hosts, groups = inventory(3, 1, {"kube_distribution": request.param})
    plan = planner.cluster_plan(hosts, groups)
    for host, row in hosts.items():
        row["info"] = applied(row["info"], plan["nodes"][host], plan)
        row["info"]["cluster"].update(node_name=host, finished=True)
    hosts["cp-2"]["info"]["cluster"]["live"] = {"api_port": 6443, "healthy": False, "nodes": [], "error": "timed out"}
    return hosts, groups


BOTH = pytest.mark.parametrize("cluster", ["kubeadm", "k3s"], indirect=True)


def change(hosts, names):
    """Damage a file of the runtime or of K3s's configuration, which restarts a service."""
    for name in names:
        files = hosts[name]["info"]["files"]
        path = next(path for path in files if path.endswith(("containerd/config.toml", "k3s/config.yaml")))
        files[path] = {**files[path], "sha256": "0" * 64}


@BOTH
def test_it_is_named_and_nothing_else_happens(cluster):
    plan = planner.cluster_plan(*cluster)
    assert plan["refusals"] == []
    assert [row for row in described(plan["warnings"]) if row.startswith("member.api_silent")] == [
        "member.api_silent node=cp-2 value=timed out"
    ]
    assert not any(node["stages"] for node in plan["nodes"].values() if "leader" not in node["stages"])


@BOTH
def test_another_control_plane_is_not_changed_meanwhile(cluster):
    change(cluster[0], ["cp-1", "cp-3"])
    assert described(planner.cluster_plan(*cluster)["refusals"]) == [
        "member.change_waits value=['cp-1', 'cp-3'] limit=['cp-2']"
    ]


@BOTH
def test_a_worker_may_change_meanwhile(cluster):
    change(cluster[0], ["w-1"])
    plan = planner.cluster_plan(*cluster)
    assert plan["refusals"] == [] and plan["nodes"]["w-1"]["stages"]


@BOTH
def test_the_silent_one_may_be_what_this_run_repairs(cluster):
    change(cluster[0], ["cp-1", "cp-2"])
    plan = planner.cluster_plan(*cluster)
    assert plan["refusals"] == [] and "change" in plan["nodes"]["cp-2"]["stages"]
    infos = {host: row["info"] for host, row in cluster[0].items()}
    assert slices.in_order(plan, infos) == ["cp-2", "cp-1", "cp-3", "w-1"]


@BOTH
def test_one_that_has_not_finished_its_join_is_not_silent(cluster):
    hosts, _groups = cluster
    assert membership.is_silent(hosts["cp-2"]["info"])
    hosts["cp-2"]["info"]["cluster"]["finished"] = False
    assert not membership.is_silent(hosts["cp-2"]["info"])
    assert not membership.is_silent({})
