# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""node_maintenance: the lock of a run that was killed on this controller is taken over, that of a living one is not."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.action import node_maintenance

ARGUMENTS = {
    "state": "entered",
    "name": "w1",
    "holder": {"name": "alice@laptop", "operation": "site", "run": "here/2-2"},
}
LOCKED = {"failed": True, "msg": "bob@build is changing this cluster", "lock_run": "here/1-1"}
DONE = {"changed": False, "changes": []}


@pytest.mark.parametrize("gone", [True, False])
def test_a_run_that_has_ended_does_not_hold_the_lock(action, monkeypatch, gone):
    monkeypatch.setattr(node_maintenance.lock_holder, "is_gone", lambda run: gone and run == "here/1-1")
    made = action(node_maintenance.ActionModule, ARGUMENTS, [LOCKED, DONE])
    result = made.run(task_vars={})
    assert len(made.asked) == 1 + gone and bool(result.get("failed")) is not gone
    if gone:
        assert made.asked[1][1]["holder"] == {**ARGUMENTS["holder"], "dead": "here/1-1"}


@pytest.mark.parametrize("answer", [DONE, {"failed": True, "msg": "etcd does not answer"}])
def test_other_results_are_handed_on(action, answer):
    made = action(node_maintenance.ActionModule, ARGUMENTS, [answer])
    result = made.run(task_vars={})
    assert {name: result[name] for name in answer} == answer and len(made.asked) == 1
