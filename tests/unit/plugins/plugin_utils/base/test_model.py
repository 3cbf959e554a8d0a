# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documented fields of a plan are those that plans have."""

from __future__ import annotations

from ansible_collections.kubewright.cluster.plugins.plugin_utils.base import model
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import inventory


def plans():
    for inputs in ({}, {"kube_distribution": "k3s"}, {"kube_version": "1.0"}):
        yield planner.cluster_plan(*inventory(3, 1, inputs))


def test_every_field_of_a_plan_is_documented_and_exists():
    assert {key for plan in plans() for key in plan} == set(model.Plan.__annotations__)


def test_every_field_of_a_node_is_documented_and_exists():
    found = {key for plan in plans() for node in plan["nodes"].values() for key in node}
    assert found == set(model.PlanNode.__annotations__)
