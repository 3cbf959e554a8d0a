# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action plugin for the module kubeadm: what failed to join is tried again, one node at a time."""

from __future__ import annotations

import ansible.constants as C
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller.joins import Joins
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller.run_store import RunStore, TurnError

MODULE = "kubewright.cluster.kubeadm"
# The module's own default, in seconds. A host's last try resets it, joins, and waits until a former Node is not Ready.
TIMEOUT, SLACK_SECONDS = 600, 300


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
        host, seconds = task_vars["inventory_hostname"], 3 * int(arguments.get("timeout") or TIMEOUT) + SLACK_SECONDS
        try:
            with store.turn("kubeadm-join", host, seconds, self._display.display):
                again = joins.again(str(result.get("reason")), lambda: execute(last_try=True))
        except TurnError as error:
            return {**result, "failed": True, "msg": "%s\nIts first try: %s" % (error, result.get("reason"))}
        return {**result, **again, "changed": True}
