# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A snapshot of K3s's embedded etcd, and its proof. Standard library only.

K3s has no program with which the snapshot could be served, so it is read from its file (etcd_file.py).
"""

from __future__ import annotations

import json
import os
import time
from typing import Any, Dict, List, NamedTuple

from ..api import etcd
from ..node import paths
from . import etcd_file, snapshot
from .k3s import BOOTSTRAP
from .make import ATTEMPTS, GONE, TOO_OFTEN, Compacted, refuse_difference
from .snapshot import SnapshotError


class Saved(NamedTuple):
    """store: what is in the snapshot, as in the manifest. first_secret: how the first Secret is stored.

    opens: how its keys begin with which K3s opens it. cluster_id: of etcd. version: of etcd.
    """

    store: Dict[str, Any]
    first_secret: bytes
    opens: List[str]
    cluster_id: str
    version: str


def member() -> etcd.Etcd:
    """Return a client of this server's own member. Raise SnapshotError if it has none, or OSError."""
    how = paths.K3s().etcd()
    if not how:
        raise SnapshotError("this server has no data of etcd (server/db/etcd/member is missing)")
    return etcd.connect(how, timeout=60)


def saved(path: str, client: etcd.Etcd) -> Saved:
    """Save a verified snapshot of a member that listed the members. Raise SnapshotError or one of tls.NO_ANSWER."""
    members = client.members()
    for attempts in reversed(range(ATTEMPTS)):
        since = snapshot.revision(client)
        snapshot.save(client, path)
        try:
            found = verified(path, client, since)
            break
        except Compacted:
            if not attempts:
                raise
            os.unlink(path)
            time.sleep(1)
    known = etcd.described(json.dumps({"members": members}), etcd.k3s_node)
    version = str(client.own_status().get("version") or "")
    return found._replace(
        store={"kind": "etcd", "members": known, **found.store, "size": os.path.getsize(path)},
        cluster_id=client.cluster_id or "",
        version=version,
    )


def verified(path: str, client: etcd.Etcd, since: int) -> Saved:
    """Read a snapshot from its file, and compare that with what the cluster's etcd has at the same revision.

    since: etcd's revision before the snapshot. Raise SnapshotError.
    """
    with etcd_file.Snapshot(path) as copy:
        if copy.revision < since:
            text = "the snapshot ends at revision %d, and etcd was at %d before it: this member is behind the others"
            raise SnapshotError(text % (copy.revision, since))
        try:
            known = snapshot.hash_at(client, copy.revision)
            own = snapshot.contents(client, copy.revision)
        except ValueError as error:
            raise Compacted(TOO_OFTEN) if GONE in str(error) else error from None
        names = [key for key in copy.existing() if key]
        there = {"revision": copy.revision, "keys": len(names), "counts": etcd_file.counts(names)}
        refuse_difference(own, there)
        there.update(known)
        if copy.hash_at(copy.revision, known["compact_revision"]) != known["hash"]:
            raise SnapshotError("the snapshot has other contents than etcd at revision %d" % copy.revision)
        opens = sorted(name.decode("utf-8", "replace") for name in names if name.startswith(BOOTSTRAP.encode()))
        return Saved(there, copy.first_value("secrets"), opens, "", "")
