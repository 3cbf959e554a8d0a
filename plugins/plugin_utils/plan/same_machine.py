# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts of the inventory with one machine ID: one machine that is listed twice, or copies of one disk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..base.distribution import Node


def by_machine_id(nodes: Mapping[str, Node]) -> dict[str, list[list[str]]]:
    """Return by machine ID the machines that have it, each as the list of its hosts."""
    found: dict[str, dict[tuple[Any, ...], list[str]]] = {}
    for host, node in nodes.items():
        info = node["info"]
        if info.get("machine_id"):
            # One machine has one running kernel, and the same addresses under each of its names.
            key = (addresses(info) or (host,), info.get("boot_id"))
            found.setdefault(info["machine_id"], {}).setdefault(key, []).append(host)
    return {machine: list(rows.values()) for machine, rows in found.items()}


def listed_twice(nodes: Mapping[str, Node]) -> list[str]:
    """Return the hosts that are other names of hosts before them."""
    return [host for rows in by_machine_id(nodes).values() for hosts in rows for host in hosts[1:]]


def addresses(info: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the addresses by which others reach a machine, as "address on interface"."""
    interfaces = (info.get("network") or {}).get("interfaces") or []
    rows = [(interface["name"], row) for interface in interfaces for row in interface.get("addresses") or []]
    return tuple(sorted("%s on %s" % (row["address"], name) for name, row in rows if row.get("scope") == "global"))
