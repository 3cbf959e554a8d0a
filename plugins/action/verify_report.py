# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action plugin for the module verify_report: ends the proof and puts all nodes' checks together."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping

from ansible.plugins.action import ActionBase
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller import kubeconfig
from ansible_collections.kubewright.cluster.plugins.plugin_utils.report import verify as verify_report

SPEC = {
    "plan": {"type": "dict", "required": True},
    "json": {"type": "path"},
    "bundle_dir": {"type": "path"},
}


class ActionModule(ActionBase):
    """Runs on the control plane where the proof began; reads what every host registered."""

    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        _spec, arguments = self.validate_argument_spec(SPEC)
        plan, hostvars = arguments["plan"], task_vars["hostvars"]
        hosts = [host for host in task_vars["ansible_play_hosts_all"] if host in plan["nodes"]]
        begun = _begun(_result(task_vars, "verify_begun")) if plan["control_planes"] else {"checks": []}
        probed = {
            host: {"name": plan["nodes"][host]["name"], "probed": _result(hostvars[host], "verify_probed")}
            for host in hosts
        }
        result.update(changed=False, healthy=True, bundle=None, report=[], _ansible_verbose_always=True)
        if begun.get("nothing") and not any((node["probed"] or {}).get("member") for node in probed.values()):
            return {**result, "report": ["There is nothing to verify: none of these hosts is a node of a cluster."]}
        checks = list(begun["checks"])
        for node in probed.values():
            checks += list((node["probed"] or {}).get("checks") or [])
        checks += verify_report.unheard(probed) + verify_report.doubts(plan) + self._end(begun, task_vars)
        document = verify_report.document(plan, checks)
        if arguments["json"]:
            kubeconfig.write(arguments["json"], json.dumps(document, indent=2) + "\n", False)
        result.update(healthy=document["healthy"], report=verify_report.text(document))
        if not document["healthy"] and arguments["bundle_dir"]:
            name = "kubewright-support-%s.tar.gz" % time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
            result["bundle"] = os.path.join(arguments["bundle_dir"], name)
        return result

    def _end(self, begun, task_vars):
        """Take the pods away. That it did not work is no failure of the cluster's."""
        if not begun.get("namespace"):
            return []
        arguments = {"state": "end", "namespace": begun["namespace"], "servers": begun.get("servers") or []}
        ended = self._execute_module("kubewright.cluster.cluster_verify", arguments, task_vars=task_vars)
        if not ended.get("failed") and not ended.get("unreachable"):
            return []
        hint = "`kubectl delete namespace %s`; the next proof does it too" % begun["namespace"]
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
    """A registered result, None where the task did not run."""
    found = variables.get(name)
    return found if isinstance(found, Mapping) and not found.get("skipped") else None


def _begun(registered):
    """What the control plane found; a failed check where it gave no answer."""
    if registered and "begun" in registered:
        return registered["begun"]
    why = str((registered or {}).get("msg") or "it cannot be reached").strip()
    hint = "run it again: another healthy control plane is chosen"
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
