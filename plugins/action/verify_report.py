# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action plugin for the module verify_report: ends the proof on the leader and puts all nodes' checks together."""

from __future__ import annotations

import json
from collections.abc import Mapping

from ansible.plugins.action import ActionBase
from ansible_collections.kubewright.cluster.plugins.plugin_utils import verify_report
from ansible_collections.kubewright.cluster.plugins.plugin_utils.kubeconfig import write


class ActionModule(ActionBase):
    """Runs on the leader; reads what every host registered."""

    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        _spec, arguments = self.validate_argument_spec(
            {
                "begun": {"type": "dict", "required": True},
                "plan": {"type": "dict", "required": True},
                "json": {"type": "path"},
            }
        )
        ended = self._execute_module("kubewright.cluster.cluster_verify", {"state": "end"}, task_vars=task_vars)
        plan, hostvars = arguments["plan"], task_vars["hostvars"]
        hosts = {
            host: {"name": plan["nodes"][host]["name"], "probed": _probed(hostvars[host])}
            for host in task_vars["ansible_play_hosts_all"]
            if host in plan["nodes"]
        }
        checks = list(arguments["begun"].get("checks") or [])
        for node in hosts.values():
            checks += list((node["probed"] or {}).get("checks") or [])
        checks += verify_report.unheard(hosts)
        if ended.get("failed"):
            checks.append({"name": "clean-up", "status": "warn", "text": str(ended.get("msg")), "node": None})
        document = verify_report.document(plan, checks)
        if arguments["json"]:
            write(arguments["json"], json.dumps(document, indent=2) + "\n", False)
        return {
            **result,
            "changed": False,
            "healthy": document["healthy"],
            "summary": verify_report.summary(checks),
            "failures": verify_report.failures(checks),
            "report": document,
        }


def _probed(variables):
    probed = variables.get("kube_probed")
    return probed if isinstance(probed, Mapping) else None
