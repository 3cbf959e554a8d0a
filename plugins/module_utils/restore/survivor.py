# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A control plane that still has etcd's data when their majority is lost for good: what the data are, and the parts
that an archive of them would have. Standard library only.

Neither an API server nor etcd has to answer. A copy of the data is served by an etcd of the cluster's own release, as
the only member of its cluster: it reads its log to the end, as a file of the data directory does not show it.
https://etcd.io/docs/v3.6/op-guide/recovery/#restoring-a-cluster-from-an-existing-member
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
from typing import Any, Dict, Iterator, List, Tuple
from urllib.parse import urlsplit

from ..api import etcd, tls
from ..backup import kubeadm, make, scratch, snapshot, stored_objects
from ..backup.make import MANIFEST, SNAPSHOT
from ..backup.snapshot import SnapshotError
from ..base import commands
from ..base.text_files import read_text, write_atomically
from ..detect.cluster import fingerprint
from ..node import paths, space
from . import parts
from .aside import Journal
from .parts import PREFIX, Manifest, Parts, PartsError

MEMBER = paths.ETCD_DATA + "/member"
DATABASE = MEMBER + "/snap/db"
COPIES = PREFIX + "copy-"
ATTEMPTS = 3
SPACE_MORE = 200 << 20
# What etcd logs about its members, and about what a majority may not have: server/etcdserver/api/membership/cluster.go
# and server/etcdserver/bootstrap.go
KNOWN_MEMBER, LEFT_OUT = "recovered/added member from store", "discarding uncommitted WAL entries"
NODES, CONFIG_MAPS = etcd.OBJECTS + "minions/", etcd.OBJECTS + "configmaps/kube-system/"
DEFAULT_NAME = "kubernetes"  # of a cluster of kubeadm
SYSTEM = etcd.OBJECTS + "namespaces/kube-system"


class Survivor:
    """The data of etcd on this node. root: replaced by tests."""

    def __init__(self, root: str = "") -> None:
        self.root, self.kubernetes = root, root + paths.KUBERNETES

    def survey(self) -> Dict[str, Any]:
        """Return what the data are; {} if there are none, or if a restore has put them aside.

        leader: True if etcd has one, and so a majority; nothing else is known then. archive: ID of the data.
        manifest: as of an archive of them. settings: the stored ClusterConfiguration, "" if it cannot be read. members:
        the other members of etcd, {urls, learner, answers}. left_out: entries of the log that are left out, because a
        majority may not have them. Raise SnapshotError or OSError.
        """
        row = Journal(self.root).read()
        if row:
            return kept(row["archive"], self.root) or {}
        if not os.path.isfile(self.root + DATABASE):
            return {}
        if self._has_leader():
            return {"leader": True}
        with self._served() as (client, log):
            return self._described(client, log)[0]

    def copy(self, archive: str) -> Dict[str, Any]:
        """Make the parts of an archive from the data. Return what survey() does. Raise PartsError if the data are not
        those that the plan was made of, or one of the errors of survey()."""
        here = kept(archive, self.root)
        if here:
            return here
        if not Journal(self.root).read():
            parts.clean(self.root)
        if self._has_leader():
            raise PartsError("etcd has a leader again, so that nothing has to be restored. Run this again.")
        place = self.root + PREFIX + archive
        with self._served() as (client, log):
            found, sources, texts = self._described(client, log)
            if found["archive"] != archive:
                raise PartsError("etcd's data have changed since the plan was made. Run this again.")
            os.makedirs(os.path.join(place, os.path.dirname(SNAPSHOT)), mode=0o700)
            snapshot.save(client, os.path.join(place, SNAPSHOT))
        stored = kubeadm.Part(SNAPSHOT, os.path.join(place, SNAPSHOT), "")
        keep(place, found, stored, sources, texts)
        return found

    # -- etcd ------------------------------------------------------------------------------------------------------

    def _has_leader(self) -> bool:
        """Return True if this node's member answers and knows a leader."""
        with contextlib.suppress(*tls.NO_ANSWER):
            client = etcd.local(self.kubernetes, timeout=3)
            for url in client.servers:
                with contextlib.suppress(*tls.NO_ANSWER):
                    return bool(int(client.ask(url, etcd.STATUS).get("leader") or 0))
        return False

    @contextlib.contextmanager
    def _served(self) -> Iterator[Tuple[etcd.Etcd, str]]:
        """Copy the data and serve the copy. Yield (a client, the path of etcd's log)."""
        image = scratch.image(self.root + paths.MANIFESTS + "/etcd.yaml")
        if not image:
            text = "%s/etcd.yaml is missing, which names etcd's release. Put it back."
            raise SnapshotError(text % paths.MANIFESTS)
        os.makedirs(self.root + paths.OWN_DATA, mode=0o755, exist_ok=True)
        for left in glob.glob(glob.escape(self.root + COPIES) + "*"):
            shutil.rmtree(left, ignore_errors=True)
        place = tempfile.mkdtemp(prefix=os.path.basename(COPIES), dir=self.root + paths.OWN_DATA)
        try:
            data = os.path.join(place, "data")
            self._copy(data)
            with scratch.tools(image, place) as tools, scratch.serving(tools, data, forced=True) as client:
                yield client, scratch.log(data)
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def _copy(self, target: str) -> None:
        """Copy the data, which an etcd without a majority has open but does not write to. Raise SnapshotError."""
        source = self.root + MEMBER
        needed = sum(size for size, _time in _state(source).values()) + SPACE_MORE
        found = space.shortage(self.root + paths.OWN_DATA, needed)
        if found:
            text = "%s has %d MiB free, and a copy of etcd's data needs %d MiB. Free some space."
            raise SnapshotError(text % (paths.OWN_DATA, *found))
        for _attempt in range(ATTEMPTS):
            before = _state(source)
            shutil.rmtree(target, ignore_errors=True)
            os.mkdir(target, 0o700)
            done = commands.run(["cp", "-R", "--sparse=always", source, target], timeout=900)
            if done.rc:
                raise SnapshotError("etcd's data cannot be copied: %s" % done.complaint(2))
            if _state(source) == before:
                return
            time.sleep(1)
        raise SnapshotError("etcd writes to its data while they are copied, so that it may serve. Run this again.")

    def _described(self, client: etcd.Etcd, log: str) -> Tuple[Dict[str, Any], List[kubeadm.Part], Dict[str, str]]:
        """Return (what survey() returns, the files of the archive, its texts)."""
        client.members()
        store = snapshot.contents(client)
        store.update(snapshot.hash_at(client, store["revision"]))
        keys, files = kubeadm.keys(self.root), kubeadm.mounted_files(self.root)
        wrong = kubeadm.wrong_keys(keys.parts)
        if wrong:
            raise SnapshotError("%s. A cluster cannot be restored with these keys." % "; ".join(wrong))
        store["encryption"] = kubeadm.encryption(snapshot.first_value(client, "secrets"), files)
        if store["encryption"] and not store["encryption"]["known"] and store["encryption"]["provider"] != "kms":
            text = "Secrets are encrypted with the key %s, which no file has that the API server's arguments name"
            raise SnapshotError(text % store["encryption"]["key"])
        texts = self._configurations(client)
        settings = texts["kubeadm/kubeadm-config.yaml"]
        cluster = {**self._identity(client, settings), "etcd_cluster": client.cluster_id}
        lines = _lines(log)
        stat = os.stat(self.root + DATABASE)
        manifest = {
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(stat.st_mtime)),
            "cluster": cluster,
            "versions": {
                "kubernetes": cluster["version"],
                "etcd": client.own_status().get("version"),
                "etcd_image": scratch.image(self.root + paths.MANIFESTS + "/etcd.yaml"),
            },
            "datastore": {"kind": "etcd", **store, "size": stat.st_size},
            "missing": keys.missing,
            "parts": make.described([*keys.parts, *files], texts),
            "source": _of_database(self.root),
        }
        found = {
            "archive": _identifier(client.own_id, manifest),
            "manifest": manifest,
            "settings": settings,
            "members": self._others(lines, client),
            "left_out": sum(int(row.get("number-of-discarded-entries") or 0) for row in lines if _is(row, LEFT_OUT)),
        }
        return found, [*keys.parts, *files], texts

    def _configurations(self, client: etcd.Etcd) -> Dict[str, str]:
        """Return kubeadm's configurations by name in the archive, as far as they can be read."""
        found = {"kubeadm/kubeadm-config.yaml": ""}
        for name, key in kubeadm.CONFIG_MAPS.items():
            for path, value in snapshot.values(client, CONFIG_MAPS + name).items():
                if path == CONFIG_MAPS + name and key in stored_objects.config_map(value):
                    found["kubeadm/%s.yaml" % name] = stored_objects.config_map(value)[key]
        return found

    def _identity(self, client: etcd.Etcd, settings: str) -> Dict[str, Any]:
        """Return who the cluster is, its version and its nodes."""
        api_server = read_text(self.root + paths.API_SERVER_MANIFEST)
        version = re.search(r"/kube-apiserver:(v[\d.]+)", api_server) or re.search(
            r"^kubernetesVersion:\s*[\"']?(v?[\d.]+)", settings, re.M
        )
        known = {key[len(NODES) :]: stored_objects.node(value) for key, value in snapshot.values(client, NODES).items()}
        return {
            "name": (re.findall(r"^clusterName:\s*[\"']?([^\s\"']+)", settings, re.M) or [DEFAULT_NAME])[0],
            "distribution": "kubeadm",
            "uid": stored_objects.uid(snapshot.values(client, SYSTEM).get(SYSTEM, b"")),
            "ca_sha256": fingerprint(read_text(self.kubernetes + "/pki/ca.crt")),
            "version": version.group(1) if version else "",
            "nodes": [{"name": name, **row} for name, row in sorted(known.items())],
        }

    def _others(self, lines: List[Dict[str, Any]], client: etcd.Etcd) -> List[Dict[str, Any]]:
        """Return the other members of etcd, and which of them answer."""
        rows = [row for row in lines if _is(row, KNOWN_MEMBER)]
        others = [row for row in rows if int(row["recovered-remote-peer-id"], 16) != int(client.own_id or 0)]
        return [
            {
                "urls": row["recovered-remote-peer-urls"],
                "learner": bool(row.get("recovered-remote-peer-is-learner")),
                "answers": self._answers(row["recovered-remote-peer-urls"], client.cluster_id),
            }
            for row in others
        ]

    def _answers(self, urls: List[str], cluster: str | None) -> bool:
        """Return True if a member of this cluster answers at the host of one of these peer URLs."""
        with contextlib.suppress(*tls.NO_ANSWER):
            client = etcd.local(self.kubernetes, timeout=3)
            for url in urls:
                host = urlsplit(url).hostname or ""
                own = "https://%s:%d" % ("[%s]" % host if ":" in host else host, paths.ETCD_PORT)
                with contextlib.suppress(*tls.NO_ANSWER):
                    if etcd.cluster_of(client.ask(own, etcd.STATUS)) == cluster:
                        return True
        return False


def kept(archive: str, root: str = "") -> Dict[str, Any] | None:
    """Return what survey() said about data whose parts are here, None if they are not."""
    text = read_text(os.path.join(root + PREFIX + archive, MANIFEST))
    found: Dict[str, Any] | None = json.loads(text) if text else None
    if not found or not all(
        Parts(archive, found["manifest"], root).is_complete(name) for name in found["manifest"]["parts"]
    ):
        return None
    return found


def keep(
    place: str, found: Dict[str, Any], stored: kubeadm.Part, sources: List[kubeadm.Part], texts: Dict[str, str]
) -> None:
    """Write the parts of an archive beside the one with the data, and at last what survey() says, with all of them.

    place: their directory. stored: the part with the data, which is there.
    """
    found["manifest"]["parts"].update(make.described([stored], {}))
    for part in sources:
        _write(os.path.join(place, part.name), _content(part.source))
    for name, text in texts.items():
        _write(os.path.join(place, name), text.encode())
    _write(os.path.join(place, MANIFEST), json.dumps(found).encode())


def refuse_changed(archive: str, root: str = "") -> None:
    """Raise PartsError if etcd has written since its data were copied for a restore. Nothing to do for an archive."""
    text = read_text(os.path.join(root + PREFIX + archive, MANIFEST))
    if text and json.loads(text)["manifest"]["source"] != _of_database(root):
        raise PartsError("etcd has written since its data were copied, so that it may serve. Run this again.")


def files_of(archive: str, manifest: Manifest, root: str = "") -> Dict[str, bytes]:
    """Return the files of the user by name in the archive: control planes that join get them."""
    own = Parts(archive, manifest, root)
    return {name: own.content(name) for name in own.under("files/")}


def _identifier(member: str | None, manifest: Manifest) -> str:
    """Return an ID of a member's data, the same as long as they do not change."""
    store, cluster = manifest["datastore"], manifest["cluster"]
    known = [
        member,
        cluster["etcd_cluster"],
        cluster["ca_sha256"],
        store["revision"],
        store["hash"],
        manifest["source"],
    ]
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()[:16]


def _of_database(root: str) -> Dict[str, int]:
    """Return what changes when etcd writes."""
    stat = os.stat(root + DATABASE)
    return {"size": stat.st_size, "written": stat.st_mtime_ns}


def _state(place: str) -> Dict[str, Tuple[int, int]]:
    """Return (size, time of the last change) of all files by path."""
    found = {}
    for folder, _folders, names in os.walk(place):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                stat = os.stat(os.path.join(folder, name))
                found[os.path.join(folder, name)] = (stat.st_size, stat.st_mtime_ns)
    return found


def _lines(log: str) -> List[Dict[str, Any]]:
    """Return the messages of etcd's log."""
    found = []
    for line in read_text(log).splitlines():
        with contextlib.suppress(ValueError):
            found.append(json.loads(line))
    return [row for row in found if isinstance(row, dict)]


def _is(row: Dict[str, Any], message: str) -> bool:
    return row.get("msg") == message


def _content(path: str) -> bytes:
    with open(path, "rb") as stream:
        return stream.read()


def _write(path: str, data: bytes) -> None:
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    write_atomically(path, data, 0o600)
