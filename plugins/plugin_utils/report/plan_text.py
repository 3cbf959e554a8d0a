# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan in words."""

from __future__ import annotations

from ..base import quantity


def text(plan: dict) -> list:
    """Lines: what the cluster will be, why, each node, what changes where, warnings and refusals."""
    lines = []
    if plan.get("version"):
        lines += [
            "%s: %s %s, %s, endpoint %s at %s, network %s, kube-proxy %s"
            % (
                plan["name"],
                plan["distribution"],
                plan["version"],
                plan["datastore"],
                plan["endpoint"]["mode"],
                plan["endpoint"]["host_port"],
                plan["plugin"],
                plan["proxy_mode"],
            )
        ]
    lines += ["because %s" % reason["text"] for reason in plan["reasons"]]
    lines += ["instead: %s" % other["text"] for other in plan["alternatives"]]
    lines += _table(plan["nodes"])
    lines += steps(plan["nodes"])
    lines += [
        "to let through: %s/%s to %s from %s (%s)"
        % (row["port"], row["protocol"], row["to"], row["from"], row["purpose"])
        for row in plan["ports"]
    ]
    lines += ["warning: " + warning["text"] for warning in plan["warnings"]]
    lines += ["refused: " + refusal["text"] for refusal in plan["refusals"]]
    if not plan["refusals"] and not any(node.get("steps") or node.get("action") for node in plan["nodes"].values()):
        lines.append("every node is as it should be: nothing to do")
    return lines


def steps(nodes: dict) -> list:
    """A line for each thing to do and its reasons; nodes that are alike share it."""
    words = {
        "init": "initialise the cluster",
        "pull": "pull images, then join",
        "join": "join the cluster",
        "wait": "wait for the cluster to come up",
        "convert": "start anew with embedded etcd",
    }
    alike = {}
    for host, node in sorted(nodes.items()):
        for step, why in node.get("steps", {}).items():
            alike.setdefault((step, "; ".join(why)), []).append(host)
        if node.get("action"):
            alike.setdefault(("K3s" if node.get("data_dir") else "kubeadm", words[node["action"]]), []).append(host)
    return ["%s: %s - %s" % (_names(hosts), step, why) for (step, why), hosts in alike.items()]


def _names(hosts):
    return ", ".join(hosts) if len(hosts) <= 8 else "%s and %d more" % (", ".join(hosts[:6]), len(hosts) - 6)


def _room(node):
    """CPUs, memory, and what the kubelet leaves of both to pods."""
    machine = node.get("machine") or {"cpus": None, "memory_bytes": None}
    left = (node.get("capacity") or {}).get("allocatable") or {"cpus": None, "memory_bytes": None}
    words = ["?" if part["cpus"] is None else "%g" % part["cpus"] for part in (machine, left)]
    sizes = ["?" if part["memory_bytes"] is None else quantity.human(part["memory_bytes"]) for part in (machine, left)]
    return words[0], sizes[0], "%s, %s" % (words[1], sizes[1]) if left["cpus"] is not None else "?"


def _table(nodes):
    rows = [("host", "node", "role", "address", "cpus", "memory", "for pods", "stages")]
    for host, node in sorted(nodes.items()):
        rows.append(
            (
                host,
                node["name"],
                node["role"].replace("_", " "),
                node.get("address") or "?",
                *_room(node),
                ", ".join(stage for stage in node.get("stages") or [] if stage != "leader") or "as it should be",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
