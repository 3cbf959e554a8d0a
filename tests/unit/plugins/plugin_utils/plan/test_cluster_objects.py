# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.api.owned_objects import ANNOTATION
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import cluster_objects as labels

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


def test_without_a_control_plane_of_ours_there_is_nothing_to_tell():
    assert labels.not_applied({**PLAN, "leader": None}, [], ["w-1"]) == []
