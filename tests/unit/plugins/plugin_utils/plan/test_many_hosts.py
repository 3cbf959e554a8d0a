# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The work of a plan grows with the number of hosts, and not with its square."""

from __future__ import annotations

import sys

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.plugins.plugin_utils.report import plan_text
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.clusters import running
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import inventory


def calls(hosts, groups):
    """Count the function calls of a plan and its text: unlike time, they are the same on every machine."""
    found = [0]

    def count(_frame, event, _argument):
        found[0] += event == "call"

    sys.setprofile(count)
    try:
        plan_text.text(planner.cluster_plan(hosts, groups))
    finally:
        sys.setprofile(None)
    return found[0]


@pytest.mark.parametrize("make", [inventory, running], ids=["new", "running"])
@pytest.mark.parametrize("distribution", ["kubeadm", "k3s"])
def test_calls_grow_with_the_hosts(make, distribution):
    def cluster(workers):
        hosts, groups = make(control_planes=3, workers=workers, inputs={"kube_distribution": distribution})
        for row in hosts.values():
            row["inputs"] = dict(row["inputs"], kube_reserved={"kube_memory": "200Mi"})
        return hosts, groups

    calls(*cluster(1))  # what is read once
    assert calls(*cluster(77)) < 2.8 * calls(*cluster(37))  # with the square it would be four times as many
