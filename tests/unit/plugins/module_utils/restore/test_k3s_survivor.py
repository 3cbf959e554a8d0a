# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is left of etcd on a K3s server: read from its file, made into parts of an archive by K3s, not used if it
changes."""

from __future__ import annotations

import json
import os

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.api import etcd, tls
from ansible_collections.kubewright.cluster.plugins.module_utils.backup import etcd_file, snapshot
from ansible_collections.kubewright.cluster.plugins.module_utils.backup.make import BackupError
from ansible_collections.kubewright.cluster.plugins.module_utils.backup.snapshot import SnapshotError
from ansible_collections.kubewright.cluster.plugins.module_utils.base import commands
from ansible_collections.kubewright.cluster.plugins.module_utils.node import paths
from ansible_collections.kubewright.cluster.plugins.module_utils.restore import (
    k3s,
    k3s_etcd,
    k3s_survivor,
    parts as parts_module,
    survivor,
)
from ansible_collections.kubewright.cluster.plugins.module_utils.restore.parts import Parts, PartsError
from ansible_collections.kubewright.cluster.plugins.module_utils.restore.stop import RestoreError
from ansible_collections.kubewright.cluster.tests.unit.plugins.module_utils import etcd_files as files
from ansible_collections.kubewright.cluster.tests.unit.plugins.module_utils.backup.test_etcd_file import STATE
from ansible_collections.kubewright.cluster.tests.unit.plugins.module_utils.backup.test_stored_objects import (
    node,
    with_uid,
)
from ansible_collections.kubewright.cluster.tests.unit.plugins.module_utils.restore import test_k3s
from ansible_collections.kubewright.cluster.tests.unit.plugins.module_utils.restore.test_k3s import AT, SECRET, TOKEN

CONFIG = "node-name: cp-1\nserver: https://10.0.0.2:6443\ndata-dir: /srv/k3s\ntoken-file: /etc/rancher/k3s/token\n"
RECORDS = [
    (files.revision(2), files.record(test_k3s.OPENS.encode(), b"sealed")),
    (files.revision(3), files.record(b"/registry/namespaces/kube-system", with_uid("u-1"))),
    (files.revision(4), files.record(b"/registry/minions/cp-1", node([], [("InternalIP", "10.0.0.1")], "m1"))),
    (files.revision(5), files.record(b"/registry/secrets/d/s", b"k8s:enc:aescbc:v1:key1:x")),
    (files.revision(6), files.record(b"/registry/minions/w-1", node([], [("InternalIP", "10.0.0.9")], "m2"))),
    (files.revision(7, 0, True), files.record(b"/registry/minions/w-1")),
]
# What only the log has.
LOGGED = (files.revision(8), files.record(b"/registry/configmaps/d/last", b"1"))
MEMBERS = [
    (b"1", json.dumps({"name": "cp-1-aa", "peerURLs": ["https://10.0.0.1:2380"]}).encode()),
    (b"2", json.dumps({"name": "cp-2-bb", "peerURLs": ["https://10.0.0.2:2380"]}).encode()),
    (b"3", json.dumps({"name": "cp-3-cc", "peerURLs": ["https://[fd00::3]:2380"], "isLearner": True}).encode()),
]
ENCRYPTION = {"resources": [{"resources": ["secrets"], "providers": [{"aescbc": {"keys": [{"name": "key1"}]}}]}]}


def data(records, members=None):
    return files.database(records, STATE, members=MEMBERS if members is None else members)


class Machine(test_k3s.Machine):
    """A K3s server of three that is left. leader: of its etcd. answering: hosts of other members. result: of K3s."""

    def __init__(self, root, monkeypatch):
        super().__init__(root, monkeypatch)
        self.leader, self.answering, self.resets = 0, [], 0
        self.result, self.replayed = commands.Result(0), data([*RECORDS, LOGGED], MEMBERS[:1])

    def ask(self, _url, path):
        assert path == etcd.STATUS
        return {"leader": str(self.leader)}

    def peers(self, _data, host):
        if host not in self.answering:
            raise tls.NO_ANSWER[0]("refused")
        return []

    def run(self, argv, **options):
        """Programs: cp, K3s's version, and K3s as the only member of a copy."""
        if argv[0] == "cp":
            return REAL_RUN(argv, **options)
        if argv[1:] == ["--version"]:
            return commands.Result(0, "k3s version v1.36.3+k3s1 (abc)\ngo version go1.26")
        self.resets += 1
        place = argv[4].partition("=")[2]
        assert argv[1:3] == ["server", "--cluster-reset"] and argv[4].startswith("--data-dir=") and not self.runs
        assert argv[3] == "--config=%s/config.yaml" % place and SECRET not in " ".join(argv)
        assert os.path.dirname(place) == paths.OWN_DATA and self.data not in place
        with open(place + "/config.yaml", encoding="utf-8") as stream:
            assert stream.read() == "node-name: cp-1\ntoken-file: /etc/rancher/k3s/token\n"
        for name in ("db/etcd/member/wal/0", "db/etcd/name", "tls/server-ca.key", "cred/passwd", "token"):
            assert os.path.isfile("%s/server/%s" % (place, name))
        assert os.path.realpath(place + "/data") == self.data + "/data"
        if not self.result.rc:
            with open(place + k3s_survivor.DATABASE, "wb") as stream:
                stream.write(self.replayed)
            with open(place + k3s_etcd.FLAG, "w", encoding="utf-8"):
                pass
        return self.result


REAL_RUN = commands.run


@pytest.fixture
def left(tmp_path, monkeypatch):
    made = Machine(tmp_path, monkeypatch)
    test_k3s.connect(made, tmp_path, monkeypatch)
    for name, text in {
        "k3s/server/db/etcd/member/snap/db": data(RECORDS),
        "k3s/server/db/etcd/member/wal/0": "log",
        "k3s/server/db/etcd/name": "cp-1-aa",
        "k3s/server/tls/server-ca.crt": "authority",
        "k3s/server/tls/server-ca.key": "key",
        "k3s/server/cred/passwd": "passwords",
        "k3s/server/cred/encryption-config.json": json.dumps(ENCRYPTION),
        "k3s/server/token": TOKEN,
        "k3s/data/current": "programs",
        "etc/config.yaml": CONFIG,
    }.items():
        made.write(name, text)
    own = str(tmp_path / "own")
    monkeypatch.setattr(paths, "OWN_DATA", own)
    monkeypatch.setattr(paths, "K3S_CONFIG", str(tmp_path / "etc/config.yaml"))
    monkeypatch.setattr(k3s_survivor, "COPIES", own + "/restore-copy-")
    for module in (k3s_survivor, survivor):
        monkeypatch.setattr(module, "PREFIX", parts_module.PREFIX)
    monkeypatch.setattr(paths.K3s, "etcd", lambda _self: {"servers": "https://127.0.0.1:2382"})
    monkeypatch.setattr(k3s_survivor.etcd, "connect", lambda _how: made)
    monkeypatch.setattr(k3s_survivor.etcd, "peers", made.peers)
    monkeypatch.setattr(k3s_survivor.commands, "run", made.run)
    monkeypatch.setattr(k3s_survivor.time, "sleep", lambda _seconds: None)
    monkeypatch.setattr(k3s_survivor.k3s, "wrong_keys", lambda _parts: [])
    return made


def own(left):
    return k3s_survivor.Survivor(left.data)


def test_what_is_left_is_read_while_k3s_runs(left):
    left.answering = ["fd00::3"]
    before = left.tree()
    found = own(left).survey()
    cluster, store = found["manifest"]["cluster"], found["manifest"]["datastore"]
    assert (cluster["uid"], cluster["version"], cluster["distribution"]) == ("u-1", "v1.36.3", "k3s")
    assert [row["name"] for row in cluster["nodes"]] == ["cp-1"] and cluster["nodes"][0]["machine_id"] == "m1"
    assert store["revision"] == 7 and store["counts"] == {"namespaces": 1, "minions": 1, "secrets": 1}
    assert store["encryption"] == {"provider": "aescbc", "key": "key1", "known": True}
    assert found["members"] == [
        {"urls": ["https://10.0.0.2:2380"], "learner": False, "answers": False},
        {"urls": ["https://[fd00::3]:2380"], "learner": True, "answers": True},
    ]
    assert left.runs and left.tree() == before and found == own(left).survey()
    assert SECRET not in json.dumps(found)


def test_nothing_is_stopped_where_nothing_is_lost(left):
    archive = own(left).survey()["archive"]
    left.leader = 3
    assert own(left).survey() == {"leader": True}
    with pytest.raises(PartsError, match="has a leader again"):
        own(left).copy(archive, 60)
    assert left.runs and not left.resets
    os.unlink(left.data + k3s_survivor.DATABASE)
    assert own(left).survey() == {}


def test_k3s_reads_the_log_and_the_parts_are_those_of_an_archive(left):
    archive, before = own(left).survey()["archive"], left.tree()
    found = own(left).copy(archive, 60)
    assert not left.runs and left.tree() == before and left.resets == 1
    assert found["manifest"]["datastore"]["revision"] == 8
    assert found["manifest"]["datastore"]["counts"]["configmaps"] == 1 and len(found["members"]) == 2
    parts = Parts(archive, found["manifest"])
    parts.check()
    snapshot.check(parts.path("etcd/snapshot.db"))
    with etcd_file.Snapshot(parts.path("etcd/snapshot.db")) as saved:
        assert saved.revision == 8
    assert parts.content("server/token") == TOKEN and parts.content("server/tls/server-ca.key") == b"key"
    assert [name for name in os.listdir(paths.OWN_DATA) if "copy" in name] == []
    # Once more, as after a run that was killed.
    assert own(left).copy(archive, 60) == found and left.resets == 1
    k3s.Server("cp-1", left.data).stop(archive, AT, "cp-1")
    assert own(left).survey() == found
    first = k3s_etcd.First("cp-1", left.data, parts, found["manifest"])
    first.prepare(AT)
    with etcd_file.Snapshot(first.built) as built:
        assert built.revision >= 8 + parts_module.LEAST


def test_k3s_that_waits_for_the_others_is_stopped_first(left):
    left.waits = True
    own(left).copy(own(left).survey()["archive"], 60)
    assert left.resets == 1 and not left.runs


def test_k3s_runs_again_if_it_cannot_read_its_data(left):
    archive, before = own(left).survey()["archive"], left.tree()
    left.result = commands.Result(1, "level=fatal msg=broken")
    with pytest.raises(RestoreError, match="does not restore etcd's data.*broken"):
        own(left).copy(archive, 60)
    assert left.runs and left.tree() == before
    left.runs = False  # it did not run before
    with pytest.raises(RestoreError):
        own(left).copy(archive, 60)
    assert not left.runs


def test_data_that_change_are_not_used(left):
    archive = own(left).survey()["archive"]
    left.write("k3s/server/db/etcd/member/snap/db", data([*RECORDS, LOGGED]))
    with pytest.raises(PartsError, match="changed since the plan"):
        own(left).copy(archive, 60)
    assert left.runs and not left.resets
    archive = own(left).survey()["archive"]
    own(left).copy(archive, 60)
    own(left).refuse_changed(archive)
    own(left).refuse_changed("of the controller")
    later = (files.revision(9), files.record(b"/registry/configmaps/d/later", b"1"))
    left.write("k3s/server/db/etcd/member/snap/db", data([*RECORDS, LOGGED, later]))
    with pytest.raises(PartsError, match="has written since"):
        own(left).refuse_changed(archive)


def test_data_that_cannot_be_restored(left, monkeypatch):
    left.write("k3s/server/token", "another")
    with pytest.raises(BackupError, match="does not open the datastore: it has no /bootstrap/") as caught:
        own(left).survey()
    assert "another" not in str(caught.value)
    left.write("k3s/server/token", TOKEN)
    os.unlink(left.data + "/server/cred/encryption-config.json")
    with pytest.raises(BackupError, match="encrypted with the key key1"):
        own(left).survey()
    left.write("k3s/server/cred/encryption-config.json", json.dumps(ENCRYPTION))
    monkeypatch.setattr(k3s_survivor.k3s, "wrong_keys", lambda _parts: ["key does not belong to it"])
    with pytest.raises(BackupError, match="does not belong to it. A cluster could not be restored"):
        own(left).survey()
    monkeypatch.setattr(k3s_survivor.k3s, "wrong_keys", lambda _parts: [])
    monkeypatch.setattr(k3s_survivor, "SPACE_MORE", 1 << 60)
    with pytest.raises(SnapshotError, match="Free some space"):
        own(left).copy(own(left).survey()["archive"], 60)
    assert left.runs
    left.write("k3s/server/db/etcd/member/snap/db", b"no database" * 1000)
    with pytest.raises(SnapshotError, match="damaged"):
        own(left).survey()
