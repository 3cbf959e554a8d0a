# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operation restore for archives of K3s: what the inventory's cluster must be like, and what happens in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..base.findings import Finding
from ..k3s.datastore import SQLITE

# How the paths of keys end without which no server starts.
KEYS = ("-ca.key", "/service.key")
# Settings of K3s that a cluster keeps for life: the input, and the plan's key.
SETTINGS = {
    "cluster-cidr": ("kube_pod_cidrs", "pod_cidrs"),
    "service-cidr": ("kube_service_cidrs", "service_cidrs"),
    "cluster-domain": ("kube_cluster_domain", "cluster_domain"),
}


def is_k3s(manifest: Mapping[str, Any] | None) -> bool:
    """Return True if an archive is of a K3s cluster. None: it could not be read."""
    return bool(((manifest or {}).get("versions") or {}).get("k3s"))


def unfit(plan: Mapping[str, Any], manifest: Mapping[str, Any]) -> list[Finding]:
    """Refuse an inventory whose datastore or fixed settings are not those of the archive."""
    found, planned = [], str(plan.get("datastore") or "")
    if planned and planned != SQLITE:
        text = (
            "The archive has its data in SQLite, and the inventory is planned with %s (%d servers). Restore with one "
            "server and k3s_datastore: auto, then add the others."
        )
        count = len(plan["control_planes"])
        found.append(Finding("restore.datastore", text % (planned, count), None, planned, SQLITE))
    there = manifest["cluster"].get("settings") or {}
    text = "%s: the inventory has %s, and the cluster in the archive %s, which it keeps for life. Set it to that."
    for key, (name, field) in SETTINGS.items():
        wanted = plan.get(field)
        new = ",".join(wanted) if isinstance(wanted, list) else wanted
        old = ",".join(there.get(key) or [])
        if old and new and old != new:
            found.append(Finding("restore.setting", text % (name, new, old), None, new, old))
    return found


def tasks(infos: Mapping[str, Mapping[str, Any]], first: str, at: str, former: Sequence[str]) -> list[str]:
    """Return what happens on the server that is restored. former: the servers that have something now."""
    rows = ["%s: receive the archive, make a database of it" % first]
    if former:
        place = (infos[first].get("cluster") or {}).get("data_dir")
        text = "%s: stop K3s; its database, keys and tokens go to %s/before-%s. Pods keep running"
        rows.append(text % (", ".join(former), place, at))
    return [*rows, "%s: put database, keys and tokens in place, start K3s" % first]
