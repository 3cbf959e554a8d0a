# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an inventory of another project is here: the hosts' translations together, and its groups."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..base import words
from ..base.findings import Finding
from ..inputs import lifecycle
from ..inputs.foreign.dialect import Kind
from ..inputs.foreign.from_pyratlabs import CONTROL_PLANE
from ..inputs.groups import FAMILIES, Groups, group_names, members, misspelt, roles_of, without_role

Rows = Mapping[str, Mapping[str, Any]]
# Inputs that are the same for the whole cluster: a group of some hosts may have set them.
_SHARED = {lifecycle.Scope.CLUSTER: (True, True), lifecycle.Scope.SERVERS: (True, False)}

# Kubespray's groups whose hosts have no role here.
_WITHOUT_ROLE = {
    "bastion": "hosts to connect through are set with ansible_ssh_common_args",
    "broken_kube_control_plane": "a control plane that lost its data stays in kube_control_plane, and joins again",
    "broken_etcd": "an etcd member is replaced with its control plane",
    "calico_rr": "Calico's route reflectors are not installed",
    "calico-rr": "Calico's route reflectors are not installed",
}


def spread(rows: Mapping[str, dict[str, Any]], groups: Groups) -> None:
    """Give inputs of the cluster that were translated on some hosts to the hosts that have no value of them.

    rows: by host what was read of it. Where hosts differ nothing is done: the plan refuses that.
    """
    planes, workers = roles_of(groups)
    for scope, (_planes, everywhere) in _SHARED.items():
        hosts = [host for host in (planes + workers if everywhere else planes) if rows.get(host)]
        for name in lifecycle.names(scope):
            given = [rows[host]["inputs"][name] for host in hosts if name in _translated(rows[host])]
            if given and all(value == given[0] for value in given):
                for host in hosts:
                    rows[host].setdefault("inputs", {}).setdefault(name, given[0])


def _translated(row: Mapping[str, Any]) -> Sequence[str]:
    known = (row.get("foreign") or {}).get("inputs") or ()
    return [name for name in known if name in (row.get("inputs") or {})]


def report(rows: Rows, groups: Groups) -> dict[str, Any] | None:
    """Return what the inventory's variables are here; None for an inventory of this collection.

    The result has `project`, `page`, and for each kind a list of {names, hosts, text}. No hosts: all have it.
    """
    read = {host: row["foreign"] for host, row in rows.items() if row and (row.get("foreign") or {}).get("project")}
    if not read:
        return None
    hosts_of: dict[tuple[str, str, str], list[str]] = {}
    for host, foreign in read.items():
        for entry in foreign["entries"]:
            hosts_of.setdefault((entry["kind"], entry["name"], entry["text"]), []).append(host)
    first = next(iter(read.values()))
    result: dict[str, Any] = {
        "project": ", ".join(sorted({foreign["project"] for foreign in read.values()})),
        "page": first["page"],
        "groups": group_names(groups),
        **{kind.value: [] for kind in Kind},
    }
    for (kind, name, text), where in sorted(hosts_of.items()):
        hosts = [] if len(where) == len(read) else where
        result[kind].append({"name": name, "hosts": hosts, "text": text})
    result[Kind.NOT_TAKEN.value] += [
        {"name": "group %s" % name, "hosts": [], "text": text}
        for name, text in _WITHOUT_ROLE.items()
        if groups.get(name)
    ]
    return result


def findings(rows: Rows, groups: Groups, directory: str | None) -> list[Finding]:
    """Return refusals of what the inventory asks for and only its author can decide.

    directory: the inventory's, None if it has none.
    """
    roles = _roles(rows, groups)
    # What a group was meant for is not asked where a variable says which hosts have which role.
    by_groups = [*([] if roles else misspelt(groups)), *without_role(groups), *_etcd(groups)]
    return [*_questions(rows), *by_groups, *_unread(groups, directory), *roles]


def assumed(rows: Rows, groups: Groups) -> Groups:
    """Return the groups with the roles that are probably meant, if none gives a role to a control plane.

    They are for a plan that is refused in any case, by findings(): with them it can say what else is wrong.
    """
    joins = any(((row or {}).get("inputs") or {}).get("k3s_server_url") for row in rows.values())
    if members(groups)[0] or joins:
        return groups
    planes, workers = set(control_nodes(rows)), {*members(groups)[1]}
    if planes:
        workers |= {host for host in rows if rows[host]} - planes
    for found in misspelt(groups) if not planes else []:
        (workers if found.limit in FAMILIES[0].worker else planes).update(groups[str(found.value)])
    if not planes:
        return groups
    return {**groups, "kube_control_plane": sorted(planes), "kube_node": sorted(workers)}


def _questions(rows: Rows) -> list[Finding]:
    asked: dict[tuple[str, str, Any], list[str]] = {}
    for host, row in rows.items():
        for problem in ((row or {}).get("foreign") or {}).get("problems") or ():
            asked.setdefault((problem["id"], problem["text"], problem["value"]), []).append(host)
    found = []
    for (name, text, value), hosts in asked.items():
        where = "" if len(hosts) == len(rows) else "%s: " % words.names(hosts)
        found.append(replace(Finding("inventory.decision", where + text, value=value), id=name))
    return found


def _etcd(groups: Groups) -> list[Finding]:
    """Refuse etcd members that are not control planes: each control plane has one here, and no other host has."""
    planes = members(groups)[0]
    apart = sorted(host for host in groups.get("etcd") or () if host not in planes)
    if not apart or not planes:
        return []
    text = (
        "The group etcd has %s, not in the control planes' group. Each control plane has an etcd member here, and no "
        "other host. Put %s into kube_control_plane, or take %s out of etcd; for an etcd that you run set "
        "kubeadm_cluster_config.etcd.external."
    )
    them = "it" if len(apart) == 1 else "them"
    return [Finding("groups.etcd_apart", text % (words.names(apart), them, them), value=", ".join(apart))]


def _unread(groups: Groups, directory: str | None) -> list[Finding]:
    """Refuse files of variables for a group that Kubespray makes at run time and that the inventory does not have."""
    if not directory or "k8s_cluster" in groups:
        return []
    folder = os.path.join(directory, "group_vars")
    found = [
        name
        for name in ("k8s_cluster", "k8s_cluster.yml", "k8s_cluster.yaml")
        if os.path.exists(os.path.join(folder, name))
    ]
    text = (
        "Ansible does not read group_vars/%s: the inventory has no group k8s_cluster. Add [k8s_cluster:children] with "
        "kube_control_plane and kube_node."
    )
    return [Finding("groups.vars_unread", text % name, value=name) for name in found]


def _roles(rows: Rows, groups: Groups) -> list[Finding]:
    """Say which hosts belong where, if the inventory gives roles by a variable of PyratLabs' role."""
    if members(groups)[0]:
        return []
    planes = control_nodes(rows)
    workers = sorted(host for host, row in rows.items() if row and host not in planes)
    if not planes:
        return []
    text = "k3s_control_node gives no role here. Put %s into the group kube_control_plane%s."
    more = ", and %s into kube_node" % words.names(workers) if workers else ""
    return [Finding("groups.control_node", text % (words.names(planes), more), value=", ".join(planes))]


def control_nodes(rows: Rows) -> list[str]:
    """Return the hosts that a variable of PyratLabs' role makes control planes."""
    found = []
    for host, row in rows.items():
        entries = ((row or {}).get("foreign") or {}).get("entries") or ()
        if any(entry["name"] == "k3s_control_node" and entry["text"] == CONTROL_PLANE for entry in entries):
            found.append(host)
    return sorted(found)


def attribute(rows: Rows, found: Sequence[dict[str, Any]]) -> None:
    """Name in findings what the user wrote, beside the input that it became."""
    origins: dict[str, str] = {}
    for row in rows.values():
        origins.update(((row or {}).get("foreign") or {}).get("origins") or {})
    for finding in found:
        if str(finding.get("id")).startswith(("inventory.", "groups.")):
            continue  # these have the names that the user wrote
        for path in sorted(origins, key=len, reverse=True):
            finding["text"] = _named(finding["text"], path, origins[path])


def _named(text: str, path: str, wrote: str) -> str:
    if path == wrote or re.search(r"(?<![\w.])%s(?![\w-])" % re.escape(wrote), text):
        return text
    if path.startswith("k3s_config."):
        return re.sub(r"(?<![\w.])%s(?![\w-])" % re.escape(path), lambda _match: wrote, text, count=1)
    whole = r"(?<![\w.(])%s(?![\w-])((?:\.\w[\w-]*|\[[^\]]*\])*)" % re.escape(path)
    return re.sub(whole, lambda match: "%s (%s)" % (wrote, match[0]), text, count=1)
