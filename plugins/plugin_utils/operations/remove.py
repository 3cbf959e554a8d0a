# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan the removal of nodes from a cluster that stays. Pure functions of facts."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from ...module_utils.node import paths
from ..base.findings import Finding, Problems
from ..plan import distributions, leaving, membership
from .quorum import Quorum

Looks = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Target:
    """A node that will be removed.

    given: as the user wrote it. host: its inventory name, None if it is not there. name: of its Node. alive: its
    machine is a node of this cluster and can be reached. known: the cluster has its Node or its etcd member. evicts:
    its kubelet reports, so its pods can be evicted. leaves: it takes itself out of etcd.
    """

    given: str
    host: str | None
    name: str
    alive: bool = False
    control_plane: bool = False
    addresses: tuple[str, ...] = ()
    known: bool = False
    evicts: bool = False
    leaves: bool = False

    @property
    def shown(self) -> str:
        """Return its name in messages."""
        return self.host or self.name

    def as_dict(self) -> dict[str, Any]:
        """Return what the tasks need."""
        return {"host": self.shown, "name": self.name, "addresses": list(self.addresses)}


@dataclass
class Removal:
    """The plan of a removal. rows: what is done, as text by node. notes: what the user has to do."""

    targets: list[Target] = field(default_factory=list)
    quorum: Quorum | None = None
    problems: Problems = field(default_factory=lambda: Problems([], []))

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data for the plan."""
        return {
            "nodes": [
                {
                    **target.as_dict(),
                    "in_inventory": target.host is not None,
                    "role": "control_plane" if target.control_plane else "worker",
                    "alive": target.alive,
                    "known": target.known,
                    "evicts": target.evicts,
                    "leaves": target.leaves,
                }
                for target in self.targets
            ],
            "etcd": self.quorum.as_dict() if self.quorum else None,
        }


def resolve(
    given: Sequence[str], looks: Looks, control_planes: Collection[str], found: Mapping[str, str]
) -> list[Target]:
    """Return the nodes that the user named, by host or by node name; each once.

    looks: by host {info, error, inputs}. control_planes: hosts. found: by host the address that Ansible connects to.
    """
    names = {host: _name(host, look) for host, look in looks.items()}
    targets: dict[str, Target] = {}
    for text in given:
        host = text if text in looks else next((one for one, name in sorted(names.items()) if name == text), None)
        info = (looks[host].get("info") if host else None) or {}
        addresses = leaving.addresses_of(info) or ([found[host]] if host and found.get(host) else [])
        target = Target(text, host, names[host] if host else text, addresses=tuple(addresses))
        target = replace(target, control_plane=host in control_planes)
        targets.setdefault(target.name, target)
    return list(targets.values())


def _name(host: str, look: Mapping[str, Any]) -> str:
    info = look.get("info") or {}
    joined = (info.get("cluster") or {}).get("node_name")
    named = joined or (look.get("inputs") or {}).get("kube_node_name")
    return str(named or str(info.get("hostname") or host).partition(".")[0].lower())


def asked(looks: Looks, control_planes: Collection[str], targets: Sequence[Target]) -> str | None:
    """Return the healthy control plane that stays and does the removal, None if there is none."""
    going = {target.host for target in targets}
    staying = [host for host in sorted(control_planes) if host not in going]
    return next((host for host in staying if membership.live_of(looks[host].get("info") or {}).get("healthy")), None)


def silent(looks: Looks, targets: Sequence[Target]) -> list[str]:
    """Return the names of the targets of which only the cluster knows: their machine is silent or not a node."""
    machines = {target.name: (looks.get(target.host or "") or {}).get("info") for target in targets}
    return [name for name, info in machines.items() if not ((info or {}).get("cluster") or {}).get("kind")]


def plan(
    targets: Sequence[Target],
    looks: Looks,
    authority: str | None,
    cluster: Mapping[str, Any],
    control_planes: Collection[str],
    force: bool = False,
) -> Removal:
    """Return the plan of a removal.

    authority: SHA-256 of the cluster's certificate authority. cluster: what node_removal returned when asked.
    control_planes: hosts of the inventory. force: pods and volumes may be lost.
    """
    members = cluster.get("members")
    rows = {row["name"]: row for row in cluster["nodes"]}
    refusals: list[Finding] = []
    warnings: list[Finding] = []
    result: list[Target] = []
    for target in (_own_addresses(_found(target, rows), rows) for target in targets):
        look = looks.get(target.host or "") or {}
        mine = [member for member in members or [] if _is_of(member, target)]
        row = rows.get(target.name)
        alive = _is_alive(look.get("info"), target, authority)
        control_plane = bool(mine or row and row["control_plane"] or alive and target.control_plane)
        target = replace(
            target,
            alive=alive,
            known=bool(row or mine),
            control_plane=control_plane,
            evicts=bool(alive and row and row["ready"]),
            leaves=alive and control_plane and _leaves(look.get("info")),
        )
        refusals += _still_runs(target, row, look, any(member["serves"] for member in mine))
        warnings += _unknown(target, rows, looks) if not target.known and not alive else []
        result.append(target)
    refusals += _last(result, rows, control_planes)
    quorum = _quorum(result, members)
    if quorum:
        found = quorum.problems([target.shown for target in result])
        refusals, warnings = refusals + found.refusals, warnings + found.warnings
    refusals += _etcd_silent(cluster, result)
    refusals += _obstacles(result, cluster, force)
    if cluster.get("lock"):
        refusals.append(Finding("cluster.locked", cluster["lock"]))
    return Removal(result, quorum, Problems(refusals, warnings))


def _found(target: Target, rows: Mapping[str, Mapping[str, Any]]) -> Target:
    """Return the target with the name of the Node at its address, if no Node has its name.

    A dead machine does not say its host name.
    """
    if target.name in rows:
        return target
    there = [name for name, row in rows.items() if set(row["addresses"]) & set(target.addresses)]
    return replace(target, name=there[0]) if len(there) == 1 and not target.alive else target


def _own_addresses(target: Target, rows: Mapping[str, Mapping[str, Any]]) -> Target:
    """Return the target with the addresses of its Node, and without those that another node has now: by them another
    member of etcd would be taken for its own."""
    others = {one for name, row in rows.items() if name != target.name and row["ready"] for one in row["addresses"]}
    known = dict.fromkeys([*target.addresses, *(rows.get(target.name) or {}).get("addresses", [])])
    return replace(target, addresses=tuple(one for one in known if one not in others))


def _is_of(member: Mapping[str, Any], target: Target) -> bool:
    named = re.fullmatch(re.escape(target.name) + "(-[0-9a-f]{8})?", member["name"])
    return bool(named or set(member["addresses"]) & set(target.addresses))


def _is_alive(info: Mapping[str, Any] | None, target: Target, authority: str | None) -> bool:
    """Return True if a machine that was looked at is this node of this cluster."""
    cluster = (info or {}).get("cluster") or {}
    same = cluster.get("ca_sha256") in (None, authority) and bool(cluster.get("kind"))
    return same and cluster.get("node_name") in (None, target.name)


def _leaves(info: Mapping[str, Any] | None) -> bool:
    kind = ((info or {}).get("cluster") or {}).get("kind")
    return distributions.is_known(kind) and distributions.by_name(str(kind)).servers_leave


def _still_runs(
    target: Target, row: Mapping[str, Any] | None, look: Mapping[str, Any], member_serves: bool
) -> list[Finding]:
    """Refuse a node that runs, and whose machine is not at hand: it would go on running what was taken from it."""
    answering = list((row or {}).get("answers") or []) + ["its etcd member"] * member_serves
    if target.alive or not (answering or row and row["reports"]):
        return []
    if row is None or not row["reports"]:
        text = (
            "%s: its kubelet does not report, but the machine still answers (%s). Switch it off, or let Ansible reach "
            "it, so that it is reset."
        )
        return [Finding("remove.still_runs", text % (target.shown, ", ".join(answering)), target.shown, answering)]
    if look.get("info"):
        text = (
            "%s: the node %s is Ready on another machine (ID %s). If that machine is to go, switch it off or put it "
            "into the inventory. If it stays, give this host another name."
        )
        values: tuple[Any, ...] = (target.shown, target.name, row.get("machine_id"))
    else:
        text = (
            "%s: its kubelet reports, and Ansible does not reach the machine (%s). Correct that, so that its pods are "
            "evicted and the machine is reset; or switch the machine off."
        )
        values = (target.shown, look.get("error") or "it is not in the inventory")
    return [Finding("remove.still_runs", text % values, target.shown, row["ready"])]


def _unknown(target: Target, rows: Mapping[str, Any], looks: Looks) -> list[Finding]:
    """Warn of a name that neither the cluster nor the inventory has."""
    if target.host:
        return []
    near = difflib.get_close_matches(target.given, [*rows, *looks], 1)
    text = "%s: neither the cluster nor the inventory has a node of this name%s. There is nothing to remove."
    values = (target.given, "; did you mean %s?" % near[0] if near else "")
    return [Finding("remove.unknown", (text % values).replace("?.", "?"), target.given, target.given)]


def _last(targets: Sequence[Target], rows: Mapping[str, Any], control_planes: Collection[str]) -> list[Finding]:
    going = [target for target in targets if target.control_plane and target.known]
    names = {target.name for target in targets}
    left = [name for name, row in rows.items() if row["control_plane"] and name not in names]
    if not going or left:
        return []
    text = "%s: no other control plane would be left. To give the cluster up, run kubewright.cluster.reset."
    shown = ", ".join(target.shown for target in going)
    return [Finding("remove.last_control_plane", text % shown, going[0].shown, 0, 1)]


def _quorum(targets: Sequence[Target], members: Sequence[Mapping[str, Any]] | None) -> Quorum | None:
    if not members:
        return None
    going = {member["id"] for member in members for target in targets if _is_of(member, target)}
    return Quorum.of(members, going)


def _etcd_silent(cluster: Mapping[str, Any], targets: Sequence[Target]) -> list[Finding]:
    if not cluster.get("etcd_error") or not any(target.control_plane for target in targets):
        return []
    text = "etcd does not say which members it has (%s). Nothing is removed before it does."
    return [Finding("remove.etcd_silent", text % cluster["etcd_error"], None, cluster["etcd_error"])]


def _obstacles(targets: Sequence[Target], cluster: Mapping[str, Any], force: bool) -> list[Finding]:
    """Refuse nodes with pods that may not be evicted, or that would be lost."""
    found = []
    for target in (target for target in targets if target.evicts):
        for sentence in cluster["blocked"].get(target.name) or []:
            text = "%s: the pod %s. Let it have more replicas, change its disruption budget, or delete the pod."
            found.append(Finding("remove.blocked_pod", text % (target.shown, sentence), target.shown, sentence))
        for sentence in () if force else cluster["lost"].get(target.name) or []:
            text = "%s: the pod %s. It would be lost. Move it, or accept that with -e remove_force=true."
            found.append(Finding("remove.lost_pod", text % (target.shown, sentence), target.shown, sentence))
    return found


def redirects(targets: Sequence[Target], looks: Looks, plan: Mapping[str, Any]) -> dict[str, str]:
    """Return by host the K3s server that takes the place of one that goes in the configuration of a node that stays."""
    going = {address for target in targets for address in target.addresses}
    found = {}
    for host, node in plan["nodes"].items():
        configured = ((looks[host].get("info") or {}).get("cluster") or {}).get("server") or ""
        files = ((node.get("files") or {}).get("k3s")) or []
        text = next((entry.get("content") or "" for entry in files if entry["path"] == paths.K3S_CONFIG), "")
        wanted = re.search(r"^server: (\S+)$", text, re.M)
        if wanted and urlsplit(configured).hostname in going:
            found[host] = wanted.group(1)
    return found


def not_replaceable(targets: Sequence[Target], looks: Looks) -> list[Finding]:
    """Refuse to replace nodes for which no machine is at hand that could join."""
    found = []
    for target in targets:
        look = looks.get(target.host or "") or {}
        if target.host is None:
            text = "%s: is not in the inventory, so no machine could take its place. Add it, or use remove."
            found.append(Finding("replace.not_in_inventory", text % target.shown, target.shown))
        elif not look.get("info"):
            text = "%s: the machine that takes its place %s. Start it first, or use remove."
            found.append(Finding("replace.no_machine", text % (target.shown, look.get("error")), target.shown))
    return found


def operation(plan: Mapping[str, Any], _infos: Looks, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the operation for the plan of the nodes that stay: {tasks, refusals, warnings, nodes, etcd}.

    options: removal, what the cluster said of the nodes that go; refusals, of the controller; replaces.
    """
    removal: Removal = options["removal"]
    found = {**removal.as_dict(), "replaces": options["replaces"]}
    problems = removal.problems
    # What the cluster was not asked is not known, so nothing is said of it.
    tasks = [] if options["refusals"] else _in_words(plan, found)
    return {
        **found,
        "tasks": tasks,
        "refusals": [*problems.refusals, *options["refusals"]],
        "warnings": problems.warnings,
    }


# -- in words ----------------------------------------------------------------------------------------------------------


def _in_words(plan: Mapping[str, Any], operation: Mapping[str, Any]) -> list[str]:
    """Return what is done with each node, what becomes of etcd, and what is left to the user."""
    rows = ["%s: %s" % (node["host"], _steps(node, bool(operation["etcd"]))) for node in operation["nodes"]]
    etcd = operation["etcd"]
    if etcd and etcd["going"]:
        rows.append("etcd: now %s; then %s" % (_count(etcd["before"]), _count(etcd["after"])))
    reloaded = sorted(host for host, node in plan["nodes"].items() if "endpoint" in (node.get("steps") or {}))
    if reloaded and any(node["role"] == "control_plane" and node["known"] for node in operation["nodes"]):
        rows.append("%s: reload the API endpoint, without a restart" % ", ".join(reloaded))
    return rows + _afterwards(plan, operation)


def _steps(node: Mapping[str, Any], has_etcd: bool) -> str:
    """Return what is done with one node. has_etcd: False if the datastore is not the control planes' own etcd."""
    steps = ["evict its pods"] if node["evicts"] else []
    if node["known"]:
        steps += ["remove its etcd member"] * (has_etcd and node["role"] == "control_plane")
        steps += ["stop K3s"] * node["leaves"] + ["delete its Node"]
    steps += ["reset the machine"] if node["alive"] else []
    text = ", ".join(steps) or "not in the cluster, nothing to remove"
    dead = node["known"] and not node["alive"]
    return text + (" (its machine is gone)" if dead else "")


def _count(numbers: Mapping[str, int]) -> str:
    spare = "%d more may fail" % numbers["spare"] if numbers["spare"] else "none may fail"
    return "%d of %d members answer, %s" % (numbers["serving"], numbers["voters"], spare)


def _afterwards(plan: Mapping[str, Any], operation: Mapping[str, Any]) -> list[str]:
    """Return what the user has to do: site joins what the inventory has."""
    if operation["replaces"]:
        return ["Then site joins %s again." % ", ".join(node["host"] for node in operation["nodes"])]
    kept = [node["host"] for node in operation["nodes"] if node["in_inventory"]]
    rows = ["Then take %s out of the inventory: site joins what it has." % ", ".join(kept)] if kept else []
    if plan.get("endpoint", {}).get("mode") == "external" and any(
        node["role"] == "control_plane" for node in operation["nodes"]
    ):
        rows.append("Take the control plane out of your load balancer first.")
    return rows
