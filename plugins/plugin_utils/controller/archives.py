# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives of clusters on the controller: written in one step, examined from the first byte to the last, and kept for
as long as the user wants.
"""

from __future__ import annotations

import contextlib
import glob
import gzip
import hashlib
import io
import json
import os
import re
import tarfile
import tempfile
import time
import zlib
from collections.abc import Collection, Iterator
from typing import Any, BinaryIO

from ...module_utils.backup import k3s
from ...module_utils.backup.make import FORMAT, MANIFEST, SCHEMA, SNAPSHOT
from ...module_utils.destinations import naming
from . import age

# A file that is being written; one that is older than a day was left by a run that was killed.
UNFINISHED, UNFINISHED_SECONDS = ".partial", 86400
MANIFEST_LIMIT = 16 << 20
# The start of a gzip file as the node writes it: what gzip's own checksum does not cover.
GZIP = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
# What a restore cannot do without, by distribution and datastore.
REQUIRED = {
    "kubeadm etcd": (SNAPSHOT, "pki/ca.crt", "pki/sa.pub", "kubeadm/kubeadm-config.yaml"),
    "k3s etcd": (SNAPSHOT, k3s.TOKEN, "server/tls/server-ca.crt", "server/tls/etcd/server-ca.crt"),
    "k3s sqlite": (k3s.DATABASE, k3s.TOKEN, "server/tls/server-ca.crt", "server/tls/client-ca.crt"),
    "k3s external": (k3s.COPY, k3s.TOKEN, "server/tls/server-ca.crt", "server/tls/client-ca.crt"),
}
STORES = {"etcd": "etcd", k3s.SQLITE: "SQLite"}
Manifest = dict[str, Any]


class ArchiveError(Exception):
    """An archive that must not be used. id: what is wrong, for tests and programs."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.id = "archive." + kind


def newest(directory: str) -> str:
    """Return the newest archive in a directory. Raise ArchiveError if it has none, or several clusters'; OSError."""
    found = naming.newest(os.listdir(directory))
    if not found:
        raise ArchiveError("none", "%s has no archive of the playbook backup. Correct restore_archive." % directory)
    if len(found) > 1:
        text = "%s has archives of %d clusters. Set restore_archive to the file that you want; the newest ones are %s."
        raise ArchiveError("several", text % (directory, len(found), ", ".join(sorted(found.values()))))
    return os.path.join(directory, *found.values())


class Receiver:
    """An archive that arrives from a node, piece by piece. It gets its name when it is complete and was examined."""

    def __init__(self, directory: str, passphrase: str = "") -> None:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        self._passphrase, self._digest, self.directory, self.size = passphrase, hashlib.sha256(), directory, 0
        for left in glob.glob(os.path.join(glob.escape(directory), ".kubewright-*" + UNFINISHED)):
            if time.time() - os.path.getmtime(left) > UNFINISHED_SECONDS:
                os.unlink(left)
        handle, self.path = tempfile.mkstemp(prefix=".kubewright-", suffix=UNFINISHED, dir=directory)
        self._stream = os.fdopen(handle, "w+b")
        self._target: Any = age.Writer(self._stream, passphrase) if passphrase else self._stream

    def write(self, data: bytes) -> None:
        """Take the next piece."""
        self.size += len(data)
        self._digest.update(data)
        self._target.write(data)

    def finish(self, sha256: str, manifest: Manifest) -> str:
        """Check the archive as a restore would, and give it its name. Return its path. Raise ArchiveError or OSError.

        sha256: of the file on the node.
        """
        if self._passphrase:
            self._target.close()
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()
        if self._digest.hexdigest() != sha256:
            raise ArchiveError("damaged", "the archive was changed on its way from the node. Run this again.")
        examined = examine(self.path, self._passphrase)
        if examined != manifest:
            raise ArchiveError("damaged", "the archive that arrived is not the one that the node made. Run this again.")
        target = os.path.join(self.directory, naming.file_name(manifest, bool(self._passphrase)))
        os.replace(self.path, target)
        _flush(self.directory)
        return target

    def discard(self) -> None:
        """Delete what has arrived, unless it is finished."""
        self._stream.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)


def examine(path: str, passphrase: str = "") -> Manifest:
    """Read a whole archive and compare it with its manifest. Return that. Raise ArchiveError or OSError."""
    with opened(path, passphrase) as tar:
        manifest = _manifest(path, tar)
        found = {}
        for entry in iter(tar.next, None):
            found[entry.name] = _digest(tar.extractfile(entry))
    for name in _required(path, manifest):
        if name not in found:
            text = "%s: the part %s is missing. The archive cannot be restored; use another one."
            raise ArchiveError("missing_part", text % (path, name))
        if found[name] != manifest["parts"][name]["sha256"]:
            text = "%s: the part %s is not the one that was saved (its SHA-256 differs). Use another archive."
            raise ArchiveError("changed_part", text % (path, name))
    extra = sorted(set(found) - set(manifest["parts"]))
    if extra:
        text = "%s: the part %s is not in its manifest. Somebody changed the archive; use another one."
        raise ArchiveError("changed_part", text % (path, extra[0]))
    return manifest


def parts(tar: tarfile.TarFile, names: Collection[str]) -> Iterator[tuple[str, Any]]:
    """Yield (name, its stream) of parts of an opened archive, in their order in it. Raise ArchiveError or OSError."""
    for entry in iter(tar.next, None):
        if entry.name in names:
            yield entry.name, tar.extractfile(entry)


def _digest(stream: Any) -> str:
    digest = hashlib.sha256()
    while stream:
        block = stream.read(1 << 20)
        digest.update(block)
        if not block:
            break
    return digest.hexdigest()


@contextlib.contextmanager
def opened(path: str, passphrase: str = "") -> Iterator[tarfile.TarFile]:
    """Open an archive to read its entries in order. What is wrong with the file is raised as ArchiveError."""
    try:
        with open(path, "rb") as stream, contextlib.closing(_decrypted(path, stream, passphrase)) as plain:
            start = plain.peek(len(GZIP))[: len(GZIP)]
            if start != GZIP:
                kind = "damaged" if start[:3] == GZIP[:3] else "not_an_archive"
                raise EOFError if GZIP.startswith(start) else ArchiveError(kind, _TEXTS[kind] % path)
            with gzip.GzipFile(fileobj=plain) as unpacked, tarfile.open(fileobj=unpacked, mode="r|") as tar:
                yield tar
                while unpacked.read(1 << 20):
                    pass
    except (EOFError, age.CutShort):
        raise ArchiveError("cut_short", _TEXTS["cut_short"] % path) from None
    except age.WrongPassphrase:
        raise ArchiveError("wrong_passphrase", _TEXTS["wrong_passphrase"] % path) from None
    except age.ForKeys:
        raise ArchiveError("for_keys", _TEXTS["for_keys"] % path) from None
    except age.NotForPassphrase:
        raise ArchiveError("not_an_archive", _TEXTS["not_an_archive"] % path) from None
    except (age.Changed, gzip.BadGzipFile, zlib.error, tarfile.TarError):
        raise ArchiveError("damaged", _TEXTS["damaged"] % path) from None


_TEXTS = {
    "cut_short": "%s is cut short: it ends before its end mark. Use another archive, or copy it again.",
    "damaged": "%s is damaged: its content is not what was written (a checksum differs). Use another archive.",
    "not_an_archive": "%s is not an archive of kubewright.cluster.backup. Name one in the directory of your backups.",
    "wrong_passphrase": "%s: the passphrase does not open it. Set backup_passphrase to the one it was made with.",
    "for_keys": "%s is encrypted for the keys of kube_backup.recipients. Set backup_passphrase to the secret part of "
    "one of them (AGE-SECRET-KEY-1…).",
    "encrypted": "%s is encrypted. Set backup_passphrase (from Ansible Vault), or backup_passphrase_file.",
}


class _Pieces(io.RawIOBase):
    """Pieces of data as a file. Errors of their source are passed on."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = piece
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count


def _decrypted(path: str, stream: BinaryIO, passphrase: str) -> Any:
    """Return a file of the archive's plain content."""
    start = stream.read(len(age.FIRST_LINE))
    stream.seek(0)
    if start != age.FIRST_LINE:
        return io.BufferedReader(_Pieces(iter(lambda: stream.read(1 << 16), b"")))
    if not passphrase:
        raise ArchiveError("encrypted", _TEXTS["encrypted"] % path)
    return io.BufferedReader(_Pieces(age.read(stream, passphrase)))


def _manifest(path: str, tar: tarfile.TarFile) -> Manifest:
    """Return the manifest, the first entry. Raise ArchiveError if it is not one that this release reads."""
    entry = tar.next()
    stream = tar.extractfile(entry) if entry and entry.name == MANIFEST and entry.size < MANIFEST_LIMIT else None
    try:
        found = json.loads(stream.read()) if stream else {}
    except ValueError:
        found = {}
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ArchiveError("not_an_archive", _TEXTS["not_an_archive"] % path)
    if found.get("schema") != SCHEMA:
        text = (
            "%s has the format %s, and this release of the collection reads format %d. Restore it with the release "
            "that made it."
        )
        raise ArchiveError("schema", text % (path, found.get("schema"), SCHEMA))
    return found


def _required(path: str, manifest: Manifest) -> list[str]:
    """Return the parts that the archive must have: those of its manifest, and those that a restore needs."""
    cluster, datastore = manifest.get("cluster") or {}, manifest.get("datastore") or {}
    kind = "%s %s" % (cluster.get("distribution"), datastore.get("kind"))
    if kind not in REQUIRED or not isinstance(manifest.get("parts"), dict):
        raise ArchiveError("not_an_archive", _TEXTS["not_an_archive"] % path)
    missing = [name for name in REQUIRED[kind] if name not in manifest["parts"]]
    return missing + sorted(manifest["parts"])


def check_cluster(path: str, manifest: Manifest, authority: str | None, uid: str | None) -> None:
    """Raise ArchiveError if an archive is of another cluster than the hosts. None: they have no cluster."""
    own = manifest["cluster"]
    for name, there, here in (("certificate authority", own["ca_sha256"], authority), ("UID", own["uid"], uid)):
        if here and there != here:
            text = (
                "%s is of the cluster %s of %s, and the hosts belong to another one (their %s differs: %s, here %s). Use "
                "an archive of this cluster, or reset the hosts first."
            )
            values = (path, own["name"], manifest["created"], name, str(there)[:16], str(here)[:16])
            raise ArchiveError("other_cluster", text % values)


def described(manifest: Manifest) -> str:
    """Return what is in an archive, in a few words."""
    store, cluster = manifest["datastore"], manifest["cluster"]
    objects = sum(store["counts"].values())
    text = "%s, Kubernetes %s, %s, %d objects of %d kinds, %s revision %s"
    return text % (
        cluster["name"],
        cluster["version"],
        manifest["created"],
        objects,
        len(store["counts"]),
        STORES.get(store["kind"]) or store.get("engine") or "database",
        store["revision"],
    )


def archives(directory: str, start: str) -> list[str]:
    """Return the finished archives of a cluster, the oldest first. start: how their names begin, by naming.prefix()."""
    pattern = re.compile(re.escape(start) + naming.TIME)
    names = os.listdir(directory) if os.path.isdir(directory) else []
    return [os.path.join(directory, name) for name in sorted(names) if pattern.fullmatch(name)]


def prune(directory: str, start: str, keep: int) -> list[str]:
    """Delete all but the newest archives of a cluster. keep: how many stay, 0 for all. Return the deleted ones."""
    gone = archives(directory, start)[:-keep] if keep else []
    for path in gone:
        os.unlink(path)
    return gone


def _flush(directory: str) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
