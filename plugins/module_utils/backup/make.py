# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a verified archive of a cluster on one of its control planes. Standard library only.

Everything is made in a directory that only root can read, and that is deleted on failure.
"""

from __future__ import annotations

import contextlib
import glob
import gzip
import hashlib
import io
import json
import os
import shutil
import tarfile
import tempfile
import time
from typing import Any, Dict, Iterator, List

from ..api import etcd, tls
from ..api.kubernetes import ApiError
from ..base.masking import masked_message
from ..node import downloads, paths, space
from . import kubeadm, scratch, snapshot
from .snapshot import SnapshotError

FORMAT, SCHEMA = "kubewright.cluster backup", 1
MANIFEST = "manifest.json"
SNAPSHOT = "etcd/snapshot.db"
PLACES, PREFIX = paths.OWN_DATA, "backup-"
# A snapshot, the data directory restored from it, and the archive; a little for the rest.
SPACE_FACTOR, SPACE_MORE = 3, 200 << 20
LEVEL = 3
ATTEMPTS = 3
TOO_OFTEN = "etcd was compacted while it was backed up, %d times in a row" % ATTEMPTS
# etcd's own words: api/v3rpc/rpctypes/error.go
GONE = "required revision has been compacted"


class Compacted(SnapshotError):
    """etcd dropped old revisions after the snapshot was saved."""


class BackupError(Exception):
    """The archive was not made. The message says why, without secrets."""


@contextlib.contextmanager
def workplace(root: str = "") -> Iterator[str]:
    """Make a directory for one backup, and delete it if the backup fails. What killed runs left is deleted first."""
    os.makedirs(root + PLACES, mode=0o755, exist_ok=True)
    clean(root)
    place = tempfile.mkdtemp(prefix=PREFIX, dir=root + PLACES)
    try:
        yield place
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise


def clean(root: str = "") -> None:
    """Delete the directories of all backups on this node."""
    for place in glob.glob(os.path.join(root + PLACES, PREFIX + "*")):
        if os.path.ismount(os.path.join(place, scratch.IMAGE)):  # of a run that was killed
            scratch.unmount(place)
        shutil.rmtree(place, ignore_errors=True)


def make(name: str) -> Dict[str, Any]:
    """Return {path, size, sha256, manifest, seconds} of a new, verified archive of this node's kubeadm cluster.

    name: of the cluster. Raise BackupError.
    """
    try:
        with workplace() as place:
            return _made(place, name)
    except (SnapshotError, ApiError, *tls.NO_ANSWER, KeyError) as error:
        raise BackupError(masked_message(str(error) or type(error).__name__)) from error


def refuse_unknown_key(encryption: Dict[str, Any]) -> None:
    """Refuse an archive whose Secrets nobody could read. Raise BackupError. encryption: kubeadm.encryption()."""
    if encryption and not encryption["known"] and encryption["provider"] != "kms":  # that key is elsewhere
        text = "Secrets are encrypted with the key %s, which no file has that the API server's arguments name"
        raise BackupError(text % encryption["key"])


def _made(place: str, name: str) -> Dict[str, Any]:
    seconds: Dict[str, float] = {}
    client = etcd.local(timeout=60)
    members = client.members()
    status = client.own_status()
    path = os.path.join(place, "snapshot.db")
    refuse_without_space(place, int(status.get("dbSize") or 0), "etcd")
    with timed(seconds, "collect"):
        api = kubeadm.own_api()
        found, files, cluster = kubeadm.keys(), kubeadm.mounted_files(), kubeadm.identity(api)
        wrong = kubeadm.wrong_keys(found.parts)
        if wrong:
            raise BackupError("%s. A cluster could not be restored with these keys." % "; ".join(wrong))
        texts = kubeadm.configurations(api)
    with timed(seconds, "snapshot"):
        store = saved(place, path, client)
        store["encryption"] = kubeadm.encryption(store.pop("first_secret"), files)
        refuse_unknown_key(store["encryption"])
    manifest = {
        "format": FORMAT,
        "schema": SCHEMA,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cluster": {"name": name, "distribution": "kubeadm", **cluster, "etcd_cluster": client.cluster_id},
        "versions": {"kubernetes": cluster["version"], "etcd": status.get("version"), "etcd_image": scratch.image()},
        "datastore": {"kind": "etcd", "members": etcd.described(json.dumps({"members": members})), **store},
        "missing": found.missing,
    }
    with timed(seconds, "pack"):
        parts = [*found.parts, *files, kubeadm.Part(SNAPSHOT, path, "")]
        packed = pack(os.path.join(place, "archive.tar.gz"), manifest, parts, texts)
        os.unlink(path)
    return {**packed, "manifest": manifest, "seconds": seconds}


def refuse_without_space(place: str, size: int, what: str) -> None:
    """Raise BackupError if what a backup of a datastore needs does not fit. size: in bytes."""
    found = space.shortage(place, size * SPACE_FACTOR + SPACE_MORE)
    if found:
        text = "%s has %d MiB free, and a backup of %d MiB of %s needs %d MiB for a moment"
        raise BackupError(text % (PLACES, found[0], size >> 20, what, found[1]))


def saved(place: str, path: str, client: etcd.Etcd) -> Dict[str, Any]:
    """Save a verified snapshot. Return what is in it. Raise SnapshotError.

    If etcd was compacted in between, the two cannot be compared completely: then another snapshot is saved.
    """
    for attempts in reversed(range(ATTEMPTS)):
        since = snapshot.revision(client)
        snapshot.save(client, path)
        try:
            return verified(place, path, client, since)
        except Compacted:
            if not attempts:
                raise
            os.unlink(path)
            # A hash at the very revision of a compaction cannot be compared; a cluster's components write all the time.
            time.sleep(1)
    raise AssertionError


def verified(place: str, path: str, client: etcd.Etcd, since: int) -> Dict[str, Any]:
    """Restore a snapshot to a scratch etcd, and compare that with what the cluster's etcd has at the same revision.

    since: etcd's revision before the snapshot. Return what is in it. Raise SnapshotError.
    """
    data = os.path.join(place, "scratch")
    try:
        with scratch.tools(scratch.image(), place) as tools:
            tools.restore(path, data, [])
            with scratch.serving(tools, data) as copy:
                there = snapshot.contents(copy)
                there.update(snapshot.hash_at(copy, there["revision"]))
                first = snapshot.first_value(copy, "secrets")
    finally:
        shutil.rmtree(data, ignore_errors=True)
    if there["revision"] < since:
        text = "the snapshot ends at revision %d, and etcd was at %d before it: this member is behind the others"
        raise SnapshotError(text % (there["revision"], since))
    try:
        own = snapshot.contents(client, there["revision"])
        known = snapshot.hash_at(client, there["revision"])
    except ValueError as error:
        raise Compacted(TOO_OFTEN) if GONE in str(error) else error from None
    refuse_difference(own, there)
    # The hash depends on the last compaction, which a restored etcd may not know any more.
    if known["hash"] != there["hash"]:
        if known["compact_revision"] != there["compact_revision"]:
            raise Compacted(TOO_OFTEN)
        raise SnapshotError("the snapshot has other contents than etcd at revision %d" % there["revision"])
    return {**there, "size": os.path.getsize(path), "first_secret": first}


def refuse_difference(own: Dict[str, Any], there: Dict[str, Any]) -> None:
    """Raise SnapshotError if a snapshot does not have as many objects of each kind as etcd. own: etcd's contents."""
    wrong = {
        kind for kind in {**own["counts"], **there["counts"]} if own["counts"].get(kind) != there["counts"].get(kind)
    }
    if wrong or own["keys"] != there["keys"]:
        rows = [
            "%s: %d of %d" % (kind, there["counts"].get(kind, 0), own["counts"].get(kind, 0)) for kind in sorted(wrong)
        ]
        raise SnapshotError("the snapshot does not have what etcd has (%s)" % ", ".join(rows))


def pack(target: str, manifest: Dict[str, Any], parts: List[kubeadm.Part], texts: Dict[str, str]) -> Dict[str, Any]:
    """Write the archive; its manifest gets the size and SHA-256 of every part. Return {path, size, sha256}."""
    manifest["parts"] = described(parts, texts)
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        # Without the time and the name of the file in its header, which gzip does not check.
        with gzip.GzipFile("", "wb", LEVEL, stream, mtime=0) as packed, tarfile.open(fileobj=packed, mode="w|") as tar:
            _add(tar, MANIFEST, json.dumps(manifest, indent=1, sort_keys=True).encode())
            for name, text in texts.items():
                _add(tar, name, text.encode())
            for part in parts:
                _add_file(tar, part)
        stream.flush()
        os.fsync(stream.fileno())
    return {"path": target, "size": os.path.getsize(target), "sha256": downloads.sha256(target)}


def described(parts: List[kubeadm.Part], texts: Dict[str, str]) -> Dict[str, Dict[str, Any]]:
    """Return the size and SHA-256 of every part, and where a restore puts it."""
    rows: Dict[str, Dict[str, Any]] = {}
    for part in parts:
        row = rows[part.name] = {"sha256": downloads.sha256(part.source), "size": os.path.getsize(part.source)}
        if part.place:
            stat = os.stat(part.source)
            row.update(path=part.place, mode="%04o" % (stat.st_mode & 0o7777), owner=stat.st_uid, group=stat.st_gid)
    for name, text in texts.items():
        data = text.encode()
        rows[name] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    return rows


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = len(data), 0o600, int(time.time())
    tar.addfile(entry, io.BytesIO(data))


def _add_file(tar: tarfile.TarFile, part: kubeadm.Part) -> None:
    entry = tarfile.TarInfo(part.name)
    entry.size, entry.mode, entry.mtime = os.path.getsize(part.source), 0o600, int(time.time())
    with open(part.source, "rb") as stream:
        tar.addfile(entry, stream)


@contextlib.contextmanager
def timed(seconds: Dict[str, float], name: str) -> Iterator[None]:
    """Record how long something took."""
    started = time.monotonic()
    yield
    seconds[name] = round(time.monotonic() - started, 2)
