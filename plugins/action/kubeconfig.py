# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action plugin for the module kubeconfig: reads admin.conf on a control plane, writes it on the controller."""

from __future__ import annotations

import base64
import os

from ansible.plugins.action import ActionBase
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller import host_inputs, kubeconfig
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import slices

SPEC = {
    "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
    "path": {"type": "path"},
    "server": {"type": "str"},
    "cluster_name": {"type": "str"},
    "merge_into": {"type": "path"},
    "source": {"type": "path", "default": "/etc/kubernetes/admin.conf"},
}
MERGED = "~/.kube/config"


class ActionModule(ActionBase):
    """The node's file travels as a module's result and is never shown."""

    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        _spec, arguments = self.validate_argument_spec(
            SPEC, required_if=[("state", "present", ["path", "server", "cluster_name"])]
        )
        if arguments["state"] == "absent":
            return {**result, **self._delete(task_vars)}
        read = self._execute_module("ansible.legacy.slurp", {"src": arguments["source"]}, task_vars=task_vars)
        if read.get("failed"):
            if self._task.check_mode:
                return {**result, "changed": True, "msg": "%s is not there yet" % arguments["source"]}
            return {**result, "failed": True, "msg": read.get("msg")}
        try:
            changed = self._write(base64.b64decode(read["content"]).decode(), arguments)
        except kubeconfig.KubeconfigError as error:
            return {**result, "failed": True, "msg": str(error)}
        return {**result, "changed": changed, "path": arguments["path"]}

    def _write(self, admin, arguments):
        """Write the kubeconfig, and merge it where that was asked for.

        Neither is changed if one of them must not be.
        """
        check = self._task.check_mode
        text = kubeconfig.rewritten(admin, arguments["server"], arguments["cluster_name"])
        other = os.path.expanduser(arguments["merge_into"]) if arguments["merge_into"] else None
        merges = kubeconfig.merge_into(other, text, check=True) if other else False
        changed = kubeconfig.save(arguments["path"], text, check)
        if merges:
            kubeconfig.merge_into(other, text, check)
        return changed or merges

    def _delete(self, task_vars):
        """Delete the file that an earlier run wrote for this cluster, unless --limit leaves a part of the cluster."""
        host, groups = task_vars["inventory_hostname"], task_vars["groups"]
        values = host_inputs.read(
            host, task_vars, lambda value, _replaced=None: self._templar.template(value), groups
        ).values
        directory = task_vars.get("inventory_dir")
        inside = directory in (task_vars.get("ansible_inventory_sources") or [])
        wanted = values["kube_kubeconfig"] or {}
        path = wanted.get("path") or slices.default_kubeconfig(directory, inside)
        if task_vars.get("ansible_limit") or not kubeconfig.is_ours(path, values["kube_cluster_name"]):
            return {"changed": False}
        if wanted.get("merge"):
            with open(path, encoding="utf-8") as stream:
                text = stream.read()
            try:
                kubeconfig.take_out(os.path.expanduser(MERGED), text, self._task.check_mode)
            except kubeconfig.KubeconfigError as error:
                return {"changed": False, "failed": True, "msg": str(error)}
        if not self._task.check_mode:
            os.unlink(path)
        return {"changed": True, "path": path}
