# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action plugin for the module verify_report: ends the verification, joins all nodes' checks, prints the report."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping

import ansible.constants as C
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller import kubeconfig
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller.run_store import RunStore
from ansible_collections.kubewright.cluster.plugins.plugin_utils.report import one_cluster, verify as verify_report
from ansible_collections.kubewright.cluster.plugins.plugin_utils.report.lines import Kind

SPEC = {
    "begun": {"type": "dict", "default": {}},
    "json": {"type": "path"},
    "bundle": {"type": "bool", "default": True},
    "bundle_dir": {"type": "path"},
    "brief": {"type": "bool", "default": False},
}
PROBED = "__verify_probed"
COLOURS = {Kind.FAILURE: C.COLOR_ERROR, Kind.REFUSAL: C.COLOR_ERROR, Kind.WARNING: C.COLOR_WARN}
NOTHING = "No cluster was found: none of these hosts is a node of one."


class ActionModule(ActionBase):
    """Runs on the control plane where the verification began; reads what every host registered."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        _spec, arguments = self.validate_argument_spec(SPEC)
        store = RunStore(C.DEFAULT_LOCAL_TMP)
        scope = store.get("plan", "verify")
        if scope is None:
            raise AnsibleActionFail("The cluster is not planned yet. Include the role kubewright.cluster.kube first.")
        plan, hostvars = scope["report"], task_vars["hostvars"]
        hosts = [host for host in task_vars["ansible_play_hosts_all"] if host in scope["names"]]
        begun = _begun(arguments["begun"]) if plan["control_planes"] else {"checks": []}
        probed = {host: {"name": scope["names"][host], "probed": _result(hostvars[host], PROBED)} for host in hosts}
        result.update(changed=False, healthy=True, bundle=None)
        member = any((node["probed"] or {}).get("member") for node in probed.values())
        if not member and (begun.get("nothing") or not plan["control_planes"]):
            # In check mode the cluster that another playbook would make is not there yet.
            healthy = self._task.check_mode and bool(scope.get("not_made_yet"))
            self._display.display(NOTHING, color=None if healthy else C.COLOR_ERROR)
            return {**result, "healthy": healthy, **({} if healthy else {"failed": True, "msg": NOTHING})}
        checks = list(begun["checks"])
        for node in probed.values():
            checks += list((node["probed"] or {}).get("checks") or [])
        answers = {node["name"]: node["probed"] or {} for node in probed.values()}
        told = {(item["name"], item["text"]) for item in checks}
        identity = one_cluster.checks(answers, scope["control_planes"])
        checks += [item for item in identity if (item["name"], item["text"]) not in told]
        checks += verify_report.unheard(probed) + verify_report.doubts(plan) + self._end(begun, task_vars)
        document = verify_report.document(plan, checks)
        if arguments["json"]:
            path = os.path.abspath(os.path.expanduser(arguments["json"]))
            kubeconfig.write(path, json.dumps(document, indent=2) + "\n", False)
        report = verify_report.lines(document)
        for line in verify_report.lines(document, arguments["brief"]):
            self._display.display(line.text, color=COLOURS.get(line.kind))
        store.put("plan", "report", [line.text for line in report])
        result.update(healthy=document["healthy"])
        if not document["healthy"]:
            result["bundle"] = self._bundle(arguments, task_vars)
            number = document["count"]["fail"]
            text = "1 check failed" if number == 1 else "%d checks failed" % number
            result.update(failed=True, msg="The cluster is not healthy: %s, see above." % text)
        return result

    def _bundle(self, arguments, task_vars):
        """Return the path of the support bundle, or None where none is wanted."""
        if not arguments["bundle"] or self._task.check_mode:
            return None
        inventory = task_vars.get("inventory_dir") or "."
        inside = inventory in (task_vars.get("ansible_inventory_sources") or [])
        directory = arguments["bundle_dir"] or (os.path.dirname(inventory) if inside else inventory)
        name = "kubewright-support-%s.tar.gz" % time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        return os.path.join(os.path.abspath(os.path.expanduser(directory)), name)

    def _end(self, begun, task_vars):
        """Delete the pods of the verification. A failure to do so does not make the cluster unhealthy."""
        if not begun.get("namespace"):
            return []
        arguments = {"state": "end", "namespace": begun["namespace"], "servers": begun.get("servers") or []}
        ended = self._execute_module("kubewright.cluster.cluster_verify", arguments, task_vars=task_vars)
        if not ended.get("failed") and not ended.get("unreachable"):
            return []
        hint = "`kubectl delete namespace %s`; the next verification does it too" % begun["namespace"]
        return [
            {
                "name": "clean-up",
                "status": "warn",
                "text": str(ended.get("msg")),
                "node": None,
                "hint": hint,
                "ms": None,
            }
        ]


def _result(variables, name):
    """Return a registered result, None where the task did not run."""
    found = variables.get(name)
    return found if isinstance(found, Mapping) and not found.get("skipped") else None


def _begun(registered):
    """Return what the control plane found, or a failed check if it gave no answer."""
    if registered and "begun" in registered:
        return registered["begun"]
    why = str((registered or {}).get("msg") or "it cannot be reached").strip()
    hint = "run it again: it uses another healthy control plane"
    return {
        "checks": [
            {
                "name": "API",
                "status": "fail",
                "text": "the control plane gave no answer: %s" % why,
                "node": None,
                "hint": hint,
                "ms": None,
            }
        ]
    }
