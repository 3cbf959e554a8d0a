# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only the controller sees of a plan: how Ansible reaches the hosts, and which of them are in this run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ...base.findings import Finding
from ...k3s import auto_deploy
from ...plan import cluster_objects
from . import lock_holder

Plan = Mapping[str, Any]
Hosts = Mapping[str, Mapping[str, Any]]


def live(plan: Plan, hosts: Hosts) -> Mapping[str, Any]:
    """Return what the leader's API said."""
    look = (hosts[plan["leader"]]["info"] or {}) if plan["leader"] else {}
    return (look.get("cluster") or {}).get("live") or {}


def left_out(plan: Plan, part: Collection[str]) -> list[Finding]:
    """Refuse to start the cluster on a host that --limit leaves out."""
    leader = plan["leader"]
    if leader and plan["nodes"][leader]["action"] == "init" and leader not in part:
        text = "The cluster starts on %s, which --limit leaves out. Add it to the limit."
        return [Finding("limit.leader_left_out", text % leader, leader)]
    return []


def unlabelled(plan: Plan, hosts: Hosts, part: Collection[str]) -> list[Finding]:
    """Warn of labels and taints that this run does not change: one control plane sets them through the API."""
    rows = live(plan, hosts).get("nodes") or []
    text = "%s: its labels and taints are set by %s, which --limit leaves out. They change when site runs there too."
    found = cluster_objects.not_applied(plan, rows, part)
    return [Finding("limit.labels_not_applied", text % (host, plan["leader"]), host) for host in found]


def locked(plan: Plan, hosts: Hosts, operation: str) -> list[Finding]:
    """Refuse to change running nodes while another run holds the cluster's lock: it may be changing one of them.

    A run of this controller that has ended is not waited for. Joins do not need the lock. operation: "" for site;
    those that are not named here ask for the lock when they ask the cluster, or change nothing.
    """
    changes = any(node.get("joined") and node.get("steps") for node in plan["nodes"].values())
    if operation not in ("", "restore", "rotate") or (not operation and not changes):
        return []
    own = lock_holder.holder("site")["run"]
    for host in plan["control_planes"]:
        found = (((hosts[host]["info"] or {}).get("cluster") or {}).get("live") or {}).get("lock") or {}
        if found and found["run"] != own and not lock_holder.is_gone(found["run"]):
            return [Finding("cluster.locked", found["text"])]
    return []


def cannot_reboot(plan: Plan, rows: Hosts) -> list[Finding]:
    """Refuse to reboot the machine that Ansible runs on."""
    here = [host for host, node in plan["nodes"].items() if "reboot" in node["steps"] and rows[host].get("local")]
    text = (
        "%s: must be rebooted, and Ansible runs on it (ansible_connection: local). Add %s to %s, reboot "
        "it and run this again."
    )
    added = ((host, plan["nodes"][host]["settings"]["kernel_arguments"]) for host in here)
    return [
        Finding("reboot.ansible_runs_here", text % (host, " ".join(wanted["words"]), wanted["file"]), host)
        for host, wanted in added
    ]


def kept(plan: Plan, part: Collection[str]) -> list[Finding]:
    """Warn of auto-deploy files on servers outside of this run: K3s there would create their objects again."""
    if not plan["addons"]:
        return []
    left = auto_deploy.left({host: plan["nodes"][host] for host in plan["control_planes"]}, part)
    for names in left.values():
        plan["addons"]["kept"] += names
    text = "%s: keeps %s, because --limit leaves it out. Their objects stay in the cluster until site runs there too."
    return [Finding("limit.addons_kept", text % (host, ", ".join(names)), host, names) for host, names in left.items()]
