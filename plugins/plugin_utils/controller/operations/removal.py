# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the operations remove and replace do on the controller: whom to ask, and what each task gets."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ...base.findings import Finding, as_dicts
from ...inputs.groups import roles_of
from ...operations import operations, remove
from ...operations.remove import Removal, Target
from ..run_store import RunStore
from . import operation
from .lock_holder import holder, is_gone
from .operation import Ask, Groups, Hosts, Run

# Warnings of a plan that a removal gives with the numbers before and after.
COUNTED = ("control_planes.two", "control_planes.even")
NAMES = ("remove", "replace")
MODULE = "kubewright.cluster.node_removal"


class Operation(operation.Operation):
    """A removal, from what the user named to what each task gets.

    name: remove or replace. options: of the playbook. looks: of all hosts. found: by host the address that Ansible
    connects to. problems: of the options.
    """

    def __init__(
        self,
        name: str,
        options: Mapping[str, Any],
        looks: remove.Looks,
        groups: Groups,
        found: Mapping[str, str],
        problems: Sequence[Finding] = (),
    ) -> None:
        self.name, self.options, self.looks = name, options, looks
        self.control_planes = roles_of(groups)[0]
        self.targets: list[Target] = remove.resolve(options["nodes"], looks, self.control_planes, found)
        self.asked = remove.asked(looks, self.control_planes, self.targets)
        self.holder = holder(name)
        self.removal = Removal(self.targets)
        self.refusals: list[Finding] = list(problems)
        self.redirects: dict[str, str] = {}

    @classmethod
    def of(cls, run: Run) -> Operation:
        """Return the removal that a run asks for, after the cluster was asked."""
        options, problems = run.options()
        found = {host: run.address(host) for host in options["nodes"] if host in run.looks}
        made = cls(run.name, options, run.looks, run.groups, found, problems)
        made.ask(lambda wanted: run.execute(MODULE, wanted))
        return made

    @property
    def hosts(self) -> set[str]:
        """Return the inventory names of the nodes that go."""
        return {target.host for target in self.targets if target.host}

    @property
    def left_out(self) -> set[str]:
        """Return the hosts that the plan is not about: those that go, and those that are not nodes."""
        looked_at = {host: look["info"] for host, look in self.looks.items() if look.get("info")}
        return self.hosts | {host for host, info in looked_at.items() if not (info.get("cluster") or {}).get("kind")}

    @property
    def names(self) -> list[str]:
        """Return the names of the nodes that go."""
        return [target.name for target in self.removal.targets]

    @property
    def _addresses(self) -> list[str]:
        return sorted({address for target in self.removal.targets for address in target.addresses})

    def ask(self, ask: Ask) -> None:
        """Plan the removal with what the cluster says. ask: runs node_removal on the control plane `asked`."""
        if self.refusals:
            return
        if not self.targets:
            text = "No node is named. Give the nodes to %s: -e %s_nodes=NODE,NODE"
            self.refusals = [Finding("remove.no_nodes", text % (self.name, self.name))]
            return
        if self.asked is None:
            stay = ", ".join(host for host in self.control_planes if host not in self.hosts)
            text = "No control plane that stays answers (%s). Start one of them first." % stay
            if not stay:
                text = "No control plane would be left. Keep one."
            text += " To give the cluster up, run kubewright.cluster.reset."
            self.refusals = [Finding("remove.no_control_plane", text, None, stay or None)]
            return
        about = (self.looks[self.asked].get("info") or {}).get("cluster") or {}
        answer = ask(
            {
                "state": "asked",
                "nodes": [target.as_dict() for target in self.targets],
                "silent": remove.silent(self.looks, self.targets),
                "powered_off": bool(self.options["dead"]),
                "holder": self.holder,
            }
        )
        if answer.get("failed") or "cluster" not in answer:
            text = "%s: does not say what the cluster has: %s" % (self.asked, answer.get("msg"))
            self.refusals = [Finding("remove.not_asked", text, self.asked)]
            return
        cluster = dict(answer["cluster"])
        if cluster["lock"] and is_gone(answer["lock_run"]):
            self.holder["dead"], cluster["lock"] = answer["lock_run"], ""
        force = bool(self.options["force"])
        authority = about.get("ca_sha256")
        self.removal = remove.plan(self.targets, self.looks, authority, cluster, self.control_planes, force)
        if self.name == "replace":
            self.refusals = remove.not_replaceable(self.removal.targets, self.looks)

    def into(self, plan: dict[str, Any], part: Collection[str]) -> None:
        """Put the operation into the plan of the nodes that stay. part: the hosts of this run."""
        options = {"removal": self.removal, "refusals": self.refusals, "replaces": self.name == "replace"}
        made = operations.plan(self.name, plan, {}, options)
        self.redirects = remove.redirects(self.removal.targets, self.looks, plan)
        if self.asked is None:  # the plan says that there is no control plane: so does this
            plan["refusals"] = []
        plan["refusals"] = made["refusals"] + plan["refusals"]
        plan["warnings"] = made["warnings"] + [row for row in plan["warnings"] if row["id"] not in COUNTED]
        left_out = sorted({*self.stages(plan)["endpoint"], *self.stages(plan)["asked"]} - set(part))
        if left_out and not plan["refusals"]:
            text = "%s: has to be changed too, and --limit leaves it out. Run without --limit."
            plan["refusals"] = as_dicts([Finding("limit.left_out", text % host, host) for host in left_out])
        plan["operation"] = {**made, "refusals": plan["refusals"], "warnings": plan["warnings"]}

    def stages(self, plan: Mapping[str, Any]) -> dict[str, list[str]]:
        """Return the hosts of each play of the playbook."""
        targets = self.removal.targets
        asked = [self.asked] if self.asked and any(target.known for target in targets) else []
        planes = any(target.control_plane and target.known for target in targets)
        changed = [host for host, node in plan["nodes"].items() if "endpoint" in (node.get("steps") or {})]
        alive = [target.host for target in targets if target.alive and target.host]
        return {
            # A server that leaves needs the lock, which is taken here.
            "evict": asked if any(target.evicts or target.leaves for target in targets) else [],
            "endpoint": changed if planes else [],
            "leave": [target.host for target in targets if target.leaves and target.known and target.host],
            "asked": asked,
            "redirect": sorted(self.redirects),
            "remove": alive,
            # After replace, site verifies the cluster.
            "stay": list(plan["nodes"]) if (asked or alive) and self.name == "remove" else [],
        }

    def keep(self, store: RunStore, plan: dict[str, Any], hosts: Hosts) -> None:
        """Keep what the tasks of the playbook read."""
        if not plan["refusals"]:
            store.put("plan", "stages", self.stages(plan))
        store.put("plan", "operation", {**plan["operation"], **self.shared()})

    def shared(self) -> dict[str, Any]:
        """Return what the tasks of the playbook read."""
        targets = self.removal.targets
        drained = [target.name for target in targets if target.control_plane and target.alive]
        return {
            "holder": self.holder,
            "timeout": self.options["timeout"],
            "evict": [target.as_dict() for target in targets if target.evicts],
            "leave": [target.as_dict() for target in targets if target.leaves and target.known],
            # Those that are down first: each makes the cluster safer.
            "absent": [target.as_dict() for target in sorted(targets, key=lambda each: each.alive) if target.known],
            "redirects": self.redirects,
            "former": self._addresses,
            "drained": drained,
            "endpoint": [
                *([{"role": "remove", "tasks": "drain"}] if drained else []),
                {"role": "endpoint", "tasks": "apply"},
            ],
            "control_planes": any(target.control_plane and target.known for target in targets),
        }
