# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action plugin for the module plan: collects facts and inputs of all hosts and hands them to the planner."""

from __future__ import annotations

import os
from collections.abc import Mapping

from ansible.plugins.action import ActionBase
from ansible_collections.kubewright.cluster.plugins.plugin_utils.base.findings import as_dicts
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller import artifact_directory as sources
from ansible_collections.kubewright.cluster.plugins.plugin_utils.inputs import schema as inputs
from ansible_collections.kubewright.cluster.plugins.plugin_utils.k3s import auto_deploy as k3s_addons
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import cluster_objects as labels, planner


class ActionModule(ActionBase):
    """Runs on the controller alone; connects to nothing."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        _spec, arguments = self.validate_argument_spec(
            {
                "refuse": {"type": "bool", "default": True},
                "missing": {"type": "list", "elements": "dict", "default": []},
            }
        )
        looked_up = {look.get("item"): look for look in arguments["missing"]}
        groups = {name: list(hosts) for name, hosts in task_vars["groups"].items()}
        hostvars = task_vars["hostvars"]
        control_planes, workers = planner.roles_of(groups)
        # Without any role the machines themselves say which they should have.
        guests = not control_planes and any(hostvars[host].get("k3s_server_url") for host in workers)
        named = control_planes + workers if control_planes or guests else sorted(groups["all"])
        hosts = {host: _host(hostvars[host], looked_up.get(host), host in control_planes) for host in named}
        part = task_vars.get("ansible_play_hosts_all") or []
        absent = sorted(host for host in workers if host not in part and not hosts[host]["info"])
        groups = {name: [host for host in members if host not in absent] for name, members in groups.items()}
        plan = planner.cluster_plan(hosts, groups)
        limits = [
            "%s: left out, by --limit and because it %s" % (host, hosts[host]["error"] or "was not looked at")
            for host in absent
        ]
        refusals = ["%s: %s" % (host, row["problem"]) for host, row in hosts.items() if row.get("problem")]
        refusals += list(dict.fromkeys(text for row in hosts.values() for text in row["unread"]))
        refusals += self._read_manifests(plan["manifests"])
        plan["refusals"] += as_dicts(refusals)
        if not plan["refusals"]:
            plan["refusals"] += as_dicts(sources.missing(plan, hosts) + _left_out(plan, part))
            limits += _held(plan, part) + _unlabelled(plan, hosts, part)
            plan["refusals"] += as_dicts(_cannot_reboot(plan, hostvars))
        plan["warnings"] += as_dicts(limits)
        # What this run does not do is said by the run itself too, not by the plan's page alone.
        result.update(changed=False, plan=plan, warnings=limits)
        if plan["refusals"] and arguments["refuse"]:
            result.update(failed=True, msg=_message(plan["refusals"]))
            result.pop("plan")
        return result

    def _read_manifests(self, manifests):
        """Put the text of each manifest's file in place of its path. Returns sentences on files that cannot be read."""
        problems = []
        for manifest in manifests:
            source = manifest.pop("src", None)
            if not source:
                continue
            try:
                with open(self._loader.path_dwim(source), encoding="utf-8") as stream:
                    manifest["content"] = stream.read()
            except (OSError, UnicodeDecodeError) as error:
                problems.append("kube_manifests[%s]: %s: %s" % (manifest["name"], source, getattr(error, "strerror", error)))
        return problems


def _left_out(plan, part):
    """The cluster cannot begin on a host that --limit leaves out."""
    leader = plan["leader"]
    if leader and plan["nodes"][leader]["action"] == "init" and leader not in part:
        return ["the cluster is to be started on %s, which --limit leaves out; add it to the limit" % leader]
    return []


def _unlabelled(plan, hosts, part):
    """Labels and taints are set through the API by one control plane alone."""
    look = (hosts[plan["leader"]]["info"] or {}) if plan["leader"] else {}
    live = ((look.get("cluster") or {}).get("live") or {}).get("nodes") or []
    text = "%s: its labels and taints are set by %s, which --limit leaves out: they change once site runs there too"
    return [text % (host, plan["leader"]) for host in labels.left(plan, live, part)]


def _cannot_reboot(plan, hostvars):
    """Ansible does not reboot the machine that it runs on."""
    here = [host for host, node in plan["nodes"].items() if "reboot" in node["steps"] and hostvars[host].get("ansible_connection") == "local"]
    text = "%s: must be rebooted, and Ansible runs on it (ansible_connection: local); add %s to %s, reboot it and run this again"
    added = ((host, plan["nodes"][host]["settings"]["kernel_arguments"]) for host in here)
    return [text % (host, " ".join(wanted["words"]), wanted["file"]) for host, wanted in added]


def _held(plan, part):
    """What a server still has in its auto-deploy folder it would make anew: it is deleted once that server has taken part."""
    if not plan["addons"]:
        return []
    left = k3s_addons.left({host: plan["nodes"][host] for host in plan["control_planes"]}, part)
    for names in left.values():
        plan["addons"]["kept"] += names
    text = "%s: keeps %s, left out by --limit; what it holds stays in the cluster until site runs there too"
    return [text % (host, ", ".join(names)) for host, names in left.items()]


def _host(variables, looked_up, server):
    """What the planner needs of one host: its facts, or why there are none, and its inputs."""
    look = looked_up or variables.get("kube_look")
    look = look if isinstance(look, Mapping) else {}
    error = None
    if look.get("unreachable") or look.get("failed"):
        error = ("cannot be reached: %s" if look.get("unreachable") else "could not be looked at: %s") % str(
            look.get("msg") or "no answer"
        ).strip().splitlines()[-1]
    given, problem = inputs.of_host(variables, server)
    given, unread = k3s_addons.read(given, [variables[name] for name in k3s_addons.BESIDE if name in variables])
    return {"info": look.get("node"), "error": error, "inputs": given, "problem": problem, "unread": unread}


def _message(refusals):
    head = "Nothing was changed. %d %s in the way:" % (
        len(refusals),
        "thing is" if len(refusals) == 1 else "things are",
    )
    return os.linesep.join([head] + ["  - " + refusal["text"] for refusal in refusals])
