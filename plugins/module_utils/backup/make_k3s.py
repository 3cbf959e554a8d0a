# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a verified archive of a K3s cluster on one of its servers. Standard library only.

Made and deleted as make.py says.
"""

from __future__ import annotations

import os
import time
from typing import Any, Callable, Dict, Tuple

from ..api import tls
from ..api.kubernetes import ApiError
from ..base.masking import masked_message
from ..base.text_files import read_text
from ..node import paths
from ..sql import address
from ..sql.database import Database, DatabaseError
from . import k3s, k3s_etcd, k3s_sql, kubeadm, make, sqlite
from .make import BackupError
from .snapshot import SnapshotError


def make_archive(name: str) -> Dict[str, Any]:
    """Return {path, size, sha256, manifest, seconds} of a new, verified archive of this server's K3s cluster.

    name: of the cluster. Raise BackupError.
    """
    try:
        with make.workplace() as place:
            return _made(place, name)
    except (SnapshotError, DatabaseError, ApiError, *tls.NO_ANSWER, KeyError) as error:
        raise BackupError(masked_message(str(error) or type(error).__name__)) from error


def of_this_node(name: str) -> Dict[str, Any]:
    """Return the same of this node's cluster, whatever its distribution is. Raise BackupError."""
    return make_archive(name) if isinstance(paths.here(), paths.K3s) else make.make(name)


def _made(place: str, name: str) -> Dict[str, Any]:
    seconds: Dict[str, float] = {}
    data = paths.K3s().data
    kind = k3s.datastore(data)
    external = address.of_this_server() if kind == k3s.EXTERNAL else None
    if kind == k3s.EXTERNAL and external is None:
        text = "%s/server/db has neither a SQLite database nor data of etcd. An external etcd is saved by its own tool."
        raise BackupError(text % data)
    with make.timed(seconds, "collect"):
        cluster, release = k3s.identity(k3s.own_api(), data)
        found = k3s.keys(data, kind)
        refuse_wrong(found)
    versions = {"kubernetes": cluster["version"], "k3s": release}
    with make.timed(seconds, "snapshot"):
        if external:
            stored, store = saved_sql(place, data, external)
        elif kind == k3s.SQLITE:
            stored, store = saved(place, data)
        else:
            stored, made = saved_etcd(place, data)
            store, versions["etcd"], cluster["etcd_cluster"] = made.store, made.version, made.cluster_id
    manifest = {
        "format": make.FORMAT,
        "schema": make.SCHEMA,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cluster": {"name": name, "distribution": "k3s", **cluster},
        "versions": versions,
        "datastore": {"kind": kind, **store},
        "missing": found.missing,
    }
    with make.timed(seconds, "pack"):
        packed = make.pack(os.path.join(place, "archive.tar.gz"), manifest, [*found.parts, stored], {})
        os.unlink(stored.source)
    return {**packed, "manifest": manifest, "seconds": seconds}


def refuse_wrong(found: kubeadm.Found) -> None:
    """Raise BackupError if no cluster could be restored with these keys and tokens."""
    wrong = k3s.wrong_keys(found.parts)
    if wrong:
        raise BackupError("%s. A cluster could not be restored with these keys." % "; ".join(wrong))
    names = [part.name for part in found.parts]
    if k3s.TOKEN not in names:
        text = "%s is missing. Without this token nobody can open the datastore again."
        raise BackupError(text % next(path for path in found.missing if path.endswith(k3s.TOKEN)))


def saved(place: str, data: str) -> Tuple[kubeadm.Part, Dict[str, Any]]:
    """Copy the database and prove the copy. Return (the part of the archive, what is in it). Raise SnapshotError or
    BackupError."""
    source, path = data + "/server/db/state.db", os.path.join(place, "state.db")
    size = sum(os.path.getsize(source + end) for end in ("", "-wal") if os.path.exists(source + end))
    make.refuse_without_space(place, size, "the database")
    store = sqlite.verified(path, sqlite.save(source, path))
    return kubeadm.Part(k3s.DATABASE, path, source), _proved(data, path, store)


def saved_sql(place: str, data: str, database: Database) -> Tuple[kubeadm.Part, Dict[str, Any]]:
    """Copy an external database and prove the copy. Return and raise as saved(), and DatabaseError."""
    path = os.path.join(place, "kine.db")
    make.refuse_without_space(place, database.size(), database.engine)
    store = k3s_sql.saved(database, path, place)
    return kubeadm.Part(k3s.COPY, path, ""), {"engine": database.engine, **_proved(data, path, store)}


def _proved(data: str, path: str, store: Dict[str, Any]) -> Dict[str, Any]:
    """Return what is in a copy with how Secrets are encrypted, if the server's token opens it. Raise BackupError."""
    refuse_token(data, lambda key: sqlite.has(path, key))
    secrets = encryption(data, sqlite.first_value(path, "secrets"))
    return {**store, "encryption": secrets, "size": os.path.getsize(path)}


def saved_etcd(place: str, data: str) -> Tuple[kubeadm.Part, k3s_etcd.Saved]:
    """Save a snapshot of etcd and prove it. Return (the part of the archive, what is in it). Raise as saved()."""
    path = os.path.join(place, "snapshot.db")
    client = k3s_etcd.member()
    make.refuse_without_space(place, int(client.own_status().get("dbSize") or 0), "etcd")
    made = k3s_etcd.saved(path, client)
    refuse_token(data, lambda key: key in made.opens)
    store = {**made.store, "encryption": encryption(data, made.first_secret)}
    return kubeadm.Part(make.SNAPSHOT, path, ""), made._replace(store=store)


def refuse_token(data: str, opens: Callable[[str], bool]) -> None:
    """Raise BackupError if the server's token does not open its datastore. opens: whether the datastore has a key."""
    key = k3s.bootstrap_key(read_text("%s/%s" % (data, k3s.TOKEN)))
    if not opens(key):
        text = "the token in %s/%s does not open the datastore: it has no %s. Correct the token, K3s would not start."
        raise BackupError(text % (data, k3s.TOKEN, key))


def encryption(data: str, first_secret: bytes) -> Dict[str, Any]:
    """Return how Secrets are encrypted, {} if they are not. Raise BackupError if the server does not have the key."""
    found = k3s.encryption(first_secret, read_text("%s/%s" % (data, k3s.ENCRYPTION_CONFIG)))
    if found and not found["known"]:
        text = "Secrets are encrypted with the key %s, which %s/%s does not have"
        raise BackupError(text % (found["key"], data, k3s.ENCRYPTION_CONFIG))
    return found
