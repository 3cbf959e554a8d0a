# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action plugin for the module k3s: brings the node's tokens along, and lets servers join one at a time."""

from __future__ import annotations

import contextlib

import ansible.constants as C
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller.joins import Joins
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller.run_store import RunStore, TurnError

MODULE = "kubewright.cluster.k3s"
# The module's own default, and what the transfer of the module may take more, in seconds.
TIMEOUT, SLACK_SECONDS = 300, 120


class ActionModule(ActionBase):
    """Tokens come from the run's own files and pass no template."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        store = RunStore(C.DEFAULT_LOCAL_TMP)
        secret = store.get("secret", task_vars["inventory_hostname"]) or {}
        if arguments.get("state") == "credentials":
            return {**result, **self._credentials(store, arguments, task_vars)}
        if "init" in arguments and secret.get("token"):
            arguments.setdefault("token", secret["token"])
        if not boolean(arguments.get("joins", False)):
            result.update(self._execute_module(MODULE, arguments, task_vars=task_vars))
            if arguments.get("version") and not result.get("failed") and not self._task.check_mode:
                values = (arguments.get("node_name"), arguments["version"], result.get("seconds") or 0)
                self._display.display("%s: K3s %s in %.0f s" % values)
            return result
        if secret.get("join_token") and not arguments.get("credentials"):
            arguments["credentials"] = {"agent": secret["join_token"]}
        joins = Joins(store, task_vars["inventory_hostname"], arguments.get("role") == "server")
        # A second member that learns at the same time is refused by etcd.
        seconds = int(arguments.get("timeout") or TIMEOUT) + SLACK_SECONDS
        turn = store.turn("k3s-join", task_vars["inventory_hostname"], seconds, self._display.display)
        try:
            with turn if arguments.get("role") == "server" else contextlib.nullcontext():
                result.update(joins.begin(lambda: self._execute_module(MODULE, arguments, task_vars=task_vars)))
        except TurnError as error:
            return {**result, "failed": True, "msg": str(error)}
        if result.get("failed") or result.get("unreachable") or self._task.check_mode:
            return result
        kept = {key: arguments[key] for key in ("node_name", "role", "data_dir", "timeout") if key in arguments}
        ready = joins.tried(lambda: self._execute_module(MODULE, {**kept, "state": "started"}, task_vars=task_vars))
        return {**ready, "changed": True} if ready.get("failed") else result

    def _credentials(self, store, arguments, task_vars):
        """Read the tokens on a server that runs; without one, and before there is one, there are none."""
        if self._task.check_mode or not (store.get("plan", "cluster") or {"leader": True})["leader"]:
            return {"changed": False, "credentials": {}}
        return self._execute_module(MODULE, arguments, task_vars=task_vars)
