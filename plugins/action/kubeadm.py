# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action plugin for the module kubeadm: what failed to join is tried again, one node at a time."""

from __future__ import annotations

import ansible.constants as C
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller.joins import Joins
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller.run_store import RunStore

MODULE = "kubewright.cluster.kubeadm"


class ActionModule(ActionBase):
    """All nodes join at once; a lock on the controller gives those that could not a turn of their own."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        if arguments.get("state") == "credentials" and self._task.check_mode:
            return {**result, "changed": False, "credentials": {}}
        store = RunStore(C.DEFAULT_LOCAL_TMP)
        joins = Joins(store, task_vars["inventory_hostname"], boolean(arguments.get("control_plane", False)))

        def execute(**more):
            return self._execute_module(MODULE, {**arguments, **more}, task_vars=task_vars)

        if arguments.get("state") != "join":
            return {**result, **execute()}
        result.update(joins.begin(execute))
        if result.get("failed") or result.get("unreachable") or result.get("joined", True):
            return result
        with store.turn("kubeadm-join"):
            again = joins.again(str(result.get("reason")), lambda: execute(last_try=True))
        return {**result, **again, "changed": True}
