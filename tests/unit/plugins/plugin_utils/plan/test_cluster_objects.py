# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.api.owned_objects import ANNOTATION
from ansible_collections.kubewright.cluster.plugins.plugin_utils.inputs import schema
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import cluster_objects as labels, planner
from ansible_collections.kubewright.cluster.plugins.plugin_utils.report import plan_page
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import inventory

SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\nstringData: {password: hunter2}\n"
WISHES = {"cp-1": {"labels": {}, "taints": None}, "w1.example": {"labels": {"disk": "ssd"}, "taints": None}}
PLAN = {"leader": "cp-1", "nodes": {"cp-1": {"name": "cp-1"}, "w-1": {"name": "w1.example"}}, "objects": WISHES}
SET = {
    "name": "w1.example",
    "labels": {"disk": "ssd"},
    "annotations": {ANNOTATION: '{"labels": ["disk"], "taints": []}'},
    "taints": [],
}


@pytest.mark.parametrize(
    ("live", "part", "left"),
    [
        ([], ["w-1"], ["w-1"]),
        ([{**SET, "labels": {"disk": "hdd"}}], ["w-1"], ["w-1"]),
        ([SET], ["w-1"], []),
        ([], ["cp-1", "w-1"], []),
        ([], ["elsewhere"], []),
    ],
    ids=[
        "it joins now",
        "it has another label",
        "it has its label",
        "the control plane takes part",
        "no node of the cluster",
    ],
)
def test_labels_that_nobody_sets_are_told(live, part, left):
    assert labels.not_applied(PLAN, live, part) == left


def test_the_plan_has_digests_of_the_users_manifests():
    """Whatever prints or keeps a plan: planner, page, cluster_plan."""
    given = [{"name": "db", "content": SECRET}, {"name": "gone", "state": "absent"}, {"name": "file", "src": "x.yaml"}]
    hosts, groups = inventory(1, 1, {"kube_manifests": given})
    plan = planner.cluster_plan(hosts, groups)
    assert plan["refusals"] == [] and "hunter2" not in repr(plan) and "hunter2" not in plan_page.html(plan)
    described = {row["name"]: row for row in plan["manifests"]}
    assert len(described["db"]["sha256"]) == 64
    values = schema.validate(hosts["cp-1"]["inputs"])[0]["kube_manifests"]
    made = {row["name"]: row for row in labels.complete(plan["manifests"], values, {"file": "kind: X"})}
    assert made["db"] == {"name": "db", "state": "present", "content": SECRET}
    assert made["gone"]["state"] == "absent" and made["file"]["content"] == "kind: X"


def test_a_secret_that_differs_between_hosts_is_not_in_the_refusal():
    hosts, groups = inventory(1, 1, {"kube_manifests": [{"name": "db", "content": SECRET}]})
    hosts["w-1"]["inputs"] = {}
    refusals = planner.cluster_plan(hosts, groups)["refusals"]
    assert [row["id"] for row in refusals] == ["inputs.differ"] and "hunter2" not in repr(refusals)


def test_without_a_control_plane_of_ours_there_is_nothing_to_tell():
    assert labels.not_applied({**PLAN, "leader": None}, [], ["w-1"]) == []
