# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A part of the facts that could not be read is unknown, not absent: the plan refuses."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.detect.look import EMPTY
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described, ids
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import inventory


@pytest.mark.parametrize(
    "part", ["architecture", "cluster", "files", "services", "artifacts", "network", "owned", "occupied"]
)
def test_an_unknown_part_is_refused(part):
    hosts, groups = inventory()
    hosts["w-1"]["info"].update({part: EMPTY.get(part), "failed_parts": {part: "OSError: broken"}})
    plan = planner.cluster_plan(hosts, groups)
    assert described(plan["refusals"]) == ["look.part_failed node=w-1 value=%s" % part]


def test_a_part_that_decides_nothing_is_only_a_warning():
    hosts, groups = inventory()
    hosts["w-1"]["info"]["failed_parts"] = {"gpus": "OSError: broken"}
    assert "look.part_failed" not in ids(planner.cluster_plan(hosts, groups)["refusals"])
