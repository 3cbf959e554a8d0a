# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action plugin for the module support_bundle: brings each node's part to the controller, packs all into one file."""

from __future__ import annotations

import base64
import os

from ansible.plugins.action import ActionBase
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller import support_bundle

SPEC = {
    "path": {"type": "path", "required": True},
    "state": {"type": "str", "default": "gathered", "choices": ["gathered", "packed"]},
    "api": {"type": "bool", "default": False},
    "report": {"type": "list", "elements": "str", "default": []},
}


class ActionModule(ActionBase):
    """The part travels as the module's result and is taken out of it before anyone shows that."""

    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        _spec, arguments = self.validate_argument_spec(SPEC)
        path = os.path.abspath(os.path.expanduser(arguments["path"]))
        if arguments["state"] == "packed":
            hosts = support_bundle.pack(path, arguments["report"])
            return {**result, "changed": False, "path": path, "hosts": hosts}
        host = task_vars["inventory_hostname"]
        made = self._execute_module(
            "kubewright.cluster.support_bundle", {**arguments, "path": path, "host": host}, task_vars=task_vars
        )
        archive = made.pop("archive", None)
        if archive:
            support_bundle.keep(path, host, base64.b64decode(archive))
        return {**result, **made, "changed": False}
