# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a removal of nodes will do, as lines of text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def lines(plan: Mapping[str, Any], operation: Mapping[str, Any]) -> list[str]:
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
