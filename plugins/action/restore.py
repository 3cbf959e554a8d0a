# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action plugin for the module restore: gives each control plane its part of the archive, reports what was restored."""

from __future__ import annotations

import base64
import zlib

import ansible.constants as C
from ansible import context
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller import archives, run_options
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller.operations.unlogged import unlogged
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller.run_store import RunStore
from ansible_collections.kubewright.cluster.plugins.plugin_utils.operations import restore

MODULE = "kubewright.cluster.restore"
STATES = ("surveyed", "prepared", "stopped", "started", "undone")
# The files of the user, which control planes that join get: kept for this run, with restore_from.
FILES = ("secret", "restore files")
# A piece of a part in one task, before it is compressed.
PIECE = 8 << 20


def _pieces(name, stream):
    """Yield a part as arguments of the module, piece by piece; one piece if it is empty."""
    offset = 0
    while True:
        block = stream.read(PIECE)
        if block or not offset:
            yield {"part": name, "offset": offset, "piece": base64.b64encode(zlib.compress(block, 1)).decode()}
        offset += len(block)
        if not block:
            return


class ActionModule(ActionBase):
    """Parts of the archive travel in pieces, as arguments that nobody is shown."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        spec = {"state": {"type": "str", "required": True, "choices": list(STATES)}}
        _spec, arguments = self.validate_argument_spec(spec)
        store = RunStore(C.DEFAULT_LOCAL_TMP)
        if arguments["state"] == "surveyed":
            return {**result, **self._surveyed(store, task_vars)}
        operation = store.get("plan", "operation") or {}
        if operation.get("name") != "restore":
            raise AnsibleActionFail("The restore was not planned. Use the playbook kubewright.cluster.restore.")
        if self._task.check_mode:
            return {**result, "changed": True}
        host = task_vars["inventory_hostname"]
        shared = {"state": arguments["state"], "name": operation["names"][host]}
        if operation.get("data_dirs", {}).get(host):
            shared["data_dir"] = operation["data_dirs"][host]
        if arguments["state"] == "undone":
            return {**result, **self._ask(shared, task_vars)}
        shared.update(archive=operation["archive_id"], at=operation["at"])
        try:
            made = getattr(self, "_" + arguments["state"])(shared, operation, store, task_vars)
        except (archives.ArchiveError, OSError) as error:
            return {**result, "failed": True, "msg": str(error), "id": getattr(error, "id", "archive.unreadable")}
        return {**result, **made}

    def _surveyed(self, store, task_vars):
        """Ask a control plane what data of etcd it has. The plan reads the answer, and says what is wrong."""
        host = task_vars["inventory_hostname"]
        look = store.get("look", host) or {}
        options = run_options.read("restore", task_vars, self._templar.template)[0]
        cluster = (look.get("info") or {}).get("cluster") or {}
        has_data = cluster.get("etcd_data") or restore.record(look.get("info"))
        if not options["from"] or options["undo"] or not has_data:
            return {"changed": False, "skipped": True}
        try:
            found = self._ask({"state": "surveyed"}, task_vars)["found"]
        except AnsibleActionFail as error:
            found = {"problem": str(error)}
        store.put("look", host, {**look, "survey": found})
        return {"changed": False}

    def _copied(self, shared, operation, store, task_vars):
        """Let the node make the parts of an archive from its own data, and etcd's data of them."""
        made = self._ask({**shared, "state": "copied"}, task_vars)
        store.put("plan", "operation", {**operation, "manifest": made["found"]["manifest"]})
        store.put(*FILES, made["files"])
        wanted = {**self._node(store, task_vars), "manifest": made["found"]["manifest"]}
        return self._ask({**shared, **wanted}, task_vars)

    def _prepared(self, shared, operation, store, task_vars):
        """Bring the archive to the node, and let it make etcd's data of the snapshot."""
        if operation["from"]:
            return self._copied(shared, operation, store, task_vars)
        manifest = operation["manifest"]
        begun = self._ask({**shared, "state": "begun", "manifest": manifest}, task_vars)
        with archives.opened(operation["archive"], self._passphrase(task_vars)) as tar:
            for name, stream in archives.parts(tar, begun["missing"]):
                for piece in _pieces(name, stream):
                    self._ask({**shared, **piece, "state": "received", "manifest": manifest}, task_vars)
        return self._ask({**shared, **self._node(store, task_vars), "manifest": manifest}, task_vars)

    def _stopped(self, shared, operation, store, task_vars):
        """Stop the control plane. Those that join get the files of the user that their arguments name."""
        host, rows = task_vars["inventory_hostname"], operation["manifest"]["parts"]
        first, files = host == operation["first"], []
        wanted = [] if first else [name for name in rows if name.startswith("files/") and rows[name].get("path")]
        contents = store.get(*FILES) or {}
        if wanted and not operation["from"]:
            with archives.opened(operation["archive"], self._passphrase(task_vars)) as tar:
                contents = {
                    name: base64.b64encode(stream.read()).decode() for name, stream in archives.parts(tar, wanted)
                }
        for name in wanted:
            known = {key: rows[name][key] for key in ("path", "mode", "owner", "group")}
            files.append({**known, "content": contents[name]})
        arguments = {**shared, "leader": operation["first"], "first": first, "files": files}
        return self._ask(arguments, task_vars)

    def _started(self, shared, operation, store, task_vars):
        """Start the first control plane, and say what was restored."""
        wanted = {key: operation[key] for key in ("manifest", "keep", "replaced")}
        made = self._ask({**shared, **wanted, **self._node(store, task_vars)}, task_vars)
        if made["wrong"]:
            counts = operation["manifest"]["datastore"]["counts"]
            rows = ["%s: %d of %d" % (kind, made["counts"].get(kind, 0), counts.get(kind, 0)) for kind in made["wrong"]]
            text = "The restored cluster does not have what was saved: %s. Do not use it; restore another archive."
            return {**made, "failed": True, "msg": text % ", ".join(rows)}
        total, kinds = sum(made["counts"].values()), len(made["counts"])
        counted = "%d objects of %d kinds, as many as were saved" % (total, kinds) if kinds else "objects not counted"
        text = "Restored on %s: %s; its API answered after %d s."
        self._display.display(text % (task_vars["inventory_hostname"], counted, made["seconds"]))
        return made

    def _node(self, store, task_vars):
        """Return what the first control plane's part of the plan says."""
        share = store.get("node", task_vars["inventory_hostname"])
        start = share["apply"]["start"]
        timeout = start.get("timeout") or share["apply"]["timeout"]
        return {"address": share["address"], "config": start.get("config") or "", "timeout": timeout}

    def _passphrase(self, task_vars):
        options = run_options.read("restore", task_vars, self._templar.template)[0]
        passphrase, problems = run_options.backups(options, task_vars, context.CLIARGS.get("extra_vars") or ())
        if problems:
            raise AnsibleActionFail(" ".join(finding.text for finding in problems))
        return passphrase

    def _ask(self, arguments, task_vars):
        """Run the module. Raise AnsibleActionFail if it fails."""
        with unlogged(self._task, self._connection):
            made = self._execute_module(MODULE, arguments, task_vars=task_vars)
        if made.get("failed"):
            raise AnsibleActionFail(str(made.get("msg")))
        made.pop("invocation", None)
        return made
