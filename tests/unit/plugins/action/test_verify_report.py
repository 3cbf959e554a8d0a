# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A verification without a cluster is a failure: a monthly check must not be green when the cluster is gone."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.action import verify_report

NOTHING = "There is no cluster to verify: none of these hosts is a node of one."


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize("control_planes", [["cp-1"], []])
def test_no_cluster_at_all(action, store, check_mode, control_planes):
    report = {"name": "kubernetes", "version": None, "control_planes": control_planes, "refusals": []}
    store.put("plan", "verify", {"report": report, "names": {"cp-1": "cp-1"}})
    begun = {"begun": {"nothing": True, "checks": []}}
    made = action(verify_report.ActionModule, {"begun": begun}, check_mode=check_mode)
    variables = {"hostvars": {"cp-1": {}}, "ansible_play_hosts_all": ["cp-1"]}
    result = made.run(task_vars=variables)
    # In check mode a new cluster is not there yet.
    assert result["healthy"] is check_mode and bool(result.get("failed")) is not check_mode
    assert [line for line, _colour in made._display.lines] == [NOTHING]
