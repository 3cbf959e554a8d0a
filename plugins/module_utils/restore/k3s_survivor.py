# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A K3s server that still has etcd's data when their majority is lost for good: what the data are, and the parts that
an archive of them would have. Standard library only.

K3s has etcd built in. So K3s itself reads the log to its end, in a copy of the data and as the only member:
https://docs.k3s.io/cli/etcd-snapshot#cluster-reset. It is stopped for that, because the ports are taken otherwise. Pods
keep running.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from typing import Any, Dict, Iterator, List
from urllib.parse import urlsplit

from ..api import etcd, tls
from ..backup import etcd_file, k3s, kubeadm, make, make_k3s, snapshot, stored_objects
from ..backup.make import SNAPSHOT
from ..backup.snapshot import SnapshotError
from ..base import commands
from ..base.text_files import read_text, write_secret
from ..detect.cluster import PERMANENT_SETTINGS, fingerprint, settings_of
from ..k3s import runner
from ..node import paths, services, space
from . import parts
from .aside import Journal
from .k3s import UNIT
from .k3s_etcd import reset
from .parts import PREFIX, PartsError
from .survivor import COPIES, NODES, SPACE_MORE, SYSTEM, keep, kept

ATTEMPTS = 3
NAME = "/server/db/etcd/name"
DATABASE = "/server/db/etcd/member/snap/db"
# What K3s needs to read the data, below its data directory.
COPIED = ("db/etcd", "tls", "cred", "token", "agent-token")


class Survivor:
    """The data of embedded etcd on this server. data: K3s's data directory."""

    def __init__(self, data: str) -> None:
        self.data = data

    def survey(self) -> Dict[str, Any]:
        """Return what the data are, as survivor.py does. Nothing is stopped. Raise SnapshotError, BackupError or
        OSError.

        What only the log has is not known before it is read: etcd writes to the database ten times a second, and
        without a majority nothing is added.
        """
        row = Journal(former=self.data).read()
        if row:
            return kept(row["archive"]) or {}
        if not os.path.isfile(self.data + DATABASE):
            return {}
        if self._has_leader():
            return {"leader": True}
        return self._described(self.data + DATABASE)

    def copy(self, archive: str, timeout: float) -> Dict[str, Any]:
        """Make the parts of an archive from the data, and leave K3s stopped. Return what survey() does.

        Raise PartsError if the data are not those that the plan was made of, or one of the errors of survey(); K3s runs
        again then. timeout: of K3s, in seconds.
        """
        here = kept(archive)
        if here:
            return here
        if not Journal(former=self.data).read():
            parts.clean()
        if self._has_leader():
            raise PartsError("etcd has a leader again, so that nothing has to be restored. Run this again.")
        runs = not services.here().is_down(UNIT)
        if runs:
            runner.stop(UNIT)
        try:
            return self._made(archive, timeout)
        except BaseException:
            if runs:
                runner.start(UNIT, False, self.data)
            raise

    def refuse_changed(self, archive: str) -> None:
        """Raise PartsError if etcd has written since its data were copied. Nothing to do for an archive."""
        here = kept(archive)
        if here and os.path.isfile(self.data + DATABASE) and here["manifest"]["source"] != self._revision():
            raise PartsError("etcd has written since its data were copied, so that it may serve. Run this again.")

    def _revision(self) -> int:
        with etcd_file.Snapshot(self.data + DATABASE, 0) as found:
            return found.revision

    def _made(self, archive: str, timeout: float) -> Dict[str, Any]:
        before = self._described(self.data + DATABASE)
        if before["archive"] != archive:
            raise PartsError("etcd's data have changed since the plan was made. Run this again.")
        place = PREFIX + archive
        os.makedirs(os.path.join(place, os.path.dirname(SNAPSHOT)), mode=0o700, exist_ok=True)
        path = os.path.join(place, SNAPSHOT)
        with self._replayed(timeout) as database:
            _save(database, path)
            found = self._described(database)
        found.update(archive=archive, members=before["members"])
        found["manifest"].update(source=before["manifest"]["source"], created=before["manifest"]["created"])
        keys = k3s.keys(self.data, k3s.ETCD)
        keep(place, found, kubeadm.Part(SNAPSHOT, path, ""), keys.parts, {})
        return found

    @contextlib.contextmanager
    def _replayed(self, timeout: float) -> Iterator[str]:
        """Let K3s read a copy of the data, as the only member. Yield the path of its database."""
        os.makedirs(paths.OWN_DATA, mode=0o755, exist_ok=True)
        for left in glob.glob(glob.escape(COPIES) + "*"):
            shutil.rmtree(left, ignore_errors=True)
        sources = [name for name in COPIED if os.path.lexists("%s/server/%s" % (self.data, name))]
        _refuse_without_space(self.data + "/server/db/etcd")
        place = tempfile.mkdtemp(prefix=os.path.basename(COPIES), dir=paths.OWN_DATA)
        try:
            for name in sources:
                target = "%s/server/%s" % (place, name)
                os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
                command = ["cp", "-R", "-p", "--sparse=always", "%s/server/%s" % (self.data, name), target]
                done = commands.run(command, timeout=900)
                if done.rc:
                    raise SnapshotError("etcd's data cannot be copied: %s" % done.complaint(2))
            if os.path.isdir(self.data + "/data"):  # what the program has unpacked
                os.symlink(self.data + "/data", place + "/data")
            write_secret(place + "/config.yaml", _alone(read_text(paths.K3S_CONFIG)))
            reset(place, ["--config=%s/config.yaml" % place, "--data-dir=" + place], timeout)
            yield place + DATABASE
        finally:
            shutil.rmtree(place, ignore_errors=True)

    # -- what the data are -----------------------------------------------------------------------------------------

    def _described(self, database: str) -> Dict[str, Any]:
        """Return what survey() returns. A database that changes meanwhile is read again."""
        for attempts in reversed(range(ATTEMPTS)):
            try:
                return self._read(database)
            except SnapshotError:
                if not attempts:
                    raise
                time.sleep(1)
        raise AssertionError

    def _read(self, database: str) -> Dict[str, Any]:
        with etcd_file.Snapshot(database, 0) as found:
            names = [key for key in found.existing() if key]
            nodes = {key[len(NODES) :]: stored_objects.node(value) for key, value in found.values(NODES).items()}
            uid = stored_objects.uid(found.values(SYSTEM).get(SYSTEM, b""))
            members, secret, revision = found.members(), found.first_value("secrets"), found.revision
        keys = k3s.keys(self.data, k3s.ETCD)
        make_k3s.refuse_wrong(keys)
        make_k3s.refuse_token(self.data, lambda key: key.encode() in names)
        stat = os.stat(database)
        authority = fingerprint(read_text(self.data + "/server/tls/server-ca.crt"))
        release = _release()
        cluster = {
            "name": "",  # K3s does not know it
            "distribution": "k3s",
            "uid": uid,
            "ca_sha256": authority,
            "version": release.partition("+")[0],
            "nodes": [{"name": name, **row} for name, row in sorted(nodes.items())],
            "settings": settings_of(read_text(paths.K3S_CONFIG), PERMANENT_SETTINGS),
            "etcd_cluster": uid,
        }
        store = {"revision": revision, "keys": len(names), "counts": etcd_file.counts(names)}
        manifest = {
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(stat.st_mtime)),
            "cluster": cluster,
            "versions": {"kubernetes": cluster["version"], "k3s": release},
            "datastore": {
                "kind": k3s.ETCD,
                **store,
                "encryption": make_k3s.encryption(self.data, secret),
                "size": stat.st_size,
            },
            "missing": keys.missing,
            "parts": make.described(keys.parts, {}),
            "source": revision,
        }
        known = [read_text(self.data + NAME).strip(), uid, authority, revision, len(names)]
        archive = hashlib.sha256(json.dumps(known).encode()).hexdigest()[:16]
        others = self._others(members)
        return {"archive": archive, "manifest": manifest, "settings": "", "members": others, "left_out": 0}

    # -- etcd ------------------------------------------------------------------------------------------------------

    def _has_leader(self) -> bool:
        """Return True if this server's member serves and knows a leader."""
        how = paths.K3s().etcd()
        with contextlib.suppress(*tls.NO_ANSWER):
            return bool(how and int(etcd.connect(how).ask(how["servers"], etcd.STATUS).get("leader") or 0))
        return False

    def _others(self, members: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
        """Return the other members of etcd, and which of them answer."""
        own = read_text(self.data + NAME).strip()
        others = [row for row in members if row.get("name") != own]
        return [
            {
                "urls": row.get("peerURLs") or [],
                "learner": bool(row.get("isLearner")),
                "answers": any(self._answers(str(urlsplit(url).hostname)) for url in row.get("peerURLs") or []),
            }
            for row in others
        ]

    def _answers(self, host: str) -> bool:
        """Return True if an etcd with the authority of this one answers at a host."""
        with contextlib.suppress(*tls.NO_ANSWER):
            return etcd.peers(self.data, host=host) is not None
        return False


def _save(database: str, path: str) -> None:
    """Write a snapshot of a database that nothing uses: the file and its SHA-256, as `etcdctl snapshot save` does."""
    with open(database, "rb") as source, open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), "w+b") as copy:
        shutil.copyfileobj(source, copy, 1 << 20)
        snapshot.seal(copy)


def _refuse_without_space(source: str) -> None:
    needed = SPACE_MORE
    for folder, _folders, names in os.walk(source):
        needed += 2 * sum(os.path.getsize(os.path.join(folder, name)) for name in names)
    found = space.shortage(paths.OWN_DATA, needed)
    if found:
        text = "%s has %d MiB free, and a copy of etcd's data needs %d MiB. Free some space."
        raise SnapshotError(text % (paths.OWN_DATA, *found))


def _alone(config: str) -> str:
    """Return a server's configuration without the server that it joined and its data directory."""
    return re.sub(r"^(server|data-dir|cluster-init):.*\n?", "", config, flags=re.M).strip()


def _release() -> str:
    """Return the version of this node's K3s. Raise SnapshotError."""
    done = commands.run([paths.k3s_program(), "--version"], timeout=60)
    found = re.search(r"k3s version (v\S+)", done.out)
    if not found:
        raise SnapshotError("K3s's program does not say its version: %s" % done.complaint(2))
    return found.group(1)
