# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore from etcd's data on a control plane that is left: which one has the newest, and why it may not be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from ..base.findings import Finding

# By host: what module_utils/restore/survivor.py or k3s_survivor.py says about its data. problem: why they cannot be
# read.
Surveys = Mapping[str, Mapping[str, Any]]


def read(surveys: Surveys) -> list[str]:
    """Return the hosts whose data could be read, those with the newest first."""
    found = [host for host, row in surveys.items() if row.get("manifest")]
    return sorted(found, key=lambda host: (-revision(surveys[host]), host))


def revision(row: Mapping[str, Any]) -> int:
    """Return how far the data go."""
    return int(row["manifest"]["datastore"]["revision"])


def unusable(source: str, surveys: Surveys, planes: Sequence[str], archive: Any) -> list[Finding]:
    """Refuse a source that has no data that can be read. archive: what restore_archive is set to."""
    if archive:
        text = "restore_archive and restore_from are both set, %s and %s. Set the one that you want to restore from."
        return [Finding("restore.one_source", text % (archive, source), None, source)]
    if source not in planes:
        text = "restore_from: %s is not a control plane of the inventory. Set it to one that has etcd's data: %s."
        names = ", ".join(read(surveys) or planes) or "none"
        return [Finding("restore.not_a_control_plane", text % (source, names), None, source)]
    row = surveys.get(source) or {}
    if row.get("leader"):
        text = (
            "%s: its etcd has a leader, and so a majority of the members: nothing has to be restored. Control planes "
            "that are gone for good are removed by kubewright.cluster.remove. To finish a restore that was "
            "interrupted, run kubewright.cluster.site."
        )
        return [Finding("restore.not_needed", text % source, source)]
    if row.get("problem"):
        text = "%s: etcd's data cannot be read: %s. Set restore_from to another control plane, or restore an archive."
        return [Finding("restore.data_unreadable", text % (source, str(row["problem"]).rstrip(".")), source)]
    if not row:
        text = "%s: has no data of etcd that could be restored. %s"
        others = [host for host in read(surveys) if host != source]
        way = "Set restore_from: %s" % others[0] if others else "Restore an archive: -e restore_archive=FILE"
        return [Finding("restore.no_data", text % (source, way), source)]
    return []


def refusals(source: str, surveys: Surveys, overwrite: bool) -> list[Finding]:
    """Refuse while etcd's majority can come back, and data that are older than others'."""
    if overwrite:
        return []
    others = [host for host in same_cluster(source, surveys) if host != source]
    found, members = [], surveys[source]["members"]
    voters = 1 + sum(not member["learner"] for member in members)
    answering = [_place(member) for member in members if member["answers"] and not member["learner"]]
    there = max(len(others), len(answering)) + 1
    if there > voters // 2:
        text = (
            "%s: etcd has %d voting members, and %d of them still exist (%s), which is a majority. Start them: then "
            "nothing is lost. If they cannot find each other any more, add -e restore_overwrite=true."
        )
        names = ", ".join([source, *(others if len(others) >= len(answering) else answering)])
        found.append(Finding("restore.majority", text % (source, voters, there, names), source, there, voters // 2))
    newest = next((host for host in read(surveys) if host in others), source)
    if revision(surveys[newest]) > revision(surveys[source]):
        values = (source, revision(surveys[source]), newest, revision(surveys[newest]), newest)
        text = (
            "%s: its data end at revision %d, and those of %s at %d. Restore from %s. To lose the difference, add -e "
            "restore_overwrite=true."
        )
        found.append(Finding("restore.newer_data", text % values, source, values[1], values[3]))
    return found


def same_cluster(source: str, surveys: Surveys) -> list[str]:
    """Return the hosts with data of the same etcd cluster, those with the newest first."""
    own = surveys[source]["manifest"]["cluster"]["etcd_cluster"]
    return [host for host in read(surveys) if surveys[host]["manifest"]["cluster"]["etcd_cluster"] == own]


def warnings(source: str, surveys: Surveys) -> list[Finding]:
    """Say what may be lost, and what must not come back."""
    found, row = [], surveys[source]
    silent = [_place(member) for member in row["members"] if not member["answers"]]
    if silent:
        text = (
            "Members of etcd that do not answer: %s. If they run where %s does not reach them, there will be two "
            "clusters. Make sure that they are off, and that their data do not start again."
        )
        found.append(Finding("restore.silent_members", text % (", ".join(silent), source), source, silent))
    if row.get("left_out"):
        text = (
            "%s: the last entries of etcd's log (%d) are left out, because it is not known whether a majority had "
            "them. They may be the last writes."
        )
        found.append(Finding("restore.left_out", text % (source, row["left_out"]), source, row["left_out"]))
    for host in sorted(surveys):
        if host != source and surveys[host].get("problem"):
            text = "%s: etcd's data cannot be read, so it is not known whether they are newer: %s"
            found.append(Finding("restore.data_unknown", text % (host, surveys[host]["problem"]), host))
    return found


def rows(source: str, surveys: Surveys) -> list[str]:
    """Return the members that are left in words."""
    found = []
    for host in same_cluster(source, surveys):
        store = surveys[host]["manifest"]
        text = "%s: etcd's data end at revision %d, written until %s%s"
        mark = " (these are restored)" if host == source else ""
        found.append(text % (host, revision(surveys[host]), store["created"], mark))
    return found


def copied(source: str, is_k3s: bool) -> str:
    """Return in words how the data become an archive on the control plane that is left."""
    if is_k3s:
        text = (
            "%s: stop K3s, let it read a copy of etcd's data as the only member (k3s server --cluster-reset), check it"
        )
        return text % source
    return "%s: copy etcd's data and check the copy, make etcd's data of the snapshot" % source


def described(source: str, row: Mapping[str, Any]) -> str:
    """Return what the data are, in a few words."""
    manifest = row["manifest"]
    store, cluster = manifest["datastore"], manifest["cluster"]
    text = "etcd's data of %s (%s, Kubernetes %s, written until %s, %d objects of %d kinds, revision %s)"
    counts = store["counts"]
    values = (source, cluster["name"], cluster["version"], manifest["created"])
    return text % (*values, sum(counts.values()), len(counts), store["revision"])


def _place(member: Mapping[str, Any]) -> str:
    return ", ".join(str(urlsplit(url).hostname) for url in member["urls"])
