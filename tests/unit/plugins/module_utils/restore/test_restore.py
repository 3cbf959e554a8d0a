# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a control plane does for a restore, killed after every command: nothing is lost, and a second run finishes."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import zlib

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.api import lock
from ansible_collections.kubewright.cluster.plugins.module_utils.backup import scratch
from ansible_collections.kubewright.cluster.plugins.module_utils.base.commands import Result
from ansible_collections.kubewright.cluster.plugins.module_utils.kubeadm import undo
from ansible_collections.kubewright.cluster.plugins.module_utils.kubeadm.runner import Runner
from ansible_collections.kubewright.cluster.plugins.module_utils.node import ownership, paths, services
from ansible_collections.kubewright.cluster.plugins.module_utils.restore import (
    parts as parts_module,
    start as start_module,
)
from ansible_collections.kubewright.cluster.plugins.module_utils.restore.aside import Journal
from ansible_collections.kubewright.cluster.plugins.module_utils.restore.parts import Parts, PartsError
from ansible_collections.kubewright.cluster.plugins.module_utils.restore.start import First
from ansible_collections.kubewright.cluster.plugins.module_utils.restore.stop import ControlPlane, RestoreError

AT = "20261129T120000Z"
# An archive of a minute before.
CREATED = "2026-11-29T11:59:00Z"
RAISED = parts_module.LEAST + 60 * parts_module.EACH_SECOND
FORMER = {
    "etc/kubernetes/manifests/etcd.yaml": "former etcd",
    "etc/kubernetes/manifests/kube-apiserver.yaml": "former api",
    "etc/kubernetes/manifests/kube-controller-manager.yaml": "former kcm",
    "etc/kubernetes/manifests/kube-scheduler.yaml": "former scheduler",
    "etc/kubernetes/manifests/of-the-user.yaml": "user's own",
    "etc/kubernetes/pki/ca.crt": "authority",
    "etc/kubernetes/pki/etcd/server.crt": "leaf",
    "etc/kubernetes/admin.conf": "server: https://10.0.0.11:6443",
    "etc/kubernetes/controller-manager.conf": "x",
    "etc/kubernetes/kubelet.conf": "kubelet",
    "etc/kubernetes/enc.yaml": "former key",
    "var/lib/etcd/member/snap/db": "former data",
    "usr/local/bin/crictl": "",
}
ARCHIVE = {
    "pki/ca.crt": (b"authority", "/etc/kubernetes/pki/ca.crt"),
    "pki/ca.key": (b"key", "/etc/kubernetes/pki/ca.key"),
    "files/etc/kubernetes/enc.yaml": (b"archived key", "/etc/kubernetes/enc.yaml"),
    "kubeadm/kubeadm-config.yaml": (b"controlPlaneEndpoint: old:6443\n", ""),
    "etcd/snapshot.db": (b"snapshot", ""),
}
COUNTS = {"secrets": 3}


class Killed(BaseException):
    """The process was killed."""


class Machine(Runner):
    """Commands of a control plane. die: kill the process at the command with this number."""

    def __init__(self, root):
        super().__init__(str(root), self.fake)
        self.asked, self.pods, self.kubelet, self.die, self.fails = [], ["etcd", "kube-apiserver"], True, 0, ""
        self.state = ""

    def fake(self, argv, timeout=None, env=None, clean=False, close_fds=True):
        words = " ".join(argv)
        self.asked.append(words)
        if len(self.asked) == self.die:
            raise Killed
        if self.fails and self.fails in words:
            return Result(1, "", "it fails")
        if "crictl pods" in words:
            rows = [
                {"id": name, "metadata": {"name": name + "-cp-1", "namespace": "kube-system"}} for name in self.pods
            ]
            others = [{"id": "x", "metadata": {"name": "coredns-1", "namespace": "kube-system"}}]
            return Result(0, json.dumps({"items": rows + others}))
        if "rmp" in words:
            self.pods.remove(argv[-1])
        if "ActiveState" in words:
            return Result(0, self.state or ("active\n" if self.kubelet else "inactive\n"))
        if words in ("systemctl stop kubelet", "systemctl restart --no-block kubelet"):
            self.kubelet = "restart" in words
        if "images list" in words:
            return Result(0, "registry.k8s.io/kube-apiserver:v1\nregistry.k8s.io/etcd:3.6.8-0\n")
        if "kubeadm init --config" in words:
            for name in ("etcd", "kube-apiserver"):
                self._write("etc/kubernetes/manifests/%s.yaml" % name, "restored")
            for name in ("admin", "kubelet", "super-admin"):
                self._write("etc/kubernetes/%s.conf" % name, "server: https://new:6443")
            self.pods, self.kubelet = ["etcd", "kube-apiserver"], True
        return Result(0, "")

    def _write(self, name, text):
        path = os.path.join(self.root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text)

    def tree(self):
        """Return the content of all files by path, without the collection's own."""
        found = {}
        for folder, _folders, names in os.walk(self.root):
            for name in names:
                path = os.path.relpath(os.path.join(folder, name), self.root)
                if not path.startswith(("etc/kubewright/", "run/")):
                    with open(os.path.join(folder, name), encoding="utf-8") as stream:
                        found[path] = stream.read()
        return found


class Api:
    """The restored cluster's Nodes and kube-proxy."""

    def __init__(self):
        self.nodes, self.static, self.deleted = ["cp-1", "cp-2", "old", "w-1"], [], []
        self.proxy = {"data": {"kubeconfig.conf": "server: https://old:6443\n"}}

    def get(self, path, missing_ok=False):
        label = {"node-role.kubernetes.io/control-plane": ""}
        rows = [{"name": name, "labels": label if name.startswith("cp") else {}} for name in self.nodes]
        return self.proxy if "kube-proxy" in path else {"items": [{"metadata": row} for row in rows]}

    def delete(self, path):
        self.deleted.append(path)

    def ask(self, _method, _path, body):
        self.proxy = body
        return 200, ""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A control plane that runs."""
    (tmp_path / "run").mkdir()
    made = Machine(tmp_path)
    for name, text in FORMER.items():
        made._write(name, text)
    monkeypatch.setattr(services, "here", services.Systemd)

    @contextlib.contextmanager
    def tools(image, _work):
        assert image == "registry.k8s.io/etcd:3.6.8-0"
        yield made

    def restored(snapshot, data, options):
        made.options = options
        made._write(os.path.relpath(data, tmp_path) + "/member/snap/db", "restored data")
        made.asked.append("etcdutl")
        if len(made.asked) == made.die:
            raise Killed

    made.restore = restored
    api = made.cluster = Api()
    monkeypatch.setattr(scratch, "tools", tools)
    monkeypatch.setattr(start_module.images, "pull", lambda _runner, names, _timeout: names)
    monkeypatch.setattr(start_module.removal, "api", lambda: api)
    monkeypatch.setattr(start_module.removal, "forget", lambda _api, name, _note: api.nodes.remove(name))
    monkeypatch.setattr(start_module.drain, "forget_static_pods", lambda _api, name: api.static.append(name))
    monkeypatch.setattr(First, "_counts", lambda _self, raised: dict(COUNTS) if raised == RAISED else {})
    return made


def manifest(content=None):
    rows = {}
    for name, (data, place) in {**ARCHIVE, **(content or {})}.items():
        rows[name] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        if place:
            rows[name].update(path=place, mode="0600", owner=os.getuid(), group=os.getgid())
    return {"parts": rows, "created": CREATED, "datastore": {"revision": 7, "counts": COUNTS}}


def received(machine, archive="a"):
    """Return the parts of the archive on the machine."""
    parts = Parts(archive, manifest(), machine.root)
    for name in parts.begin():
        parts.receive(name, 0, base64.b64encode(zlib.compress(ARCHIVE[name][0])).decode())
    return parts


def restore(machine, archive="a"):
    """The whole restore of the first control plane, as the plays do it."""
    first = First("cp-1", received(machine, archive), manifest(), machine.root, machine)
    first.prepare("10.0.0.11", "", AT, 60)
    ControlPlane("cp-1", machine.root, machine).stop(archive, AT, "cp-1", True, [])
    return first.start("", ["cp-1", "cp-2", "w-1"], [], 60)


@pytest.mark.parametrize(("found", "wrong"), [({}, sorted(COUNTS)), (None, [])])
def test_objects_that_are_not_the_archives_delete_nobody(machine, monkeypatch, found, wrong):
    """An empty answer is a wrong one. None: etcd has dropped that revision, as on a second try minutes later."""
    monkeypatch.setattr(First, "_counts", lambda _self, _raised: found)
    made = restore(machine)
    assert made["wrong"] == wrong and made["counts"] == {} and made["deleted"] == ([] if wrong else ["old"])
    assert ("old" in machine.cluster.nodes) is bool(wrong)


def test_the_first_control_plane(machine):
    made = restore(machine)
    assert made["counts"] == COUNTS and made["wrong"] == [] and made["deleted"] == ["old"]
    assert machine.cluster.deleted == [lock.PATH]  # of a run that changed the cluster while it was saved
    assert machine.cluster.static == ["cp-2"]  # it joins, and kubeadm looks for etcd by its pods
    tree = machine.tree()
    assert tree["var/lib/etcd/member/snap/db"] == "restored data"
    assert tree["etc/kubernetes/pki/ca.key"] == "key" and "etc/kubernetes/pki/etcd/server.crt" not in tree
    assert tree["etc/kubernetes/enc.yaml"] == "archived key"
    assert tree["etc/kubernetes/manifests/of-the-user.yaml"] == "user's own"
    assert machine.cluster.proxy["data"]["kubeconfig.conf"] == "server: https://new:6443\n"
    before = "etc/kubernetes/before-%s/" % AT
    kept = {name[len(before) :]: text for name, text in tree.items() if name.startswith(before)}
    assert kept["manifests/etcd.yaml"] == "former etcd" and kept["pki/etcd/server.crt"] == "leaf"
    assert kept["kubelet.conf"] == "kubelet" and kept["files/etc/kubernetes/enc.yaml"] == "former key"
    assert tree["var/lib/etcd/before-%s/member/snap/db" % AT] == "former data"
    assert not any(name.startswith(("var/lib/kubewright/restore-", "var/lib/etcd/restored-")) for name in tree)
    assert "etc/kubernetes/super-admin.conf" not in tree
    assert Journal(machine.root).read() == {}
    record = ownership.read(machine.root + paths.OWNERSHIP_RECORD)
    assert record["data"]["/etc/kubernetes/before-" + AT] == {"before": []}  # reset removes it


def test_a_kubelet_that_is_started_again_and_again_is_stopped(machine):
    machine.kubelet, machine.state = False, "activating\n"
    restore(machine)
    order = [words for words in machine.asked if "stop kubelet" in words]
    assert order


def test_etcd_begins_a_cluster_of_its_own(machine):
    restore(machine)
    text = " ".join(machine.options)
    assert "--name cp-1 --initial-cluster cp-1=https://10.0.0.11:2380" in text
    assert "--bump-revision %d --mark-compacted" % RAISED in text and "--initial-cluster-token kubewright-a-" in text
    [init] = [words for words in machine.asked if "kubeadm init --config" in words]
    assert "addon/coredns,addon/kube-proxy" in init
    order = [words for words in machine.asked if "etcdutl" in words or "stop kubelet" in words]
    assert order[0] == "etcdutl"  # what can fail comes before anything is stopped


def test_a_control_plane_that_joins_keeps_its_kubelet(machine):
    plane = ControlPlane("cp-1", machine.root, machine)
    entry = {"path": "/etc/kubernetes/enc.yaml", "content": b"archived key", "mode": 0o600, "owner": -1, "group": -1}
    new = {**entry, "path": "/etc/kubernetes/new/policy.yaml", "content": b"new"}
    assert plane.stop("a", AT, "cp-2", False, [entry, new])
    tree = machine.tree()
    assert tree["etc/kubernetes/kubelet.conf"] == "kubelet" and machine.kubelet and machine.pods == []
    assert tree["etc/kubernetes/pki/ca.crt"] == "authority"  # the kubelet reads it
    assert "etc/kubernetes/admin.conf" not in tree and "var/lib/etcd/member/snap/db" not in tree
    assert tree["etc/kubernetes/enc.yaml"] == "archived key" and tree["etc/kubernetes/new/policy.yaml"] == "new"
    asked = len(machine.asked)
    assert not plane.stop("a", AT, "cp-2", False, [entry, new]) and len(machine.asked) == asked
    undo.end(machine.root)  # as the join does
    assert Journal(machine.root).read() == {}


def test_killed_anywhere_and_run_again(machine, tmp_path):
    restore(machine)
    wanted, commands = machine.tree(), len(machine.asked)
    assert commands > 8
    for number in range(1, commands + 1):
        for name in ("etc", "var", "usr"):
            ownership_free(tmp_path / name)
        for name, text in FORMER.items():
            machine._write(name, text)
        machine.asked, machine.pods, machine.kubelet, machine.die = [], ["etcd", "kube-apiserver"], True, number
        machine.cluster.__init__()
        with pytest.raises(Killed):
            restore(machine)
        machine.die = 0
        restore(machine)
        assert machine.tree() == wanted, "killed at command %d" % number


def test_killed_anywhere_and_undone(machine, tmp_path):
    former = machine.tree()
    restore(machine)
    for number in range(1, len(machine.asked) - 1):
        for name in ("etc", "var", "usr"):
            ownership_free(tmp_path / name)
        for name, text in FORMER.items():
            machine._write(name, text)
        machine.asked, machine.pods, machine.kubelet, machine.die = [], ["etcd", "kube-apiserver"], True, number
        machine.cluster.__init__()
        with pytest.raises(Killed):
            restore(machine)
        machine.die = 0
        ControlPlane("cp-1", machine.root, machine).undo()
        assert machine.tree() == former, "killed at command %d" % number
        assert machine.kubelet and Journal(machine.root).read() == {}


@pytest.mark.parametrize("number", range(1, 12))
def test_an_undo_that_is_killed_is_finished_by_the_next(machine, monkeypatch, number):
    former, real, moves = machine.tree(), os.rename, []
    first = First("cp-1", received(machine), manifest(), machine.root, machine)
    first.prepare("10.0.0.11", "", AT, 60)
    ControlPlane("cp-1", machine.root, machine).stop("a", AT, "cp-1", True, [])
    first._place(first.journal.read())

    def rename(*given):
        moves.append(given)
        if len(moves) == number:
            raise Killed
        real(*given)

    monkeypatch.setattr(os, "rename", rename)
    with contextlib.suppress(Killed):
        ControlPlane("cp-1", machine.root, machine).undo()
    ControlPlane("cp-1", machine.root, machine).undo()
    assert machine.tree() == former and Journal(machine.root).read() == {}


def ownership_free(path):
    """Delete a tree of the test."""
    parts_module.shutil.rmtree(path, ignore_errors=True)


def test_undo_of_a_control_plane_that_joins(machine):
    former = machine.tree()
    plane = ControlPlane("cp-1", machine.root, machine)
    new = {"path": "/etc/kubernetes/new.yaml", "content": b"new", "mode": 0o600, "owner": -1, "group": -1}
    plane.stop("a", AT, "cp-2", False, [new])
    assert plane.undo() and machine.tree() == former
    assert not plane.undo()


def test_pods_that_do_not_end_stop_the_run(machine):
    machine.fails = "rmp"
    plane = ControlPlane("cp-1", machine.root, machine)
    with pytest.raises(RestoreError, match="2 pods of the control plane do not end: it fails"):
        plane.stop("a", AT, "cp-1", True, [])
    assert "etc/kubernetes/manifests/etcd.yaml" in machine.tree()
    machine.fails = "crictl pods"
    with pytest.raises(RestoreError, match="does not list its pods: it fails"):
        plane.stop("a", AT, "cp-1", True, [])


def test_it_does_not_start_what_was_not_stopped(machine):
    first = First("cp-1", received(machine), manifest(), machine.root, machine)
    with pytest.raises(RestoreError, match="was not stopped"):
        first.start("", [], [], 60)
    ControlPlane("cp-1", machine.root, machine).stop("a", AT, "cp-1", True, [])
    with pytest.raises(RestoreError, match="were not prepared"):
        first.start("", [], [], 60)


def test_parts_are_what_was_saved(machine):
    parts = Parts("a", manifest(), machine.root)
    assert parts.begin() == sorted(ARCHIVE)
    with pytest.raises(PartsError, match="did not arrive as saved"):
        parts.check()
    piece = base64.b64encode(zlib.compress(b"author")).decode()
    parts.receive("pki/ca.crt", 0, piece)
    with pytest.raises(PartsError, match="does not follow"):
        parts.receive("pki/ca.crt", 3, piece)
    for name in ("../x", "pki/other", "/etc/passwd"):
        with pytest.raises(PartsError, match="has no part"):
            parts.receive(name, 0, piece)
    received(machine)
    parts.check()
    assert parts.begin() == [] and oct(os.stat(parts.place).st_mode)[-3:] == "700"
