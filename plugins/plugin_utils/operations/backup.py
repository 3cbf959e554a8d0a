# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operation backup: which control plane is asked, what is saved, and why it cannot be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...module_utils.backup.k3s import SQLITE
from ..base.findings import Finding
from ..base.model import SQL
from ..plan import distributions, membership
from ..plan.checks import identity

Infos = Mapping[str, Mapping[str, Any]]
KUBEADM_PARTS = "certificate authorities, keys of service accounts, encryption and other files of the API server"
K3S_PARTS = "certificate authorities, credentials, tokens, configuration"
# Datastores of a K3s server that no backup is made of (module_utils/detect/cluster.py), and why.
BROKEN = {
    "removed": "the cluster has removed its etcd member",
    "torn": "its conversion from SQLite to etcd was interrupted",
}


def plan(plan: Mapping[str, Any], infos: Infos, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return {source, cluster, tasks, refusals, warnings}.

    plan: of the cluster; its own refusals do not matter here. infos: by host node_info's facts. options: of the
    playbook. source: the control plane that is asked. cluster: {name, ca_sha256, uid} of the hosts. tasks: in words.
    """
    planes = [host for host in plan["control_planes"] if (infos.get(host) or {}).get("cluster")]
    clusters = {host: infos[host]["cluster"] for host in planes}
    with_data = [host for host in planes if clusters[host].get("kind") and membership.has_data(infos[host])]
    known = {
        "name": plan.get("name") or "kubernetes",
        "ca_sha256": _first(clusters, "ca_sha256"),
        "uid": _first({host: _live(cluster) for host, cluster in clusters.items()}, "uid"),
    }
    result: dict[str, Any] = {"source": None, "cluster": known, "tasks": [], "refusals": [], "warnings": []}
    if options.get("check"):
        result["tasks"] = ["controller: examine %s" % options["check"]]
        return result
    problems = {host: _problem(clusters[host]) for host in with_data}
    healthy = [host for host in with_data if not problems[host]]
    result["refusals"] = _refusals(plan, infos, with_data, problems)
    if result["refusals"]:
        return result
    source = result["source"] = healthy[0]
    result["warnings"] = _warnings(plan, infos, source, problems)
    sent = [_sent(label, options["keep_there"]) for label in options.get("labels") or []]
    result["tasks"] = [*_saved(source, clusters[source]), _kept(options), *sent]
    return result


def _saved(source: str, cluster: Mapping[str, Any]) -> list[str]:
    """Return what the control plane does, in words."""
    database = "SQLite" if _is_sqlite(cluster) else _sql(cluster)
    if database:
        return [
            "%s: copy the %s database while it serves, %s" % (source, database, K3S_PARTS),
            "%s: compare the copy with the database, and check that the token opens it" % source,
        ]
    members = _live(cluster)["etcd_members"]
    count = "%d member%s" % (len(members), "" if len(members) == 1 else "s")
    if not distributions.by_name(cluster["kind"]).has_etcd_programs:
        return [
            "%s: save a snapshot of etcd (%s), %s" % (source, count, K3S_PARTS),
            "%s: compare the snapshot with the cluster's etcd, and check that the token opens it" % source,
        ]
    return [
        "%s: save a snapshot of etcd (%s), %s" % (source, count, KUBEADM_PARTS),
        "%s: restore the snapshot to a scratch etcd and compare it with the cluster's" % source,
    ]


def _is_sqlite(cluster: Mapping[str, Any]) -> bool:
    return bool(cluster.get("datastore") == SQLITE)


def _sql(cluster: Mapping[str, Any]) -> str:
    """Return the kind of the external SQL database that a control plane stores in, "" if it does not."""
    place, _space, scheme = str(cluster.get("datastore") or "").partition(" ")
    return SQL.get(scheme, "") if place == "external" else ""


def _is_saved(cluster: Mapping[str, Any]) -> bool:
    """Return True if this playbook saves what a control plane of a known distribution stores in."""
    own = distributions.by_name(cluster["kind"]).own_backup
    return bool(_sql(cluster) or not (own and str(cluster.get("datastore") or "").startswith("external")))


def _live(cluster: Mapping[str, Any]) -> Mapping[str, Any]:
    return cluster.get("live") or {}


def _first(rows: Mapping[str, Mapping[str, Any]], key: str) -> Any:
    return next((row[key] for row in rows.values() if row.get(key)), None)


def _problem(cluster: Mapping[str, Any]) -> str:
    """Return why a control plane cannot be backed up; empty if it can."""
    live = _live(cluster)
    if cluster.get("datastore") in BROKEN:
        return BROKEN[cluster["datastore"]]
    if not live.get("healthy"):
        return "its API server does not answer (%s)" % (live.get("error") or "it was not asked")
    if not (_is_sqlite(cluster) or _sql(cluster)) and not live.get("etcd_members"):
        return "its etcd does not answer (%s)" % (live.get("etcd_error") or "it was not asked")
    return ""


def _refusals(
    plan: Mapping[str, Any], infos: Infos, planes: Sequence[str], problems: Mapping[str, str]
) -> list[Finding]:
    if not planes:
        silent = [host for host in plan["control_planes"] if not infos.get(host)]
        text = (
            "No control plane with a cluster was found%s. Nothing can be backed up. Create the cluster with site first."
        )
        seen = " (%s could not be looked at)" % ", ".join(silent) if silent else ""
        return [Finding("backup.no_cluster", text % seen, None, silent)]
    clusters = {host: infos[host]["cluster"] for host in planes}
    for host in planes:
        kind = clusters[host]["kind"]
        known = distributions.is_known(kind)
        tool = distributions.by_name(kind).own_backup if known else "the tool that made it"
        if not known or not _is_saved(clusters[host]):
            stored = "an external etcd" if str(clusters[host].get("datastore")).startswith("external") else ""
            what = "%s with %s" % (kind, stored) if stored else kind
            text = "%s: a cluster of %s is not backed up by this playbook. Use %s."
            return [Finding("backup.unsupported", text % (host, what, tool), host, what)]
    external = [host for host in planes if _is_external(clusters[host].get("manifests") or [])]
    if len(external) == len(planes):
        text = "%s: its etcd is external. Back it up with its own tool, and save /etc/kubernetes/pki too."
        return [Finding("backup.external_etcd", text % external[0], external[0])]
    split = identity.several_clusters({host: {"info": infos[host]} for host in planes}, list(planes))
    if split:
        return split
    if all(problems.values()):
        text = (
            "No control plane can be backed up: %s. Start one of them (kubewright.cluster.site), or make etcd's quorum "
            "answer again, first."
        )
        rows = "; ".join("%s: %s" % item for item in sorted(problems.items()))
        return [Finding("backup.no_healthy", text % rows, None, dict(problems))]
    return []


def _is_external(manifests: Sequence[str]) -> bool:
    """Return True if a control plane's etcd runs elsewhere, by its static pods."""
    return "kube-apiserver.yaml" in manifests and "etcd.yaml" not in manifests


def _warnings(plan: Mapping[str, Any], infos: Infos, source: str, problems: Mapping[str, str]) -> list[Finding]:
    """Say what is wrong with the cluster that is backed up all the same."""
    text = "%s: %s. The backup is made on %s."
    found = [
        Finding("backup.sick_control_plane", text % (host, why, source), host)
        for host, why in sorted(problems.items())
        if why
    ]
    text = "%s: could not be looked at. The backup is made on %s."
    lost = [host for host in plan["control_planes"] if not infos.get(host)]
    return found + [Finding("backup.silent_control_plane", text % (host, source), host) for host in lost]


def _kept(options: Mapping[str, Any]) -> str:
    form = "encrypted with your passphrase" if options.get("encrypted") else "not encrypted"
    keep = "keep the newest %d of this cluster" % options["keep"] if options["keep"] else "keep all"
    return "controller: write the archive to %s (mode 0600, %s), %s" % (options["dir"], form, keep)


def _sent(label: str, keep: int) -> str:
    text = "keep the newest %d of this cluster" % keep if keep else "keep all"
    return "controller: send the archive to %s, read it back, %s" % (label, text)
