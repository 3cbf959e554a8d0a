# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan shows what site changes through the API, and which files of others it replaces."""

from __future__ import annotations

import json

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.api.owned_objects import ANNOTATION
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.plugins.plugin_utils.report import plan_text, todo
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.clusters import running, with_inputs
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import inventory


def labelled(hosts, labels, taints):
    """The same cluster, whose API says that an earlier run set these on w-1."""
    record = {"labels": sorted(labels), "taints": [[taint["key"], taint["effect"]] for taint in taints]}
    for row in hosts.values():
        for node in (row["info"]["cluster"]["live"] or {}).get("nodes", []):
            if node["name"] == "w-1":
                node.update(labels=dict(labels), taints=taints, annotations={ANNOTATION: json.dumps(record)})
    return hosts


@pytest.mark.parametrize("distribution", ["kubeadm", "k3s"])
def test_labels_and_taints_are_shown(distribution):
    hosts, groups = running({"kube_distribution": distribution})
    labelled(hosts, {"disk": "hdd", "old": "1"}, [{"key": "gone", "value": "", "effect": "NoSchedule"}])
    hosts["w-1"]["inputs"] = {**hosts["w-1"]["inputs"], "kube_node_labels": {"disk": "ssd"}}
    hosts["w-1"]["inputs"]["kube_node_taints"] = ["gpu=true:NoExecute"]
    plan = planner.cluster_plan(hosts, groups)
    assert plan["nodes"]["w-1"]["object_changes"] == [
        "set label disk=ssd",
        "remove label old",
        "set taint gpu=true:NoExecute",
        "remove taint gone:NoSchedule",
    ]
    assert plan["nodes"]["w-1"]["stages"] == [] and plan["nodes"]["cp-1"]["object_changes"] == []
    text = "\n".join(plan_text.text(plan))
    assert "set label disk=ssd" in text and "nothing to do" not in text


@pytest.mark.parametrize("distribution", ["kubeadm", "k3s"])
def test_labels_and_taints_of_a_new_cluster_are_shown(distribution):
    hosts, groups = inventory(1, 2, {"kube_distribution": distribution})
    hosts["w-1"]["inputs"] = {**hosts["w-1"]["inputs"], "kube_node_labels": {"disk": "ssd"}}
    hosts["w-1"]["inputs"]["kube_node_taints"] = ["gpu=true:NoExecute"]
    plan = planner.cluster_plan(hosts, groups)
    assert plan["nodes"]["w-1"]["object_changes"] == ["set label disk=ssd", "set taint gpu=true:NoExecute"]
    assert plan["nodes"]["w-2"]["object_changes"] == plan["nodes"]["cp-1"]["object_changes"] == []


def test_labels_that_are_there_are_no_change():
    hosts, groups = running()
    labelled(hosts, {"disk": "ssd"}, [])
    hosts["w-1"]["inputs"] = {**hosts["w-1"]["inputs"], "kube_node_labels": {"disk": "ssd"}}
    plan = planner.cluster_plan(hosts, groups)
    assert all(node["object_changes"] == [] for node in plan["nodes"].values())
    assert "nothing to do" in "\n".join(plan_text.text(plan))


def test_dropped_labels_are_shown():
    hosts, groups = running()
    labelled(hosts, {"disk": "ssd"}, [])
    changed = planner.cluster_plan(with_inputs(hosts, kube_node_labels=None), groups)
    assert changed["nodes"]["w-1"]["object_changes"] == ["remove label disk"]


def test_files_of_others_that_are_replaced_are_named():
    hosts, groups = inventory(1, 1)
    theirs = {"sha256": "0", "mode": "0644", "size": 9, "mtime": 1.0, "owned": False}
    hosts["w-1"]["info"]["files"] = {"/etc/containerd/config.toml": theirs, "/etc/rancher/k3s/config.yaml": theirs}
    plan = planner.cluster_plan(hosts, groups)
    assert described(plan["warnings"]) == ["files.replaced node=w-1 value=/etc/containerd/config.toml"]


@pytest.mark.parametrize(("distribution", "service"), [("kubeadm", "kubelet"), ("k3s", "k3s-agent")])
def test_services_that_restart_are_named_and_their_files_once(distribution, service):
    hosts, groups = running({"kube_distribution": distribution})
    plan = planner.cluster_plan(with_inputs(hosts, kubelet_config={"maxPods": 51}), groups)
    words = "; ".join(task.text for task in todo.tasks(plan) if "w-1" in task.hosts)
    assert words.endswith("; restart " + service) and words.count("differs") == 1 and " changes" not in words
