# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action plugin for the module artifacts: brings what it needs of a directory on the controller along."""

from __future__ import annotations

import os
import shlex

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller import artifact_directory as sources


class ActionModule(ActionBase):
    """Files go into the task's own temporary directory, which goes with it: nothing is left on the node."""

    TRANSFERS_FILES = True
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        kept = boolean(arguments.get("kept", False))  # the files are on the node
        if arguments.get("from_controller") and not kept and not self._task.check_mode:
            arguments["source"] = self._bring(os.path.expanduser(arguments["source"]), arguments["items"])
        result.update(self._execute_module(module_args=arguments, task_vars=task_vars))
        return result

    def _bring(self, source, items):
        """Copy the items' files below the temporary directory. Returns their root there."""
        wanted = sources.paths(items)
        missing = [path for path in wanted if not os.path.isfile(os.path.join(source, path))]
        if missing:
            raise AnsibleActionFail("%s on the controller is missing %s" % (source, ", ".join(missing)))
        root = self._connection._shell.join_path(self._make_tmp_path(), "artifacts")
        places = sorted({os.path.dirname(path) for path in wanted})
        made = self._low_level_execute_command(
            "mkdir -p " + " ".join(shlex.quote(self._connection._shell.join_path(root, place)) for place in places)
        )
        if made["rc"]:
            raise AnsibleActionFail("no temporary directory could be made: %s" % made["stderr"].strip())
        for path in wanted:
            self._transfer_file(os.path.join(source, path), self._connection._shell.join_path(root, path))
        return root
