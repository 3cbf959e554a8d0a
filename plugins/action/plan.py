# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action plugin for the module plan: plans with the looks of this run, prints the plan, keeps each host's part."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import uuid

import ansible.constants as C
from ansible import context
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.kubewright.cluster.plugins.plugin_utils.base import words
from ansible_collections.kubewright.cluster.plugins.plugin_utils.base.findings import Finding, as_dicts
from ansible_collections.kubewright.cluster.plugins.plugin_utils.base.yaml_documents import plain
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller import (
    artifact_directory,
    foreign_inventory,
    host_inputs,
    kubeconfig,
    kubeconfig_changes,
    user_files,
    written_inputs,
)
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller.operations import (
    lock_holder,
    plan_findings,
)
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller.operations.chosen import operation
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller.operations.operation import Run
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller.run_store import RunStore
from ansible_collections.kubewright.cluster.plugins.plugin_utils.inputs import schema
from ansible_collections.kubewright.cluster.plugins.plugin_utils.inputs.groups import members, roles_of
from ansible_collections.kubewright.cluster.plugins.plugin_utils.operations import operations
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import cluster_objects, planner, slices
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan.changes import in_cluster
from ansible_collections.kubewright.cluster.plugins.plugin_utils.report import (
    plan_page,
    plan_text,
    run_report,
    summary,
    verify,
)
from ansible_collections.kubewright.cluster.plugins.plugin_utils.report.lines import Kind

SPEC = {
    "refuse": {"type": "bool", "default": True},
    "show": {"type": "str", "default": "changes", "choices": ["all", "changes", "nothing"]},
    "fail": {"type": "bool", "default": False},
    "json": {"type": "path"},
    "html": {"type": "path"},
    "inputs": {"type": "path"},
    "operation": {"type": "str", "choices": list(operations.OPERATIONS)},
}
COLOURS = {Kind.REFUSAL: C.COLOR_ERROR, Kind.FAILURE: C.COLOR_ERROR, Kind.WARNING: C.COLOR_WARN}

# With this finding the hosts that belong into kube_control_plane are known, and none need be proposed.
_KNOWN_ROLES = "groups.control_node"


class ActionModule(ActionBase):
    """Runs on the controller. Only for an operation it asks a control plane, which the task is delegated to."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        _spec, arguments = self.validate_argument_spec(SPEC)
        store = RunStore(C.DEFAULT_LOCAL_TMP)
        groups = {name: list(hosts) for name, hosts in task_vars["groups"].items()}
        part = list(task_vars.get("ansible_play_hosts_all") or [])
        looks = {host: store.get("look", host) for host in host_inputs.known_hosts(groups)}
        looks = {host: look or {} for host, look in looks.items()}
        # An operation may put its own refusals in the place of these: it gets no roles that are only assumed.
        roles = groups if arguments["operation"] else foreign_inventory.assumed(looks, groups)
        foreign_inventory.spread(looks, roles)
        chosen = operation(self._run(arguments, looks, groups, task_vars))
        plan, hosts, texts = self._plan(chosen.known(looks), roles, part, chosen, arguments)
        asked = foreign_inventory.findings(looks, groups, task_vars.get("inventory_dir"))
        named = {finding.id for finding in asked}
        kept = [row for row in plan["refusals"] if not (row["id"] == "control_planes.none" and _KNOWN_ROLES in named)]
        plan["refusals"] = as_dicts(asked) + kept
        foreign_inventory.attribute(looks, [*plan["refusals"], *plan["warnings"], *plan["reasons"]])
        plan["inventory"] = foreign_inventory.report(looks, groups)
        if not plan["refusals"] and not chosen.is_restored:  # what is applied to that cluster is planned by site
            plan["refusals"] = as_dicts(_kubeconfig(plan, hosts, task_vars))
        if not plan["refusals"] and not chosen.is_restored:
            plan["warnings"] += as_dicts(_in_the_cluster(plan, hosts, texts, part))
        chosen.planned(plan, hosts)
        chosen.into(plan, part)
        if chosen.needs_plan:
            _keep(store, plan, hosts, part, task_vars, self._task.check_mode, texts)
            if arguments["refuse"] and self._task.check_mode:  # a run that would make the cluster
                store.put("plan", "verify", {**store.get("plan", "verify"), "not_made_yet": True})
        else:
            store.put("plan", "status", {"run": "", "refusals": summary.sentences(plan["refusals"], plan["nodes"])})
        chosen.keep(store, plan, hosts)
        store.put("plan", "summary", run_report.summary(plan, {host: row["info"] for host, row in hosts.items()}))
        self._show(plan, arguments["show"], " -i ".join(map(str, task_vars.get("ansible_inventory_sources") or [])))
        self._write(plan, arguments)
        if arguments["inputs"]:
            self._write_inputs(arguments["inputs"], looks, groups, asked, task_vars)
        refusals = summary.sentences(plan["refusals"], plan["nodes"])
        result.update(changed=False, refusals=refusals)
        nobody = not plan["control_planes"] and not plan["nodes"]
        if refusals and (arguments["refuse"] or arguments["fail"] or nobody):
            number = words.count(len(refusals), "problem")
            result.update(failed=True, msg="Nothing was changed. %s, see above." % number)
            result.pop("refusals")
        return result

    def _run(self, arguments, looks, groups, task_vars):
        """Return what an operation needs of this run."""
        hostvars = task_vars.get("hostvars") or {}
        return Run(
            name=arguments["operation"] or "",
            looks=looks,
            groups=groups,
            variables=task_vars,
            arguments=context.CLIARGS.get("extra_vars") or (),
            template=self._templar.template,
            address=lambda host: self._address(hostvars.raw_get(host)),
            execute=lambda module, wanted: self._execute_module(module, wanted, task_vars=task_vars),
            applies=arguments["refuse"] and not self._task.check_mode,
            directory=C.DEFAULT_LOCAL_TMP,
        )

    def _address(self, variables):
        """Return the address at which Ansible reaches a host, empty if that is not known."""
        templar = self._templar.copy_with_new_env(available_variables=variables)
        with contextlib.suppress(AnsibleError):
            return host_inputs.target("", variables, templar.template)
        return ""

    def _plan(self, looks, groups, part, chosen, arguments):
        """Return (the plan with all refusals that only the controller can see, {host: what the planner was given},
        {manifest: text of its file})."""
        if chosen.left_out:  # the plan is that of the nodes that stay
            looks = {host: look for host, look in looks.items() if host not in chosen.left_out}
            groups = {name: [host for host in hosts if host in looks] for name, hosts in groups.items()}
        control_planes, workers = roles_of(groups)
        rows = {host: look or {} for host, look in looks.items()}
        guests = not control_planes and any((rows[host].get("inputs") or {}).get("k3s_server_url") for host in workers)
        named = control_planes + workers if control_planes or guests else sorted(groups["all"])
        hosts = {
            host: {
                "info": rows[host].get("info"),
                "error": rows[host].get("error"),
                "inputs": rows[host].get("inputs") or {},
            }
            for host in named
        }
        absent = sorted(host for host in workers if host not in part and not hosts[host]["info"])
        groups = {name: [host for host in members if host not in absent] for name, members in groups.items()}
        plan = planner.cluster_plan(hosts, groups, chosen.names, chosen.upgrades)
        limits = [
            Finding(
                "limit.left_out",
                "%s: left out by --limit, and it %s." % (host, hosts[host]["error"] or "was not looked at"),
                host,
            )
            for host in absent
        ]
        texts, wrong_files = user_files.read(hosts, self._loader.path_dwim)
        refusals = host_inputs.not_root(hosts) + host_inputs.unreadable_inputs(rows) + wrong_files
        plan["refusals"] += as_dicts(refusals)
        if not plan["refusals"]:
            plan["refusals"] += as_dicts(artifact_directory.missing(plan, hosts) + plan_findings.left_out(plan, part))
            limits += plan_findings.kept(plan, part) + plan_findings.unlabelled(plan, hosts, part)
            plan["refusals"] += as_dicts(plan_findings.cannot_reboot(plan, rows))
            plan["refusals"] += as_dicts(plan_findings.locked(plan, hosts, arguments["operation"] or ""))
        plan["warnings"] += as_dicts(limits)
        return plan, hosts, texts

    def _show(self, plan, what, inventory):
        """Print the plan, line by line."""
        if what == "nothing":
            return
        for line in plan_text.lines(plan, inventory, brief=what == "changes"):
            self._display.display(line.text, color=COLOURS.get(line.kind))

    def _write(self, plan, arguments):
        """Write plan.json and the page: as the user who runs Ansible, relative to the working directory."""
        if arguments["json"]:
            path = os.path.abspath(os.path.expanduser(arguments["json"]))
            kubeconfig.write(path, json.dumps(_digested(plan), indent=4, sort_keys=True) + "\n", False)
            self._display.display("The plan is in %s" % path)
        if arguments["html"]:
            path = os.path.abspath(os.path.expanduser(arguments["html"]))
            kubeconfig.write(path, plan_page.html(plan), False)
            self._display.display("The plan's page is in %s" % path)

    def _write_inputs(self, path, looks, groups, asked, task_vars):
        """Write the cluster in this collection's own inputs: relative to the working directory, without secrets."""
        planes, workers = members(groups)
        if not planes:
            planes = foreign_inventory.control_nodes(looks)
            workers = sorted(host for host in looks if host not in planes) if planes else []
        named = {"kube_control_plane": planes, "kube_node": workers} if planes else {"": sorted(looks)}
        connection = {host: self._reached_by(task_vars["hostvars"].raw_get(host)) for host in looks}
        inputs = {host: look.get("inputs") or {} for host, look in looks.items()}
        for host, look in looks.items():
            if look.get("manifests"):
                inputs[host] = {**inputs[host], "k3s_manifests": look["manifests"]}
        known = schema.specification()
        inputs = {host: {name: given[name] for name in given if name in known} for host, given in inputs.items()}
        target = os.path.abspath(os.path.expanduser(path))
        questions = [finding.text for finding in asked if finding.id != _KNOWN_ROLES]  # the file answers that one
        try:
            written_inputs.write(target, written_inputs.text(named, inputs, connection, questions))
        except (written_inputs.WriteError, OSError) as error:
            raise AnsibleActionFail("The inputs were not written: %s" % error) from error
        self._display.display("The cluster in this collection's inputs is in %s" % target)

    def _reached_by(self, variables):
        """Return how Ansible reaches a host, as far as the inventory says so."""
        templar = self._templar.copy_with_new_env(available_variables=variables)
        found = {}
        for name in written_inputs.CONNECTION:
            if name in variables:
                with contextlib.suppress(AnsibleError):
                    found[name] = plain(templar.template(variables[name]))
        return found


def _digested(value):
    """The plan as it is written: manifests and files may hold secrets, so their digests are in it."""
    if isinstance(value, list):
        return [_digested(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {key: _digested(item) for key, item in value.items() if key != "content"}
    if isinstance(value.get("content"), str):
        kept["sha256"] = hashlib.sha256(value["content"].encode()).hexdigest()
    return kept


def _keep(store, plan, hosts, part, task_vars, check_mode, texts):
    """Keep what the tasks of this run read: each host its own part, and little that all share."""
    run = uuid.uuid4().hex
    looks = {host: hosts[host]["info"] for host in plan["nodes"] if hosts[host]["info"]}
    scope = verify.scope(plan, looks, check_mode)
    report = {key: plan.get(key) for key in ("name", "version", "control_planes", "refusals")}
    names = {host: node["name"] for host, node in plan["nodes"].items()}
    store.put("plan", "verify", {**scope, "report": report, "names": names})
    store.put("plan", "stages", {})
    store.put("plan", "status", {"run": run, "refusals": summary.sentences(plan["refusals"], plan["nodes"])})
    if plan["refusals"]:
        return
    values = {host: schema.validate(hosts[host]["inputs"])[0] for host in plan["nodes"]}
    order = slices.in_order(plan, looks)
    shares = {host: slices.of_host(plan, host, values[host], hosts[host]["info"], part) for host in order}
    shares = {host: {**share, "asked": slices.asked(plan, looks, host)} for host, share in shares.items()}
    stages = {}
    for host, share in shares.items():
        for stage in share["stages"]:
            stages.setdefault(stage, []).append(host)
    last = slices.last_to_change(stages, part)
    for host, share in shares.items():
        store.put("node", host, {**share, "run": run, "releases": host == last})
        store.put("secret", host, slices.secrets(plan, host, values[host]))
    cluster = slices.shared(plan, shares, part)
    if not (set(stages) - {"leader"} or cluster["complete"]) and _is_applied(plan):
        stages.pop("leader", None)
    store.put("plan", "stages", stages)
    holder = lock_holder.holder("site")
    store.put("plan", "cluster", {**cluster, "holder": holder})
    store.put("plan", "batches", slices.batches(plan, shares, part))
    given = values[plan["leader"]]["kube_manifests"] if plan["leader"] else []
    manifests = cluster_objects.complete(plan["manifests"], given, texts)
    # The first control plane makes a token too, even if nobody joins.
    joins = "start" in stages or "join" in stages
    store.put("plan", "objects", {**slices.objects(plan, manifests, joins), "run": holder["run"]})
    store.put("plan", "kubeconfig", slices.kubeconfig(plan, values, *_inventory(task_vars)))


def _is_applied(plan):
    """Return True if the cluster is known to have its objects, and the controller its kubeconfig."""
    return plan["apply_objects"] is False and (
        plan["kubeconfig"] is None or plan["kubeconfig"]["state"] in ("same", "kept")
    )


def _inventory(task_vars):
    """Return (the inventory's directory, whether that directory is the inventory itself)."""
    directory = task_vars.get("inventory_dir")
    return directory, bool(directory) and directory in (task_vars.get("ansible_inventory_sources") or [])


def _kubeconfig(plan, hosts, task_vars):
    """Say what becomes of the kubeconfig on the controller. Refuse to run where other files have its place."""
    leader = plan["leader"]
    if not leader:
        return []
    values = {leader: schema.validate(hosts[leader]["inputs"])[0]}
    wanted = slices.kubeconfig(plan, values, *_inventory(task_vars))
    if not wanted["fetch"]:
        return []
    is_new = plan["nodes"][leader]["action"] == "init"
    admin = None if is_new else hosts[leader]["info"]["cluster"].get("admin_sha256")
    made, problems = kubeconfig_changes.find(wanted, admin, is_new)
    if made["state"] == "changed" and not problems and _is_anothers(plan, hosts, values, task_vars):
        made = {**made, "state": "kept", "text": ""}
    plan["kubeconfig"] = made
    return problems


def _is_anothers(plan, hosts, values, task_vars):
    """Return True if the file is as another control plane of the cluster writes it, and works: each has its own
    credentials, and which one leads differs from run to run."""
    leader = plan["leader"]
    authority = hosts[leader]["info"]["cluster"].get("ca_sha256")
    for host in plan["control_planes"]:
        cluster = (hosts[host]["info"] or {}).get("cluster") or {}
        admin = cluster.get("admin_sha256")
        works = plan["endpoint"]["mode"] in ("vip", "external") or (cluster.get("live") or {}).get("healthy")
        if host == leader or not admin or not works or not authority or cluster.get("ca_sha256") != authority:
            continue
        wanted = slices.kubeconfig(plan, values, *_inventory(task_vars), host)
        if kubeconfig_changes.find(wanted, admin, is_new=False)[0]["state"] == "same":
            return True
    return False


def _in_the_cluster(plan, hosts, texts, part):
    """Say what changes through the API. Return warnings."""
    leader = plan["leader"]
    inputs = schema.validate(hosts[leader]["inputs"])[0] if leader else {}
    given = {row["name"]: row["content"] for row in inputs.get("kube_manifests") or [] if row.get("content")}
    plan.update(in_cluster.find(plan, plan_findings.live(plan, hosts), {**given, **texts}))
    return in_cluster.kept(plan["manifest_changes"]) + in_cluster.left_out(plan, part)
