# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scheduled backups: whether the inputs and the machines allow them, and how the last ones went."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ....module_utils.api import backup_record
from ....module_utils.base import schedule
from ....module_utils.node import paths
from ...base.distribution import Node, Problems
from ...base.findings import Finding
from ...base.model import Datastore
from .. import membership
from ..draft import Case


def scheduled(case: Case) -> Problems:
    """Check the inputs of scheduled backups, and say when the last ones failed or are missing."""
    wanted = case.shared["kube_backup"]
    if not case.control_planes:
        return Problems([], [])
    if not wanted["schedule"]:
        return Problems([], _unused(wanted))
    refusals = []
    if not wanted["to"]:
        text = (
            "kube_backup.schedule: %s has no destination, and an archive on the control plane that made it would be "
            "lost with it. Set kube_backup.to."
        )
        refusals.append(Finding("backup.no_destination", text % wanted["schedule"], value=wanted["schedule"]))
    datastore = Datastore.parse(case.cluster["datastore"])
    if datastore.is_external and not datastore.is_external_sql:
        text = (
            "kube_backup.schedule: a cluster of %s with %s is not backed up by the collection. Remove it, and use %s."
        )
        tool = case.distribution.own_backup or "the datastore's own tool"
        said = (case.distribution.title, datastore, tool)
        refusals.append(Finding("backup.schedule_unsupported", text % said, value=str(datastore)))
    refusals += _in_data(case, wanted)
    return Problems(refusals, _plain(wanted) + _last(case, wanted))


def _unused(wanted: Mapping[str, Any]) -> list[Finding]:
    """Warn of what only scheduled backups use."""
    text = (
        "kube_backup.to: %s is used by scheduled backups only. Set kube_backup.schedule, or remove it; the playbook "
        "backup has backup_dir."
    )
    places = [entry["directory"] for entry in wanted["to"] if entry.get("directory")]
    return [Finding("backup.directory_unused", text % place, value=place) for place in places]


def _in_data(case: Case, wanted: Mapping[str, Any]) -> list[Finding]:
    """Refuse directories below kube_data_dir: reset removes what the cluster has there."""
    data = str(case.shared["kube_data_dir"] or "").rstrip("/")
    text = "kube_backup.to: %s is in kube_data_dir (%s), which reset empties. Use a directory for archives only."
    places = [str(entry["directory"]) for entry in wanted["to"] if entry.get("directory")]
    inside = [place for place in places if data and (place + "/").startswith(data + "/")]
    return [Finding("backup.directory_in_data", text % (place, data), value=place, limit=data) for place in inside]


def _plain(wanted: Mapping[str, Any]) -> list[Finding]:
    """Warn of archives that others can read on the way, and of servers that only root's own files let in."""
    found = []
    for entry in wanted["to"]:
        url = str((entry.get("s3") or {}).get("endpoint") or "")
        if url.startswith("http://") and not wanted["recipients"]:
            text = (
                "kube_backup.to: %s is not encrypted, and the archives of kube_backup.schedule are not either: their "
                "keys and Secrets can be read on the way. Use https://, or set kube_backup.recipients."
            )
            found.append(Finding("backup.schedule_not_encrypted", text % url, value=url))
        server = entry.get("sftp") or {}
        missing = [name for name in ("key", "known_hosts") if server and not server.get(name)]
        if missing:
            text = (
                "kube_backup.to: sftp %s has no %s, so kube_backup.schedule uses what root has in ~/.ssh on each "
                "control plane. Set it, or put it there."
            )
            listed = " and no ".join(missing)
            found.append(Finding("backup.roots_own_key", text % (server["host"], listed), value=listed))
    return found


def _last(case: Case, wanted: Mapping[str, Any]) -> list[Finding]:
    """Say that the last backups failed, or that one which was due is missing."""
    infos = {host: case.nodes[host]["info"] for host in case.control_planes if host in case.nodes}
    for info in infos.values():
        known = membership.live_of(info).get("backups")
        set_up = ((info.get("files") or {}).get(paths.BACKUP_UNITS[1]) or {}).get("mtime")
        now = (info.get("clock") or {}).get("epoch")
        if known is None or set_up is None or not now:
            continue
        verdict = backup_record.judged(
            backup_record.Record(**known), schedule.parse(wanted["schedule"]), float(set_up), float(now)
        )
        text = "kube_backup.schedule %s: %s. Look at `journalctl -u %s` on the control planes."
        said = (wanted["schedule"], verdict.text, paths.BACKUP_SERVICE)
        if verdict.state == "failed":
            return [Finding("backup.failed", text % said, value=verdict.age, limit=wanted["schedule"])]
        if verdict.state == "late":
            return [Finding("backup.overdue", text % said, value=verdict.age, limit=wanted["schedule"])]
        return []
    return []


def timers(case: Case, host: str, node: Node) -> Problems:
    """Refuse scheduled backups on a control plane without systemd."""
    init = node["info"].get("init")
    if node["role"] != "control_plane" or not node["inputs"]["kube_backup"]["schedule"] or init == "systemd":
        return Problems([], [])
    text = (
        "%s: kube_backup.schedule needs the timers of systemd, and the host has %s. Remove it, and run the playbook "
        "backup from a scheduler of the controller."
    )
    return Problems([Finding("backup.no_timers", text % (host, init), host, init, "systemd")], [])
