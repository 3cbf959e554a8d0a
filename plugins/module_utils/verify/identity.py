# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which cluster a control plane belongs to, by its own API server and its own etcd. Standard library only.

The report compares what all control planes say: each of two clusters is healthy when only one of them is asked.
"""

from __future__ import annotations

import os
from typing import Any, Callable, Dict

from ..api import etcd
from ..api.kubernetes import Api, ApiError, local_server
from ..node import paths
from .check import tried

KUBE_SYSTEM = "/api/v1/namespaces/kube-system"
ETCD, SQLITE, EXTERNAL = "etcd", "SQLite", "an external database"


def of_control_plane(deadline: float) -> Dict[str, Any] | None:
    """Return {uid, etcd_cluster, datastore, problems} of this node's cluster, None if it runs no API server.

    uid: of the namespace kube-system. etcd_cluster: None if its datastore is another one. problems: why one of them is
    unknown. No server but the node's own is asked: another one would answer for its own cluster.
    """
    server = local_server()
    if server is None:
        return None
    found: Dict[str, Any] = {"uid": None, "etcd_cluster": None, "datastore": datastore(), "problems": []}
    _ask(found, "uid", deadline, lambda: _uid(server))
    if found["datastore"] == ETCD:
        _ask(found, "etcd_cluster", deadline, _etcd_cluster)
    return found


def datastore() -> str:
    """Return where this control plane's API server stores: ETCD, SQLITE or EXTERNAL."""
    place = paths.here()
    if etcd.access():
        return ETCD
    is_sqlite = isinstance(place, paths.K3s) and os.path.exists(place.data + "/server/db/state.db")
    return SQLITE if is_sqlite else EXTERNAL


def _ask(found: Dict[str, Any], key: str, deadline: float, work: Callable[[], str]) -> None:
    found[key], problem, _ms = tried(deadline, work)
    if problem:
        found["problems"].append(problem)


def _uid(server: tuple[str, int]) -> str:
    try:
        uid = ((Api([server], timeout=5, patience=0).get(KUBE_SYSTEM) or {}).get("metadata") or {}).get("uid")
    except ApiError as error:
        raise ValueError("its API does not name its cluster: %s" % error) from None
    if not uid:
        raise ValueError("its API does not name its cluster: kube-system has no UID")
    return str(uid)


def _etcd_cluster() -> str:
    """Return the ID of the cluster that the node's own member is in. The first server of an external etcd answers."""
    try:
        member = etcd.connect(etcd.access())
        member.members()
    except (OSError, ValueError, KeyError) as error:
        raise ValueError("its etcd does not name its cluster: %s" % error) from None
    if not member.cluster_id:
        raise ValueError("its etcd does not name its cluster: the answer has no ID")
    return member.cluster_id
