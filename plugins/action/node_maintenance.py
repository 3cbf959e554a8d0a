# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action plugin for the module node_maintenance: a run of this controller that was killed does not hold the lock."""

from __future__ import annotations

from ansible.plugins.action import ActionBase
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller.operations import lock_holder

MODULE = "kubewright.cluster.node_maintenance"


class ActionModule(ActionBase):
    """Runs the module, once more if the run that holds the lock has ended."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        answer = self._execute_module(MODULE, arguments, task_vars=task_vars)
        run = str(answer.get("lock_run") or "")
        if answer.get("failed") and run and lock_holder.is_gone(run):
            arguments["holder"] = {**arguments["holder"], "dead": run}
            answer = self._execute_module(MODULE, arguments, task_vars=task_vars)
        result.update(answer)
        return result
