# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a verified archive of a K3s cluster on one of its servers. Standard library only.

Made and deleted as make.py says.
"""

from __future__ import annotations

import os
import time
from typing import Any, Dict, Tuple

from ..api import tls
from ..api.kubernetes import ApiError
from ..base.masking import masked_message
from ..base.text_files import read_text
from ..node import paths
from . import k3s, kubeadm, make, sqlite
from .make import BackupError
from .snapshot import SnapshotError


def make_archive(name: str) -> Dict[str, Any]:
    """Return {path, size, sha256, manifest, seconds} of a new, verified archive of this server's K3s cluster.

    name: of the cluster. Raise BackupError.
    """
    try:
        with make.workplace() as place:
            return _made(place, name)
    except (SnapshotError, ApiError, *tls.NO_ANSWER, KeyError) as error:
        raise BackupError(masked_message(str(error) or type(error).__name__)) from error


def of_this_node(name: str) -> Dict[str, Any]:
    """Return the same of this node's cluster, whatever its distribution is. Raise BackupError."""
    return make_archive(name) if isinstance(paths.here(), paths.K3s) else make.make(name)


def _made(place: str, name: str) -> Dict[str, Any]:
    seconds: Dict[str, float] = {}
    data = paths.K3s().data
    kind = k3s.datastore(data)
    if kind != k3s.SQLITE:
        raise BackupError("%s/server/db/state.db is missing: this server does not use SQLite" % data)
    with make.timed(seconds, "collect"):
        cluster, release = k3s.identity(k3s.own_api(), data)
        found = k3s.keys(data, kind)
        refuse_wrong(found)
    with make.timed(seconds, "snapshot"):
        stored, store = saved(place, data)
    manifest = {
        "format": make.FORMAT,
        "schema": make.SCHEMA,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cluster": {"name": name, "distribution": "k3s", **cluster},
        "versions": {"kubernetes": cluster["version"], "k3s": release},
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
    key = k3s.bootstrap_key(read_text("%s/%s" % (data, k3s.TOKEN)))
    if not sqlite.has(path, key):
        text = "the token in %s/%s does not open the datastore: it has no %s. Correct the token, K3s would not start."
        raise BackupError(text % (data, k3s.TOKEN, key))
    config = read_text("%s/%s" % (data, k3s.ENCRYPTION_CONFIG))
    store["encryption"] = k3s.encryption(sqlite.first_value(path, "secrets"), config)
    if store["encryption"] and not store["encryption"]["known"]:
        text = "Secrets are encrypted with the key %s, which %s/%s does not have"
        raise BackupError(text % (store["encryption"]["key"], data, k3s.ENCRYPTION_CONFIG))
    return kubeadm.Part(k3s.DATABASE, path, source), {**store, "size": os.path.getsize(path)}
