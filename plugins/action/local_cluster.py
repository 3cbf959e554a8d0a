# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action plugin for the module local_cluster: writes the inventory and prints what there is."""

from __future__ import annotations

import os

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.kubewright.cluster.plugins.plugin_utils.base.yaml_documents import dump
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller import kubeconfig

MODULE = "kubewright.cluster.local_cluster"
OURS = "# Written by kubewright.cluster.local."
HEADER = OURS + " Your additions go in local_vars, or in a second inventory beside this one.\n"


class ActionModule(ActionBase):
    """The inventory belongs to whoever runs Ansible; a relative path is relative to the working directory."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        path = os.path.abspath(os.path.expanduser(str(arguments.get("inventory_path") or "inventory.yml")))
        if (arguments.get("state") or "present") == "present" and not _is_ours(path):
            text = (
                "%s exists and is not an inventory of the playbook local. Nothing was changed. Move it away, or set "
                "local_inventory to another file."
            )
            raise AnsibleActionFail(text % path)
        result.update(self._execute_module(MODULE, arguments, task_vars=task_vars))
        if result.get("failed"):
            return result
        lines = list(result.get("summary") or [])
        if result.get("inventory") is not None:
            written = kubeconfig.write(path, HEADER + dump(result["inventory"]), self._task.check_mode)
            result["changed"] = bool(result.get("changed")) or written
            result["inventory"] = path  # its variables may have logins
            name = arguments.get("name")
            lines += [
                "Inventory: %s" % path,
                "Install Kubernetes: ansible-playbook kubewright.cluster.site -i %s" % path,
                "Delete the cluster: ansible-playbook kubewright.cluster.local -e local_name=%s -e local_state=absent"
                % name,
            ]
        for line in lines:
            self._display.display(str(line))
        return result


def _is_ours(path):
    """Return True if a file may be written: it does not exist, is empty, or is an inventory that was written here."""
    try:
        with open(path, "rb") as stream:
            start = stream.read(len(OURS))
    except FileNotFoundError:
        return True
    return start in (b"", OURS.encode())
