# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server does for a backup of K3s on embedded etcd: the snapshot, its proof, and the archive."""

from __future__ import annotations

import json
import os
import tarfile

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.backup import (
    etcd_file,
    k3s,
    k3s_etcd,
    make,
    make_k3s,
    snapshot,
)
from ansible_collections.kubewright.cluster.plugins.module_utils.backup.snapshot import SnapshotError
from ansible_collections.kubewright.cluster.plugins.module_utils.node import paths
from ansible_collections.kubewright.cluster.tests.unit.plugins.module_utils import etcd_files as files
from ansible_collections.kubewright.cluster.tests.unit.plugins.module_utils.backup.test_etcd_file import RECORDS, STATE
from ansible_collections.kubewright.cluster.tests.unit.plugins.module_utils.backup.test_k3s import (
    CONFIG,
    SECRET,
    TOKEN,
)

DATA = files.snapshot(files.database(RECORDS, STATE))
CONTENTS = {
    "revision": 10,
    "keys": 5,
    "counts": {"configmaps": 1, "secrets": 1, "services/endpoints": 1, "services/specs": 1},
}


class Member:
    """The server's own member. data: what its snapshot is."""

    def __init__(self, monkeypatch, tmp_path):
        self.data, self.saved, self.compacted, self.since = DATA, 0, [], 10
        self.contents, self.changes_hash, self.cluster_id = dict(CONTENTS), 0, "c1"
        self.servers = ["https://127.0.0.1:2382"]
        monkeypatch.setattr(k3s_etcd.time, "sleep", lambda _seconds: None)
        monkeypatch.setattr(snapshot, "revision", lambda _client: self.since)
        monkeypatch.setattr(snapshot, "save", self.save)
        monkeypatch.setattr(snapshot, "contents", lambda _client, at: self.asked(at) or self.contents)
        monkeypatch.setattr(snapshot, "hash_at", self.hash_at)
        monkeypatch.setattr(k3s_etcd, "member", lambda: self)
        self.path = str(tmp_path / "own.db")

    def save(self, _client, path):
        self.saved += 1
        for each in (path, self.path):
            with open(each, "wb") as stream:
                stream.write(self.data)

    def asked(self, at):
        assert at == 10
        if self.compacted:
            self.compacted.pop()
            raise ValueError("HTTP 400 etcdserver: mvcc: required revision has been compacted")

    def hash_at(self, _client, at):
        self.asked(at)
        with etcd_file.Snapshot(self.path) as found:
            return {"hash": found.hash_at(at, 6) ^ self.changes_hash, "compact_revision": 6}

    def members(self):
        return [{"ID": "1", "name": "cp-1-0a1b2c3d", "peerURLs": ["https://10.0.0.1:2380"]}]

    def own_status(self):
        return {"version": "3.6.14", "dbSize": "100"}


@pytest.fixture
def member(monkeypatch, tmp_path):
    return Member(monkeypatch, tmp_path)


def test_a_snapshot_that_is_what_etcd_has(member, tmp_path):
    made = k3s_etcd.saved(str(tmp_path / "s.db"), member)
    assert {name: made.store[name] for name in CONTENTS} == CONTENTS
    assert made.store["kind"] == "etcd" and made.store["compact_revision"] == 6 and made.store["size"] == len(DATA)
    assert made.store["members"] == [
        {"id": "1", "name": "cp-1", "learner": False, "peer_urls": ["https://10.0.0.1:2380"]}
    ]
    assert (made.cluster_id, made.version, made.opens) == ("c1", "3.6.14", ["/bootstrap/f75786238a6d"])
    assert made.first_secret.startswith(b"k8s:enc:aescbc")


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("since", 11, "this member is behind the others"),
        ("contents", {**CONTENTS, "counts": {**CONTENTS["counts"], "pods": 1}}, "pods: 0 of 1"),
        ("contents", {**CONTENTS, "keys": 6}, "does not have what etcd has"),
        ("changes_hash", 1, "other contents than etcd at revision 10"),
    ],
)
def test_a_snapshot_that_is_something_else_is_refused(member, tmp_path, name, value, message):
    setattr(member, name, value)
    with pytest.raises(SnapshotError, match=message):
        k3s_etcd.saved(str(tmp_path / "s.db"), member)
    assert member.saved == 1


def test_after_a_compaction_another_one_is_saved(member, tmp_path):
    member.compacted = [1, 2]
    assert k3s_etcd.saved(str(tmp_path / "s.db"), member).store["revision"] == 10 and member.saved == 3
    member.compacted = [1, 2, 3]
    with pytest.raises(SnapshotError, match="compacted while it was backed up, 3 times"):
        k3s_etcd.saved(str(tmp_path / "s.db"), member)


@pytest.fixture
def server(member, tmp_path, monkeypatch):
    """A server on embedded etcd. Returns its data directory."""
    data = tmp_path / "k3s"
    (data / "server/db/etcd/member").mkdir(parents=True)
    (data / "server/cred").mkdir()
    (data / "server/token").write_text(TOKEN)
    (data / k3s.ENCRYPTION_CONFIG).write_text(json.dumps(CONFIG))
    who = {"uid": "u", "ca_sha256": "aa", "version": "v1.36.3+k3s1", "nodes": []}
    monkeypatch.setattr(make, "PLACES", str(tmp_path / "places"))
    monkeypatch.setattr(paths.K3s, "__init__", lambda self: setattr(self, "data", str(data)))
    monkeypatch.setattr(k3s, "own_api", lambda: None)
    monkeypatch.setattr(k3s.kubeadm, "identity", lambda _api, _authority: dict(who))
    monkeypatch.setattr(k3s, "wrong_keys", lambda _parts: [])
    return data


def test_the_archive_says_what_the_cluster_is(server):
    made = make_k3s.make_archive("prod")
    manifest = made["manifest"]
    assert manifest["cluster"]["etcd_cluster"] == "c1" and manifest["cluster"]["distribution"] == "k3s"
    assert manifest["versions"] == {"kubernetes": "v1.36.3", "k3s": "v1.36.3+k3s1", "etcd": "3.6.14"}
    assert manifest["datastore"]["encryption"] == {"provider": "aescbc", "key": "key1", "known": True}
    assert manifest["datastore"]["counts"] == CONTENTS["counts"] and "path" not in manifest["parts"]["etcd/snapshot.db"]
    with tarfile.open(made["path"]) as tar:
        assert {"manifest.json", "etcd/snapshot.db", "server/token"} <= set(tar.getnames())
        assert tar.extractfile("etcd/snapshot.db").read() == DATA
    assert SECRET not in json.dumps(manifest) and os.listdir(os.path.dirname(made["path"])) == ["archive.tar.gz"]


def test_a_token_or_key_that_does_not_fit_is_refused(server):
    (server / k3s.ENCRYPTION_CONFIG).write_text("{}")
    with pytest.raises(make.BackupError, match="encrypted with the key key1"):
        make_k3s.make_archive("prod")
    (server / "server/token").write_text("another")
    with pytest.raises(make.BackupError, match="does not open the datastore: it has no /bootstrap/"):
        make_k3s.make_archive("prod")
    assert os.listdir(make.PLACES) == []


def test_an_external_etcd_is_named(server):
    (server / "server/db/etcd/member").rmdir()
    with pytest.raises(make.BackupError, match="An external etcd is saved by its own tool"):
        make_k3s.make_archive("prod")


def test_a_server_without_etcd_has_no_member(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(paths.K3s, "etcd", lambda _self: {})
    with pytest.raises(SnapshotError, match="no data of etcd"):
        k3s_etcd.member()
