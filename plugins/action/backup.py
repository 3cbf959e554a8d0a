# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action plugin for the module backup: brings the archive to the controller, examines it, deletes older ones."""

from __future__ import annotations

import base64

import ansible.constants as C
from ansible import context
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.kubewright.cluster.plugins.module_utils.destinations import copies as kept
from ansible_collections.kubewright.cluster.plugins.module_utils.destinations.naming import prefix
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller import (
    archives,
    destinations,
    run_options,
)
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller.operations.unlogged import unlogged
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller.run_store import RunStore

MODULE = "kubewright.cluster.backup"


class ActionModule(ActionBase):
    """The archive travels in pieces, as results that nobody is shown."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        self.validate_argument_spec({})
        options, problems = run_options.read("backup", task_vars, self._templar.template)
        passphrase, more = run_options.backups(options, task_vars, context.CLIARGS.get("extra_vars") or ())
        if problems + more:
            raise AnsibleActionFail(" ".join(finding.text for finding in problems + more))
        store = RunStore(C.DEFAULT_LOCAL_TMP)
        planned = store.get("plan", "operation") or {}
        operation = planned.get("backup") or planned  # another operation that begins with a backup
        if operation.get("name") != "backup":
            raise AnsibleActionFail("The backup was not planned. Use the role kubewright.cluster.backup.")
        settings = store.get("secret", destinations.NAME) if operation is planned else None
        try:
            if (options["check"] or "").startswith(destinations.SCHEMES):
                options["check"] = destinations.fetched(settings or {}, options["check"], options["dir"], passphrase)
            if options["check"]:
                return {**result, **self._examine(options["check"], passphrase, operation["cluster"])}
            if self._task.check_mode:
                return {**result, "changed": True}
            return {**result, **self._back_up(options, passphrase, operation, settings, task_vars)}
        except (archives.ArchiveError, OSError) as error:
            return {**result, "failed": True, "msg": str(error), "id": getattr(error, "id", "archive.unreadable")}

    def _examine(self, path, passphrase, cluster):
        """Examine an archive that exists."""
        manifest = archives.examine(path, passphrase)
        archives.check_cluster(path, manifest, cluster["ca_sha256"], cluster["uid"])
        self._display.display("%s is complete: %s" % (path, archives.described(manifest)))
        return {"changed": False, "path": path, "manifest": manifest}

    def _back_up(self, options, passphrase, operation, settings, task_vars):
        """Make an archive on the node and keep it here. Nothing of it stays on the node, whatever fails."""
        receiver = None
        try:
            made = self._ask({"state": "created", "name": operation["cluster"]["name"]}, task_vars)
            receiver = archives.Receiver(options["dir"], passphrase)
            while receiver.size < made["size"]:
                piece = self._ask({"state": "read", "path": made["path"], "offset": receiver.size}, task_vars)["piece"]
                receiver.write(base64.b64decode(piece))
                if not piece:
                    break
            path = receiver.finish(made["sha256"], made["manifest"])
        finally:
            if receiver:
                receiver.discard()
            self._execute_module(MODULE, {"state": "absent"}, task_vars=task_vars)
        gone = archives.prune(options["dir"], prefix(made["manifest"]), options["keep"])
        self._display.display("Backup: %s (%s)" % (path, archives.described(made["manifest"])))
        rows = destinations.keep(settings, path, made["manifest"]) if settings else []
        shown = {"changed": True, "path": path, "size": receiver.size, "deleted": gone, "destinations": rows}
        shown.update((key, made[key]) for key in ("manifest", "seconds"))
        for row in rows:
            if not row.get("error"):
                self._display.display("Sent to %s, and read back" % row["place"])
        wrong = kept.failures(rows)
        if wrong:
            text = "The archive is in %s, and is missing at %d of %d destinations. %s"
            message = text % (path, len(wrong), len(rows), " ".join(wrong))
            shown.update(failed=True, msg=message, id=next(row["id"] for row in rows if row.get("error")))
        return shown

    def _ask(self, arguments, task_vars):
        """Run the module. Raise AnsibleActionFail if it fails."""
        with unlogged(self._task, self._connection):
            made = self._execute_module(MODULE, arguments, task_vars=task_vars)
        if made.get("failed"):
            raise AnsibleActionFail(str(made.get("msg")))
        return made
