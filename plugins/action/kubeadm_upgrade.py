# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action plugin for the module kubeadm_upgrade: says what was done on which node, and how long it took."""

from __future__ import annotations

from ansible.plugins.action import ActionBase

MODULE = "kubewright.cluster.kubeadm_upgrade"


class ActionModule(ActionBase):
    """Prints a line when a control plane has its new version."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        result.update(self._execute_module(MODULE, dict(self._task.args), task_vars=task_vars))
        arguments = self._task.args
        if arguments.get("state") == "control_plane" and not result.get("failed") and not self._task.check_mode:
            etcd = ", etcd %s" % arguments["etcd_tag"] if arguments.get("etcd_tag") else ""
            values = (arguments.get("name"), arguments.get("version"), etcd, result.get("seconds") or 0)
            self._display.display("%s: control plane %s%s in %.0f s" % values)
        return result
