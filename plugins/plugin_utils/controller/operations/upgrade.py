# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the operation upgrade does on the controller: whom to ask, and what each task gets."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ....module_utils.node import paths
from ...base.findings import Finding, as_dicts
from ...inputs import schema
from ...kubeadm import artifacts, config, service
from ...operations import operations, upgrade
from ...operations.upgrade import NAME
from ...plan import distributions, membership, slices
from .. import user_files
from ..run_store import RunStore
from . import operation, upgrade_sources, upgrade_whole
from .lock_holder import holder, is_gone
from .operation import Ask, Hosts, Run

MODULE = "kubewright.cluster.cluster_upgrade"
HOOKS = ("before_node", "after_node")
__all__ = ["MODULE", "NAME", "Operation"]
UNSUPPORTED = "backup.unsupported"
# Role tasks of a node that come once its kubelet's files are written.
AFTER = ("parts", "after_node")


class Operation(operation.Operation):
    """An upgrade, from the options to what each task gets.

    options, backup: of the playbooks upgrade and backup. problems: of the options. ask: runs the module on a healthy
    control plane.
    """

    upgrades = True

    def __init__(
        self, options: Mapping[str, Any], backup: Mapping[str, Any], problems: Sequence[Finding], ask: Ask
    ) -> None:
        self.options, self.backup, self.refusals, self._ask = options, backup, list(problems), ask
        self.holder = holder(NAME)
        self.answer: Mapping[str, Any] | None = None
        self.plan: Mapping[str, Any] = {}
        self.infos: dict[str, Any] = {}
        self.inputs: dict[str, Any] = {}
        self.made: dict[str, Any] = {}

    @classmethod
    def of(cls, run: Run) -> Operation:
        """Return the upgrade that a run asks for."""
        options, problems = run.options()
        for name in HOOKS:
            path = options[name] or ""
            problems += user_files.hook("upgrade_" + name, path) if path.startswith("/") else []
        backup, more = run.options("backup")
        if options["backup"]:
            problems += more + run.backups(backup)[1]
        return cls(options, backup, problems, lambda wanted: run.execute(MODULE, wanted))

    def planned(self, plan: Mapping[str, Any], hosts: Hosts) -> None:
        """Go on with the plan of the cluster at its target version: ask the cluster how it is."""
        self.plan = plan
        self.infos = {host: row["info"] for host, row in hosts.items() if row["info"]}
        self.inputs = {host: schema.validate(row["inputs"])[0] for host, row in hosts.items()}
        wanted = next((str(row["kube_version"]) for row in self.inputs.values() if row["kube_version"]), "")
        self.refusals = self.refusals or upgrade.early(plan, self.infos, wanted)
        if self.refusals or not plan.get("leader") or not plan.get("exists"):
            return
        changes = upgrade.changing(plan, self.infos, upgrade.state(plan, self.infos, []))
        drained = sorted(plan["nodes"][host]["name"] for host, drains in changes.items() if drains)
        servers = {
            plan["nodes"][host]["name"]: "%s:%s" % (plan["nodes"][host]["address"], plan["api_port"])
            for host in plan["control_planes"]
        }
        answer = self._ask({"state": "asked", "drained": drained, "servers": servers, "holder": self.holder})
        if answer.get("failed") or "cluster" not in answer:
            text = "The cluster does not say how it is: %s" % answer.get("msg")
            self.refusals = [Finding("upgrade.not_asked", text)]
            return
        cluster = dict(answer["cluster"])
        if cluster["lock"] and is_gone(answer["lock_run"]):
            self.holder["dead"], cluster["lock"] = answer["lock_run"], ""
        self.answer = cluster

    def into(self, plan: dict[str, Any], part: Collection[str]) -> None:
        """Put the operation into the plan. part: the hosts of this run."""
        backup = operations.plan("backup", plan, self.infos, self.backup) if self.options["backup"] else None
        # The datastore may be one that the playbook backup does not save.
        missing = next((row["text"] for row in (backup or {}).get("refusals", []) if row["id"] == UNSUPPORTED), "")
        backup = None if missing else backup
        options = {
            **self.options,
            "answer": self.answer,
            "refusals": self.refusals,
            "inputs": self.inputs,
            "backup_plan": backup,
            "no_backup": missing,
        }
        made = self.made = operations.plan(NAME, plan, self.infos, options)
        self._look_at_sources()
        if backup and made.get("backup"):
            made["refusals"] += backup["refusals"]
            made["warnings"] += backup["warnings"]
        plan["refusals"] = made["refusals"] + plan["refusals"]
        plan["warnings"] = made["warnings"] + plan["warnings"]
        left_out = sorted(set(plan["nodes"]) - set(part))
        if left_out and not plan["refusals"]:
            text = "%s: --limit leaves it out. An upgrade needs all nodes of the cluster. Run it without --limit."
            plan["refusals"] = as_dicts([Finding("limit.left_out", text % host, host) for host in left_out])
        plan["operation"] = {**made, "refusals": plan["refusals"], "warnings": plan["warnings"]}

    def _look_at_sources(self) -> None:
        """Add to the operation which programs and images of the way the sources do not have."""
        if not self.made.get("rounds") and not self.made.get("windows") and not self.made.get("workers"):
            return
        beside = {host: self._beside(host) for host in self.plan["nodes"]}
        found = upgrade_sources.directories(self.plan, self.infos, self.inputs, beside)
        wanted = upgrade_sources.question(self.plan, self.infos, self.inputs, beside, self.made["images"])
        refusals, warnings = upgrade_sources.findings(self.plan["leader"], self._ask(wanted))
        self.made["refusals"] += as_dicts(found + refusals)
        self.made["warnings"] += as_dicts(warnings)

    @property
    def works(self) -> bool:
        """Return True if there is anything to do."""
        return any(self.made.get(name) for name in ("rounds", "windows", "workers", "upload"))

    def stages(self, plan: Mapping[str, Any]) -> dict[str, list[str]]:
        """Return the hosts of each play of the playbook."""
        everywhere = list(plan["nodes"]) if self.works else []
        return {
            "upgrade": everywhere,
            "planes": everywhere if self.made["rounds"] or self.made["windows"] else [],
            "workers": self.made["workers"],
            "leader": [plan["leader"]] if self.works else [],
        }

    def shared(self) -> dict[str, Any]:
        """Return what the tasks of the playbook read."""
        plan, made = self.plan, self.made
        if plan["refusals"] or not self.works:
            return {"holder": self.holder, "timeout": self.options["timeout"]}
        whole = distributions.by_name(plan["distribution"]).one_program
        if whole:
            nodes = {host: self._whole_node(host) for host in plan["nodes"]}
            rounds = [self._whole_round(row) for row in made["rounds"]]
        else:
            nodes = {host: self._node(host) for host in plan["nodes"]}
            rounds = [self._round(row) for row in made["rounds"]]
        changing = [row["host"] for row in made["windows"]] + made["workers"]
        return {
            "holder": self.holder,
            "timeout": self.options["timeout"],
            "force": self.options["force"],
            "kind": plan["distribution"],
            "hooks": {name: [path] if (path := self.options.get(name)) else [] for name in HOOKS},
            "planes": [plan["nodes"][host]["name"] for host in plan["control_planes"]],
            "asked": plan["leader"],
            "nodes": nodes,
            "rounds": rounds,
            **_tasks(plan, changing, self.inputs, upgrade_whole.PROGRAMS if whole else None),
        }

    def _whole_node(self, host: str) -> dict[str, Any]:
        found = membership.live_of(self.infos[self.plan["leader"]]).get("nodes") or []
        return upgrade_whole.node(host, self.plan, self.infos[host], self.inputs[host], self.made, found)

    def _whole_round(self, row: dict[str, Any]) -> dict[str, Any]:
        return upgrade_whole.round_of(row, self.plan, self.infos[row["host"]], self.inputs[row["host"]])

    def _beside(self, host: str) -> list[dict[str, Any]]:
        """Return the programs of each version on the way that a node gets beside the running ones."""
        if distributions.by_name(self.plan["distribution"]).one_program:
            return upgrade_whole.beside(host, self.plan, self.infos[host], self.inputs[host], self.made)
        if self.plan["nodes"][host]["role"] == "worker":
            return []
        architecture = self.infos[host]["architecture"]["name"]
        checksums = self.inputs[host]["kube_artifacts"]["checksums"]
        versions = dict.fromkeys(row["version"] for row in self.made["rounds"])
        return [artifacts.beside(version, architecture, checksums, paths.VERSIONS) for version in versions]

    def _node(self, host: str) -> dict[str, Any]:
        """Return what one node needs before anything changes, and whether its pods are evicted."""
        return {
            "programs": self._beside(host),
            "images": self.made["images"][self.plan["nodes"][host]["role"]],
            "drain": host in self.made["drained"],
            "kubelet": host in self.made["kubelets"],
            "patches": config.patches(self.inputs[host], self.plan["nodes"][host]["role"] == "control_plane"),
        }

    def _round(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return a round with what its tasks need."""
        host, etcd = row["host"], self.made["etcd"]
        ends = row["upload"] == "etcd" or self._after(row)
        tag = etcd["last"] if ends else etcd["carried"]
        live = membership.live_of(self.infos[host])
        return {
            **row,
            "program": "%s/%s/kubeadm" % (paths.VERSIONS, row["version"]),
            "etcd_tag": tag if row["etcd"] else "",
            "patches": config.patches(self.inputs[host], control_plane=True),
            "ignored": service.preflight_exceptions(self.infos[host], self.inputs[host]),
            "etcd_cluster": live.get("etcd_cluster") or "",
        }

    def _after(self, row: Mapping[str, Any]) -> bool:
        """Return True if a round follows the one that stores etcd's last tag."""
        rounds = self.made["rounds"]
        first = next((number for number, each in enumerate(rounds) if each["upload"] == "etcd"), len(rounds))
        return rounds.index(row) > first

    def keep(self, store: RunStore, plan: dict[str, Any], hosts: Hosts) -> None:
        """Keep what the tasks of the playbook read."""
        if not plan["refusals"]:
            store.put("plan", "stages", self.stages(plan))
        store.put("plan", "operation", {**plan["operation"], **self.shared()})
        store.put("plan", "documents", self.documents())
        store.put("plan", "batches", [plan.get("workers_at_once") or 1])

    def documents(self) -> dict[str, str]:
        """Return the configurations that are stored in the cluster, by name. They may hold secrets of the user's."""
        leader = self.plan.get("leader")
        text = ((self.plan["nodes"].get(leader) or {}).get("kubeadm") or {}).get("init") if leader else None
        if not text or self.plan["refusals"]:
            return {}
        known = self.made.get("documents") or {}
        return {**{name: config.with_release(text, *release) for name, release in known.items()}, "last": text, "": ""}


def _tasks(
    plan: Mapping[str, Any],
    hosts: Sequence[str],
    inputs: Mapping[str, Mapping[str, Any]],
    programs: Mapping[str, str] | None,
) -> dict[str, list[Mapping[str, str]]]:
    """Return the role tasks of a node that is out of service: before the kubelet's files are written, and after.

    programs: those that install programs, None for the usual ones.
    """
    hooks = {host: {name: path for name, path in (inputs[host]["kube_hooks"] or {}).items() if path} for host in hosts}
    needed = [{"needs": slices.needs(dict(plan["nodes"][host]), hooks[host], {})} for host in hosts]
    usual = slices.sequence(needed)
    rows = [programs if programs and row["tasks"] == "programs" else row for row in usual]
    after = [row for row in rows if row["tasks"] in AFTER]
    return {"before": [row for row in rows if row not in after], "after": after}
