# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action plugin for the module kubeadm: what failed to join is tried again, one node at a time."""

from __future__ import annotations

import ansible.constants as C
from ansible.plugins.action import ActionBase
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
        store, host = RunStore(C.DEFAULT_LOCAL_TMP), task_vars["inventory_hostname"]
        joins = arguments.get("state") == "join" and arguments.get("control_plane")
        failed = store.get("join", "failed") if joins else None
        if failed:
            text = "%s did not begin to join, because %s failed to join. Correct that first, then run again."
            return {**result, "failed": True, "msg": text % (host, failed)}
        result.update(self._execute_module(MODULE, arguments, task_vars=task_vars))
        if arguments.get("state") != "join" or result.get("failed") or result.get("joined", True):
            return result
        with store.turn("kubeadm-join"):
            failed = store.get("join", "failed") if arguments.get("control_plane") else None
            if failed:
                # The last try removes an etcd member. After one that failed, the next could cost the quorum.
                text = (
                    "%s\nIt was not tried again and nothing was removed, because %s failed to join. Correct that first."
                )
                return {**result, "failed": True, "msg": text % (result.get("reason"), failed)}
            again = self._execute_module(MODULE, {**arguments, "last_try": True}, task_vars=task_vars)
            if again.get("failed") and arguments.get("control_plane"):
                store.put("join", "failed", host)
        return {**result, **again, "changed": True}
