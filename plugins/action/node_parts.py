# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action plugin for the module node_parts: writes the files of parts of a node, then starts their services."""

from __future__ import annotations

import base64

import ansible.constants as C
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.kubewright.cluster.plugins.module_utils.node import paths
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller.run_store import RunStore
from ansible_collections.kubewright.cluster.plugins.plugin_utils.machine import backup_program, backup_schedule
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan.slices import PARTS

SPEC = {"parts": {"type": "list", "elements": "str", "required": True, "choices": list(PARTS)}}
WITH_CREDENTIALS = ("containerd", "k3s", "endpoint", "backup")
# Steps that write files with credentials.
WRITING_CREDENTIALS = {"credentials", "endpoint", "backup"}
# Files that the plan has only the digest of: they are built here.
BUILT = {backup_schedule.BUILT: backup_program.content}


class ActionModule(ActionBase):
    """Two or three round trips for all parts together, and one line of output."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        _spec, arguments = self.validate_argument_spec(SPEC)
        store = RunStore(C.DEFAULT_LOCAL_TMP)
        node = store.get("node", task_vars["inventory_hostname"])
        if node is None:
            raise AnsibleActionFail("This host is not planned yet. Include the role kubewright.cluster.kube first.")
        parts = [part for part in PARTS if part in arguments["parts"]]
        result.update(changed=False, changed_paths=[], services=[], diff=[])
        # A service is stopped while it still has its unit.
        self._services(result, parts, node, task_vars, stopped=True)
        secret = store.get("secret", node["host"]) or {}
        if WRITING_CREDENTIALS & set(node["steps"]) and set(parts) & set(WITH_CREDENTIALS):
            self._files(result, secret.get("files") or [], task_vars, secret=True)
        entries = [entry for part in parts if part in node["steps"] for entry in node["files"][part]]
        self._forget_backups(entries, task_vars)
        self._files(result, entries, task_vars)
        if not self._task.check_mode or node["joined"]:  # before a unit's file is there, there is nothing to predict
            self._services(result, parts, node, task_vars, stopped=False)
        return result

    def _services(self, result, parts, node, task_vars, stopped):
        """Stop the services of these parts that go, or start those that stay."""
        for unit in (unit for part in parts for unit in PARTS[part] if unit in node["services"]):
            if (node["services"][unit] == "stopped") is stopped:
                self._service(result, unit, node["services"][unit], task_vars)

    def _files(self, result, entries, task_vars, secret=False):
        """Write files. Of those with secrets only the paths come back."""
        if not entries:
            return
        former, self._task.no_log = self._task.no_log, bool(secret or self._task.no_log)
        try:
            arguments = {"files": [_built(entry) for entry in entries]}
            made = self._execute_module("kubewright.cluster.files", arguments, task_vars=task_vars)
        finally:
            self._task.no_log = former
        if made.get("failed"):
            raise AnsibleActionFail(str(made.get("msg")))
        result["changed"] = result["changed"] or made["changed"]
        result["changed_paths"] += made["changed_paths"]
        result["diff"] += [] if secret else made.get("diff") or []

    def _forget_backups(self, entries, task_vars):
        """Delete the record of scheduled backups if their program goes. A silent API keeps it: a small Lease."""
        gone = any(entry["path"] == paths.BACKUP_PROGRAM and entry.get("state") == "absent" for entry in entries)
        if gone and not self._task.check_mode:
            self._execute_module("kubewright.cluster.backup", {"state": "forgotten"}, task_vars=task_vars)

    def _service(self, result, unit, state, task_vars):
        """Start, restart, stop or only enable a unit."""
        arguments = {"name": unit, "enabled": state != "stopped", "daemon_reload": state != "stopped"}
        if state != "enabled":
            arguments["state"] = state
        made = self._execute_module("ansible.legacy.systemd_service", arguments, task_vars=task_vars)
        if made.get("failed"):
            raise AnsibleActionFail("%s: %s" % (unit, made.get("msg")))
        result["changed"] = result["changed"] or bool(made.get("changed"))
        result["services"].append(unit)


def _built(entry):
    """Return a file with its content, as the module files takes it."""
    if "built" not in entry:
        return entry
    content = base64.b64encode(BUILT[entry["built"]]()).decode()
    return {"path": entry["path"], "mode": entry["mode"], "content": content, "encoding": "base64"}
