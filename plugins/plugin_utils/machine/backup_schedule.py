# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scheduled backups of a control plane: the program, its settings, and the units that start it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ...module_utils.base import schedule
from ...module_utils.node import paths
from ..base.distribution import Cluster, File, Node
from ..base.model import SQL
from . import backup_program
from .service_units import HEADER

PART = "backup"
UNITS = [paths.BACKUP_TIMER]
SFTP = "/usr/bin/sftp"
SFTP_PACKAGES = {"debian": "openssh-client", "redhat": "openssh-clients", "suse": "openssh-clients", "arch": "openssh"}
# Programs that read an external database (module_utils/sql), and packages with the first one by system family.
CLIENTS = {"PostgreSQL": ("/usr/bin/psql",), "MySQL": ("/usr/bin/mariadb", "/usr/bin/mysql")}
CLIENT_PACKAGES = {
    "PostgreSQL": {"debian": "postgresql-client", "redhat": "postgresql", "suse": "postgresql", "arch": "postgresql"},
    "MySQL": {"debian": "mariadb-client", "redhat": "mariadb", "suse": "mariadb-client", "arch": "mariadb-clients"},
}
# What the file of the program is made of where it is written (plugins/action/node_parts.py): the plan has its digest.
BUILT = "backup_program"
SERVICE = """[Unit]
Description=Scheduled backup of the Kubernetes cluster
Documentation=https://github.com/kubewright/cluster/blob/main/docs/backup.md
Wants=network-online.target
After=network-online.target containerd.service kubelet.service k3s.service

[Service]
Type=oneshot
ExecStart=%(python)s -I %(program)s %(settings)s
UMask=0077
Nice=10
IOSchedulingPriority=7
KillMode=mixed
TimeoutStartSec=24h
"""
TIMER = """[Unit]
Description=Schedule of the backups of the Kubernetes cluster

[Timer]
OnCalendar=%(schedule)s
RandomizedDelaySec=%(delay)d
Persistent=true

[Install]
WantedBy=timers.target
"""


def is_scheduled(node: Node) -> bool:
    """Return True if a node backs up on its own."""
    return bool(node["role"] == "control_plane" and node["inputs"]["kube_backup"]["schedule"])


def files(node: Node) -> list[File]:
    """Return the program and the units of a control plane; nothing where no schedule is set."""
    if not is_scheduled(node):
        return []
    due = schedule.parse(node["inputs"]["kube_backup"]["schedule"])
    python = (node["info"].get("python") or {}).get("executable") or "/usr/bin/python3"
    service = SERVICE % {"python": python, "program": paths.BACKUP_PROGRAM, "settings": paths.BACKUP_SETTINGS}
    timer = TIMER % {"schedule": due.text, "delay": due.delay}
    texts = dict(zip(paths.BACKUP_UNITS, (service, timer)))
    program = {"path": paths.BACKUP_PROGRAM, "mode": "0600", "sha256": backup_program.digest(), "built": BUILT}
    return [program, *({"path": path, "content": HEADER + text, "mode": "0644"} for path, text in texts.items())]


def secret_files(node: Node, cluster: Cluster) -> list[File]:
    """Return the settings of the program, with the logins of destinations."""
    if not is_scheduled(node):
        return []
    wanted, proxy = node["inputs"]["kube_backup"], node["inputs"]["kube_http_proxy"] or {}
    exceptions = [*cluster["no_proxy"], *(proxy.get("no_proxy") or [])]
    settings: dict[str, Any] = {
        "cluster": cluster["name"],
        "schedule": wanted["schedule"],
        "keep": wanted["keep"],
        "to": [without_empty(entry) for entry in wanted["to"]],
        "recipients": wanted["recipients"],
        "proxy": {**without_empty({name: proxy.get(name) for name in ("http", "https")}), "no_proxy": exceptions},
    }
    text = json.dumps(settings, indent=1, sort_keys=True) + "\n"
    return [{"path": paths.BACKUP_SETTINGS, "content": text, "mode": "0600", "secret": True}]


def without_empty(value: Any) -> Any:
    """Return a map without the keys that are not set."""
    if isinstance(value, dict):
        return {key: without_empty(item) for key, item in value.items() if item is not None}
    return value


def owned_places() -> list[str]:
    """Return the places in which a file of ours that is not wanted is a remainder."""
    return [paths.BACKUP + "/", *paths.BACKUP_UNITS]


def paths_to_look_at(inputs: Mapping[str, Any]) -> list[str]:
    """Return programs that scheduled backups need. inputs: of a control plane, maybe not validated."""
    wanted = inputs.get("kube_backup")
    wanted = wanted if isinstance(wanted, Mapping) and wanted.get("schedule") else {}
    rows = wanted.get("to")
    rows = rows if isinstance(rows, list) else []
    sftp = any(isinstance(row, Mapping) and row.get("sftp") for row in rows)
    return [*([SFTP] if sftp else []), *(CLIENTS.get(_database(inputs), ()) if wanted else ())]


def _database(inputs: Mapping[str, Any]) -> str:
    """Return the kind of a control plane's external SQL database, "" if it has none."""
    return SQL.get(str(inputs.get("k3s_datastore_endpoint") or "").partition("://")[0], "")


def packages(node: Node) -> list[tuple[str, str]]:
    """Return (command, package) that a control plane's backups need, and that it does not have."""
    if not is_scheduled(node):
        return []
    there, family = node["info"].get("files") or {}, str((node["info"].get("os") or {}).get("family"))
    wanted: list[tuple[tuple[str, ...], Mapping[str, str]]] = []
    if SFTP in paths_to_look_at(node["inputs"]):
        wanted.append(((SFTP,), SFTP_PACKAGES))
    database = _database(node["inputs"])
    if database:
        wanted.append((CLIENTS[database], CLIENT_PACKAGES[database]))
    missing = [row for row in wanted if not any(there.get(path, "unknown") for path in row[0])]
    return [(files[0].rpartition("/")[2], names.get(family, names["debian"])) for files, names in missing]
