# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operation restore for archives of K3s: what the inventory's cluster must be like, and what happens in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..base.findings import Finding
from ..base.model import Datastore, Placement
from ..k3s.datastore import ETCD, SQLITE

# How the paths of keys end without which no server starts.
KEYS = ("-ca.key", "/service.key")
# Settings of K3s that a cluster keeps for life: the input, and the plan's key.
SETTINGS = {
    "cluster-cidr": ("kube_pod_cidrs", "pod_cidrs"),
    "service-cidr": ("kube_service_cidrs", "service_cidrs"),
    "cluster-domain": ("kube_cluster_domain", "cluster_domain"),
}


# How an inventory gets the datastore of the archive.
WAY_TO_SQL = "Set k3s_datastore_endpoint, with external_database in kube_needs."
WAYS = {
    SQLITE: "Restore with one server and k3s_datastore: auto, without external_database in kube_needs, then add the "
    "others.",
    ETCD: "Set k3s_datastore: etcd, without external_database in kube_needs.",
}


def on_etcd(manifest: Mapping[str, Any] | None) -> bool:
    """Return True if an archive is of a K3s cluster on embedded etcd."""
    return is_k3s(manifest) and ((manifest or {}).get("datastore") or {}).get("kind") == "etcd"


def is_k3s(manifest: Mapping[str, Any] | None) -> bool:
    """Return True if an archive is of a K3s cluster. None: it could not be read."""
    return bool(((manifest or {}).get("versions") or {}).get("k3s"))


def saved_in(manifest: Mapping[str, Any]) -> Datastore:
    """Return what an archive of K3s has its data of."""
    store = manifest["datastore"]
    if store["kind"] == "external":
        return Datastore(store["engine"], Placement.EXTERNAL)
    return Datastore.parse(ETCD if store["kind"] == "etcd" else SQLITE)


def has_sql(manifest: Mapping[str, Any] | None) -> bool:
    """Return True if an archive is of a K3s cluster with an external SQL database."""
    return bool(manifest and is_k3s(manifest) and saved_in(manifest).is_external)


def unfit(plan: Mapping[str, Any], manifest: Mapping[str, Any]) -> list[Finding]:
    """Refuse an inventory whose datastore or fixed settings are not those of the archive."""
    found, planned = [], str(plan.get("datastore") or "")
    saved = str(saved_in(manifest))
    if planned and planned != saved:
        text = "The archive has its data in %s, and the inventory is planned with %s (%d server%s). %s"
        count = len(plan["control_planes"])
        values = (saved, planned, count, "" if count == 1 else "s", WAYS.get(saved, WAY_TO_SQL))
        found.append(Finding("restore.datastore", text % values, None, planned, saved))
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
    """Return what happens on the server on SQLite that is restored. former: the servers that have something now."""
    last = "%s: put database, keys and tokens in place, start K3s" % first
    return ["%s: receive the archive, make a database of it" % first, *_stopped(infos, at, former), last]


def etcd_tasks(infos: Mapping[str, Mapping[str, Any]], first: str, at: str, former: Sequence[str]) -> list[str]:
    """Return what happens on the servers on embedded etcd. former: those that have something now."""
    last = "%s: put keys and tokens in place, let K3s restore the snapshot (k3s server --cluster-reset), start K3s"
    return ["%s: receive the archive, check its snapshot" % first, *_stopped(infos, at, former), last % first]


def sql_tasks(infos: Mapping[str, Mapping[str, Any]], first: str, at: str, former: Sequence[str]) -> list[str]:
    """Return what happens on the servers with an external SQL database. former: those that have something now."""
    last = (
        "%s: replace the rows of the database (the former ones stay in its table kine_before_%s), put keys and tokens "
    )
    last += "in place, start K3s"
    made = "%s: receive the archive, ask the database" % first
    return [made, *_stopped(infos, at, former), last % (first, at.lower())]


def _stopped(infos: Mapping[str, Mapping[str, Any]], at: str, former: Sequence[str]) -> list[str]:
    if not former:
        return []
    place = (infos[former[0]].get("cluster") or {}).get("data_dir")
    text = "%s: stop K3s; its database, keys and tokens go to %s/before-%s. Pods keep running"
    return [text % (", ".join(former), place, at)]
