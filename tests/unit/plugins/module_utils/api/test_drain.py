# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods are asked for first, evicted within their budgets, and only what is ours is uncordoned."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.api import drain, owned_objects
from ansible_collections.kubewright.cluster.tests.unit.plugins.module_utils.api.fake_api import FakeApi, pod

NODE = "/api/v1/nodes/w1"
BUDGET = "Cannot evict pod as it would violate the pod's disruption budget."


@pytest.fixture
def api():
    static = pod("etcd-w1", metadata={"annotations": {drain.MIRROR: "x"}})
    done = pod("done", owner="Job")
    done[1]["status"]["phase"] = "Succeeded"
    made = [pod("web"), pod("proxy", owner="DaemonSet"), static, done, pod("other", node="w2")]
    return FakeApi({NODE: {"metadata": {"name": "w1"}, "spec": {}}, **dict(made)})


def test_daemons_static_pods_and_ended_ones_stay(api):
    assert drain.evict(api, "w1", 5, sleep=lambda _s: None) == 1
    assert api.evicted == ["web"]


def test_a_budget_is_named_before_anything_changes(api):
    api.evictions["web"] = (429, BUDGET)
    found = drain.obstacles(api, "w1")
    assert found.blocked == ["default/web: HTTP 429, " + BUDGET] and not found.lost and not api.evicted


def test_what_would_be_lost_is_named(api):
    claim = {"name": "data", "persistentVolumeClaim": {"claimName": "data-0"}}
    api.objects.update([pod("bare", owner=""), pod("db-0", owner="StatefulSet", volumes=[claim])])
    api.objects["/api/v1/namespaces/default/persistentvolumeclaims/data-0"] = {"spec": {"volumeName": "pv-1"}}
    api.objects["/api/v1/persistentvolumes/pv-1"] = {"spec": {"local": {"path": "/data"}}}
    lost = drain.obstacles(api, "w1").lost
    assert lost == [
        "default/bare has no controller that creates it again",
        "default/db-0 uses the claim data-0, whose volume is on the node's own disk",
    ]
    assert not api.evicted


def test_a_blocked_pod_is_tried_again_until_it_may_go(api):
    api.evictions["web"] = (429, BUDGET)
    rounds = []

    def sleep(_seconds):
        rounds.append(1)
        if len(rounds) == 3:
            api.evictions.clear()

    assert drain.evict(api, "w1", 60, sleep=sleep) == 1 and len(rounds) == 4


def test_after_the_time_limit_the_pods_and_reasons_are_named(api):
    api.evictions["web"] = (429, BUDGET)
    with pytest.raises(drain.DrainError) as failed:
        drain.evict(api, "w1", -1, sleep=lambda _s: None)
    assert "default/web: HTTP 429, " + BUDGET in str(failed.value)


def test_only_our_own_cordon_is_undone(api):
    assert drain.cordon(api, "w1", "remove") and not drain.cordon(api, "w1", "remove")
    assert api.objects[NODE]["spec"]["unschedulable"]
    assert drain.uncordon(api, "w1") and not api.objects[NODE]["spec"]
    api.objects[NODE]["spec"]["unschedulable"] = True  # somebody else's
    assert not drain.cordon(api, "w1", "remove") and not drain.uncordon(api, "w1")
    assert api.objects[NODE]["spec"]["unschedulable"]


def test_objects_of_static_pods_go_with_their_node(api):
    drain.forget_static_pods(api, "w1")
    assert api.deleted == ["/api/v1/namespaces/default/pods/etcd-w1"]


def test_site_undoes_the_cordon_of_an_interrupted_run(api):
    drain.cordon(api, "w1", "remove")
    patch = owned_objects.node_patch(api.objects[NODE], {"labels": {}, "taints": None})
    assert patch == {"spec": {"unschedulable": None}, "metadata": {"annotations": {drain.CORDONED: None}}}
    drain.uncordon(api, "w1")
    api.objects[NODE]["spec"]["unschedulable"] = True  # somebody else's
    assert owned_objects.node_patch(api.objects[NODE], {"labels": {}, "taints": None}) == {}
