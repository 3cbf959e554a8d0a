# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that the cluster has and the inventory does not: nobody removes them, so the plan names them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..base.findings import Finding


def nodes(hosts: Mapping[str, Mapping[str, Any]], named: Mapping[str, Mapping[str, Any]], known: set[str]) -> list[Finding]:
    """Return a warning on nodes in the API's list that no host of the inventory is.

    hosts: all hosts of the inventory {info}. named: the plan's nodes {name}. known: names in the API's list. A host that was not looked at (--limit)
    may be any of them, so nothing is said then.
    """
    if not all(row.get("info") for row in hosts.values()):
        return []
    found = sorted(known - {node["name"] for node in named.values()})
    if not found:
        return []
    one = len(found) == 1
    text = (
        "%s %s in the cluster and not in the inventory. Put %s back, or remove %s from the cluster: kubectl drain NODE --ignore-daemonsets "
        "--delete-emptydir-data, then kubectl delete node NODE (and its etcd member, if it was a control plane)."
    ) % (", ".join(found), "is" if one else "are", *(("it", "it") if one else ("them", "them")))
    return [Finding("node.not_in_inventory", text, None, found)]
