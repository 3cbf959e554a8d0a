# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is left of etcd on a control plane: read from a copy, made into parts of an archive, not used if it changes."""

from __future__ import annotations

import contextlib
import json
import os

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.api import etcd
from ansible_collections.kubewright.cluster.plugins.module_utils.backup import scratch, snapshot
from ansible_collections.kubewright.cluster.plugins.module_utils.backup.snapshot import SnapshotError
from ansible_collections.kubewright.cluster.plugins.module_utils.restore import survivor
from ansible_collections.kubewright.cluster.plugins.module_utils.restore.aside import Journal
from ansible_collections.kubewright.cluster.plugins.module_utils.restore.parts import Parts, PartsError
from ansible_collections.kubewright.cluster.plugins.module_utils.restore.stop import ControlPlane
from ansible_collections.kubewright.cluster.tests.unit.plugins.module_utils.backup.test_stored_objects import (
    config_map,
    node,
    with_uid,
)

SETTINGS = "clusterName: prod\nkubernetesVersion: v1.36.3\n"
FILES = {
    "etc/kubernetes/manifests/etcd.yaml": "    image: registry.k8s.io/etcd:3.6.8-0\n",
    "etc/kubernetes/manifests/kube-apiserver.yaml": "    image: registry.k8s.io/kube-apiserver:v1.36.3\n"
    "    - --encryption-provider-config=/etc/kubernetes/enc.yaml\n",
    "etc/kubernetes/enc.yaml": "kind: EncryptionConfiguration\nname: key1\n",
    "etc/kubernetes/pki/ca.crt": "no certificate",
    "etc/kubernetes/pki/sa.pub": "pub",
    "var/lib/etcd/member/snap/db": "data",
    "var/lib/etcd/member/wal/0.wal": "log",
}
VALUES = {
    "/registry/minions/cp-1": node(["node-role.kubernetes.io/control-plane"], [("InternalIP", "10.0.0.11")], "m1"),
    "/registry/minions/w-1": node([], [("InternalIP", "10.0.0.21")], "m2"),
    "/registry/namespaces/kube-system": with_uid("u-1"),
    "/registry/configmaps/kube-system/kubeadm-config": config_map({"ClusterConfiguration": SETTINGS}),
}


class Client(etcd.Etcd):
    """The etcd that serves the copy, the node's own, and those of others."""

    def __init__(self):
        super().__init__(["https://127.0.0.1:2379"], None)
        self.leader, self.answering = 0, {}

    def members(self):
        self.own_id, self.cluster_id = "17", "99"
        return [{"ID": "17", "name": "cp-1"}]

    def own_status(self):
        return {"version": "3.6.8", "leader": "17"}

    def ask(self, url, path, body="{}"):
        if path == etcd.STATUS and "127.0.0.1" in url:
            return {"leader": str(self.leader)}
        if url in self.answering:
            return {"header": {"cluster_id": self.answering[url]}}
        raise OSError("refused")


def line(message, **row):
    return json.dumps({"level": "info", "msg": message, **row})


def member(id_, url, **more):
    row = {"recovered-remote-peer-id": id_, "recovered-remote-peer-urls": [url], **more}
    return line(survivor.KNOWN_MEMBER, **row)


LOG = [
    "no JSON",
    member("11", "https://10.0.0.11:2380"),
    member("12", "https://10.0.0.12:2380"),
    member("13", "https://[fd00::13]:2380", **{"recovered-remote-peer-is-learner": True}),
    line(survivor.LEFT_OUT, **{"number-of-discarded-entries": 2}),
]  # fmt: skip


class Left:
    """A control plane whose etcd is left, in a temporary root."""

    def __init__(self, root):
        self.root, self.client, self.copied, self.secret = str(root), Client(), 0, b""
        for name, text in FILES.items():
            self.write(name, text)

    def write(self, name, text):
        path = os.path.join(self.root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text)

    @property
    def survivor(self):
        return survivor.Survivor(self.root)


@pytest.fixture
def left(tmp_path, monkeypatch):
    made = Left(tmp_path)

    @contextlib.contextmanager
    def tools(image, _place):
        assert image == "registry.k8s.io/etcd:3.6.8-0"
        yield None

    @contextlib.contextmanager
    def serving(_tools, data, forced):
        with open(data + "/member/snap/db", encoding="utf-8") as stream:
            assert stream.read() == "data" and forced
        with open(scratch.log(data), "w", encoding="utf-8") as stream:
            stream.write("\n".join(LOG))
        made.copied += 1
        yield made.client

    def save(_client, path):
        with open(path, "wb") as stream:
            stream.write(b"snapshot")

    monkeypatch.setattr(scratch, "tools", tools)
    monkeypatch.setattr(scratch, "serving", serving)
    monkeypatch.setattr(etcd, "local", lambda *_given, **_named: made.client)
    monkeypatch.setattr(snapshot, "contents", lambda _c: {"revision": 70, "keys": 9, "counts": {"secrets": 3}})
    monkeypatch.setattr(snapshot, "hash_at", lambda _c, _at: {"hash": 5, "compact_revision": 1})
    monkeypatch.setattr(snapshot, "first_value", lambda _c, _kind: made.secret)
    monkeypatch.setattr(snapshot, "save", save)
    monkeypatch.setattr(
        snapshot, "values", lambda _c, prefix: {key: value for key, value in VALUES.items() if key.startswith(prefix)}
    )
    return made


def own_files(left):
    place = left.root + "/var/lib/kubewright"
    return sorted(os.listdir(place)) if os.path.isdir(place) else []


def test_what_is_left_is_read_from_a_copy(left):
    left.client.answering = {"https://10.0.0.12:2379": "99", "https://[fd00::13]:2379": "another"}
    made = left.survivor.survey()
    cluster, store = made["manifest"]["cluster"], made["manifest"]["datastore"]
    assert (cluster["name"], cluster["version"], cluster["uid"]) == ("prod", "v1.36.3", "u-1")
    assert [(row["name"], row["role"], row["machine_id"]) for row in cluster["nodes"]] == [
        ("cp-1", "control_plane", "m1"), ("w-1", "worker", "m2"),
    ]  # fmt: skip
    assert store["revision"] == 70 and made["settings"] == SETTINGS and made["left_out"] == 2
    assert made["members"] == [
        {"urls": ["https://10.0.0.12:2380"], "learner": False, "answers": True},
        {"urls": ["https://[fd00::13]:2380"], "learner": True, "answers": False},
    ]
    assert "pki/ca.key" not in made["manifest"]["parts"] and "/etc/kubernetes/pki/ca.key" in made["manifest"]["missing"]
    assert own_files(left) == []  # nothing stays of a look
    assert left.survivor.survey() == made


def test_nothing_is_copied_where_nothing_is_lost(left):
    left.client.leader = 17
    assert left.survivor.survey() == {"leader": True} and not left.copied
    os.unlink(left.root + "/var/lib/etcd/member/snap/db")
    assert left.survivor.survey() == {}


def test_the_parts_are_those_of_an_archive(left):
    archive = left.survivor.survey()["archive"]
    made = left.survivor.copy(archive)
    parts = Parts(archive, made["manifest"], left.root)
    parts.check()
    assert parts.content("etcd/snapshot.db") == b"snapshot" and parts.content("pki/sa.pub") == b"pub"
    assert parts.content("kubeadm/kubeadm-config.yaml").decode() == SETTINGS
    assert survivor.files_of(archive, made["manifest"], left.root) == {
        "files/etc/kubernetes/enc.yaml": FILES["etc/kubernetes/enc.yaml"].encode()
    }
    assert own_files(left) == ["restore-" + archive] and left.copied == 2
    assert left.survivor.copy(archive) == made and left.copied == 2  # it is there
    os.unlink(parts.path("etcd/snapshot.db"))
    assert left.survivor.copy(archive) == made and left.copied == 3  # it was not complete


def test_a_killed_restore_goes_on_with_its_copy(left):
    archive = left.survivor.survey()["archive"]
    made = left.survivor.copy(archive)
    row = {"archive": archive, "at": "x", "leader": "cp-1", "first": True, "step": "stopped"}
    Journal(left.root).write(row)
    os.rename(left.root + "/var/lib/etcd/member", left.root + "/var/lib/etcd/before-x")
    assert left.survivor.survey() == made
    Journal(left.root).write({**row, "archive": "another"})
    assert left.survivor.survey() == {}


def test_data_that_change_are_not_used(left, monkeypatch):
    archive = left.survivor.survey()["archive"]
    left.client.leader = 17
    with pytest.raises(PartsError, match="has a leader again"):
        left.survivor.copy(archive)
    left.client.leader = 0
    os.utime(left.root + "/var/lib/etcd/member/snap/db", (1, 1))
    with pytest.raises(PartsError, match="changed since the plan"):
        left.survivor.copy(archive)
    archive = left.survivor.survey()["archive"]
    left.survivor.copy(archive)
    survivor.refuse_changed(archive, left.root)
    survivor.refuse_changed("of the controller", left.root)
    os.utime(left.root + "/var/lib/etcd/member/snap/db", (2, 2))
    with pytest.raises(PartsError, match="has written since"):
        ControlPlane("cp-1", left.root).stop(archive, "x", "cp-1", True, [])
    assert Journal(left.root).read() == {}
    monkeypatch.setattr(survivor.time, "sleep", lambda _seconds: None)
    turns = iter(range(100))
    monkeypatch.setattr(survivor, "_state", lambda _place: {"db": (1, next(turns))})
    with pytest.raises(SnapshotError, match="etcd writes to its data"):
        left.survivor.survey()
    assert [name for name in own_files(left) if "copy" in name] == []


def test_data_that_cannot_be_restored(left, monkeypatch):
    left.secret = b"k8s:enc:aescbc:v1:key2:xxx"
    with pytest.raises(SnapshotError, match="encrypted with the key key2"):
        left.survivor.survey()
    left.secret = b"k8s:enc:aescbc:v1:key1:xxx"
    assert left.survivor.survey()["manifest"]["datastore"]["encryption"]["known"]
    left.write("etc/kubernetes/pki/ca.key", "another key")
    with pytest.raises(SnapshotError, match="does not belong to"):
        left.survivor.survey()
    os.unlink(left.root + "/etc/kubernetes/pki/ca.key")
    monkeypatch.setattr(survivor, "SPACE_MORE", 1 << 60)
    with pytest.raises(SnapshotError, match="Free some space"):
        left.survivor.survey()
    os.unlink(left.root + "/etc/kubernetes/manifests/etcd.yaml")
    with pytest.raises(SnapshotError, match="etcd.yaml is missing"):
        left.survivor.survey()


def test_an_encrypted_configuration_is_left_out(left, monkeypatch):
    monkeypatch.setitem(VALUES, "/registry/configmaps/kube-system/kubeadm-config", b"k8s:enc:aescbc:v1:key1:xxx")
    made = left.survivor.survey()
    assert made["settings"] == "" and made["manifest"]["cluster"]["name"] == "kubernetes"
    assert made["manifest"]["cluster"]["version"] == "v1.36.3"
