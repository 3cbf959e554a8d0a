# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What K3s servers on embedded etcd do for a restore, killed after every change: nothing is lost, a second run
finishes."""

from __future__ import annotations

import os
import shutil

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.api import tls
from ansible_collections.kubewright.cluster.plugins.module_utils.backup import etcd_file, snapshot
from ansible_collections.kubewright.cluster.plugins.module_utils.base import commands
from ansible_collections.kubewright.cluster.plugins.module_utils.node import paths
from ansible_collections.kubewright.cluster.plugins.module_utils.restore import (
    k3s,
    k3s_etcd,
    parts as parts_module,
)
from ansible_collections.kubewright.cluster.plugins.module_utils.restore.stop import RestoreError
from ansible_collections.kubewright.cluster.tests.unit.plugins.module_utils import etcd_files as files
from ansible_collections.kubewright.cluster.tests.unit.plugins.module_utils.backup.test_etcd_file import RECORDS, STATE
from ansible_collections.kubewright.cluster.tests.unit.plugins.module_utils.restore import test_k3s
from ansible_collections.kubewright.cluster.tests.unit.plugins.module_utils.restore.test_k3s import (
    AT,
    SECRET,
    TOKEN,
)

COUNTS = {"configmaps": 1, "secrets": 1, "services/endpoints": 1, "services/specs": 1}
OPENED = [(files.revision(1), files.record(test_k3s.OPENS.encode(), b"sealed")), *RECORDS]
CONFIG = "node-name: cp-1\nserver: https://10.0.0.2:6443\ntoken-file: /etc/rancher/k3s/token\n"
FORMER = {
    "k3s/server/db/etcd/member/wal/0": "former log",
    "k3s/server/db/etcd/name": "cp-1-00000000",
    "k3s/server/db/snapshots/on-demand": "the user's",
    "k3s/server/tls/server-ca.crt": "former authority",
    "k3s/server/tls-1/server-ca.crt": "the user's",
    "k3s/server/cred/passwd": "former passwords",
    "k3s/server/token": "former token",
    "k3s/agent/client-kubelet.key": "identity",
    "etc/token": "former",
    "etc/k3s.yaml": "former admin",
    "etc/config.yaml": CONFIG,
}


class Machine(test_k3s.Machine):
    """A server on embedded etcd. resets: how often K3s has made etcd's data. result: of that command."""

    def __init__(self, root, monkeypatch):
        super().__init__(root, monkeypatch)
        self.resets, self.result = 0, commands.Result(0, "Managed etcd cluster membership has been reset, restart")

    def run(self, argv, **options):
        """K3s, with the flags of a restore: pkg/etcd/etcd.go (Reset)."""
        self.step()
        path = argv[3].partition("=")[2]
        assert argv[1:3] == ["server", "--cluster-reset"] and options["clean"] and not options["close_fds"]
        assert argv[3].startswith("--cluster-reset-restore-path=") and SECRET not in " ".join(argv)
        tree = self.tree()
        assert b"server:" not in tree["etc/config.yaml"] and tree["etc/token"].strip() == SECRET.encode()
        assert not os.path.exists(self.data + "/server/db") and not self.runs
        with etcd_file.Snapshot(path) as found:
            assert found.revision == 10 + test_k3s.RAISED
        self.write("k3s/server/db/etcd-old-5/name", "cp-1-11111111")
        if self.result.rc != 1:
            self.step()
            self.write("k3s/server/db/etcd/member/wal/0", "restored")
            self.write("k3s/server/tls-5/server-ca.crt", "authority")
            self.write("k3s/server/db/reset-flag", "")
        self.resets += 1
        return self.result


@pytest.fixture
def machine(tmp_path, monkeypatch):
    made = Machine(tmp_path, monkeypatch)
    for name, text in FORMER.items():
        made.write(name, text)
    test_k3s.connect(made, tmp_path, monkeypatch)
    monkeypatch.setattr(paths, "K3S_CONFIG", str(tmp_path / "etc/config.yaml"))
    monkeypatch.setattr(k3s_etcd.commands, "run", made.run)
    monkeypatch.setattr(k3s_etcd.k3s_etcd, "member", lambda: made)
    made.members = list
    monkeypatch.setattr(snapshot, "contents", contents)
    return made


def contents(_client, at):
    assert at == 10 + test_k3s.RAISED
    return {"counts": COUNTS}


def first(machine, archive="a", records=None, **store):
    """Return the restore of this server, with the archive's parts on it."""
    given = {
        k3s_etcd.SNAPSHOT: files.snapshot(files.database(OPENED if records is None else records, STATE)),
        "server/token": TOKEN,
        "server/tls/server-ca.crt": b"authority",
        "server/tls/etcd/server-ca.key": b"key",
        "server/cred/passwd": b"passwords",
        "etc/agent-token": b"agents\n",
    }
    datastore = {"kind": "etcd", "revision": 10, "counts": COUNTS, **store}
    return k3s_etcd.First("cp-1", machine.data, *test_k3s.received(archive, given, datastore))


def restore(machine, **given):
    """The whole restore, as the plays do it."""
    server = first(machine, **given)
    server.prepare(AT)
    k3s.Server("cp-1", machine.data).stop("a", AT, "cp-1")
    return server.start(["cp-1", "w-1"], [], 60)


def has_restored(machine):
    tree, kept = machine.tree(), "k3s/before-%s/" % AT
    assert tree["k3s/server/db/etcd/member/wal/0"] == b"restored" and "k3s/server/db/reset-flag" in tree
    assert tree["k3s/server/tls/server-ca.crt"] == b"authority" and tree["k3s/server/token"] == TOKEN
    assert tree["etc/token"].strip() == SECRET.encode() and tree["etc/agent-token"].strip() == b"agents"
    assert b"cluster-init: true\n" in tree["etc/config.yaml"] and tree["k3s/agent/client-kubelet.key"] == b"identity"
    for name in ("server/db/etcd/member/wal/0", "server/db/snapshots/on-demand", "server/cred/passwd", "server/token"):
        assert tree[kept + name] == FORMER["k3s/" + name].encode()
    assert tree[kept + "etc/config.yaml"] == CONFIG.encode() and tree[kept + "etc/token"] == b"former"
    assert tree["k3s/server/tls-1/server-ca.crt"] == b"the user's"
    assert not [name for name in tree if "etcd-old-" in name]
    assert machine.runs and k3s.Journal().read() == {} and not os.path.exists(parts_module.PREFIX + "a")


def test_k3s_restores_the_snapshot_and_the_server_keeps_what_it_had(machine):
    made = restore(machine)
    assert made["counts"] == COUNTS and made["wrong"] == [] and made["deleted"] == machine.forgotten == ["old"]
    has_restored(machine)
    assert machine.resets == 1 and not [name for name in machine.tree() if "tls-5" in name]


def test_counts_are_compared_if_etcd_still_has_the_revision(machine, monkeypatch):
    assert restore(machine, counts={"secrets": 1, "leases": 1})["wrong"] == [
        "configmaps",
        "leases",
        "services/endpoints",
        "services/specs",
    ]

    def compacted(_client, _at):
        raise tls.NO_ANSWER[-1]("required revision has been compacted")

    monkeypatch.setattr(snapshot, "contents", compacted)
    server = first(machine)
    assert server._counts(10, 0) is None


def test_an_etcd_that_says_nothing_is_not_an_etcd_that_has_it_all(machine, monkeypatch):
    def silent(_client, _at):
        raise OSError("timed out")

    monkeypatch.setattr(snapshot, "contents", silent)
    monkeypatch.setattr(snapshot.time, "monotonic", iter(range(0, 9999, 50)).__next__)
    monkeypatch.setattr(snapshot.counts_at, "__defaults__", (60, lambda _seconds: None))
    with pytest.raises(RestoreError, match="does not say how many objects it has: timed out. Nothing was deleted."):
        first(machine)._counts(10, 0)


def test_a_new_machine_has_nothing_to_put_aside(machine):
    for name in ("k3s", "etc"):
        shutil.rmtree(os.path.join(machine.root, name))
    os.mkdir(machine.data)
    machine.write("etc/config.yaml", "node-name: cp-1\ncluster-init: true\n")
    machine.runs = False
    assert restore(machine)["wrong"] == [] and machine.tree()["etc/token"].strip() == SECRET.encode()
    assert not os.path.exists(machine.data + "/before-" + AT)


@pytest.mark.parametrize("at", range(1, 45))
def test_killed_anywhere_and_run_again(machine, at):
    test_k3s.again_if_killed(machine, at, lambda: restore(machine))
    has_restored(machine)


@pytest.mark.parametrize("at", range(1, 45))
def test_killed_anywhere_and_undone(machine, at):
    before = machine.tree()
    if test_k3s.undone_if_killed(machine, at, lambda: restore(machine)):
        assert {name: data for name, data in machine.tree().items() if "server/tls-5" not in name} == before


@pytest.mark.parametrize("at", range(1, 30))
def test_an_undo_that_is_killed_is_finished_by_the_next(machine, at):
    before = machine.tree()
    server = first(machine)
    server.prepare(AT)
    server.stop("a", AT, "cp-1")
    server._put(server.journal.read(), 60)
    test_k3s.again_if_killed(machine, at, server.undo)
    assert machine.tree() == before and machine.runs


@pytest.mark.parametrize(
    "result",
    [
        commands.Result(1, 'level=info msg=x\nlevel=fatal msg="bootstrap data already found and encrypted"'),
        commands.Result(commands.TIMED_OUT, "", "k3s did not finish within 60 s"),
    ],
)
def test_a_restore_that_k3s_refuses_can_be_undone_or_tried_again(machine, result):
    before, machine.result = machine.tree(), result
    with pytest.raises(RestoreError, match="does not restore etcd's data.*(encrypted|finish)"):
        restore(machine)
    assert k3s.Journal().read()["step"] == "stopped" and not machine.runs
    good = commands.Result(1, "Shutdown request received: etcd cluster membership has been reset")
    machine.result = good._replace(rc=2)
    k3s.Server("cp-1", machine.data).undo()
    left = {name: data for name, data in machine.tree().items() if "tls-5" not in name}
    assert left == before and machine.runs
    restore(machine)
    has_restored(machine)


def test_what_can_fail_fails_before_anything_is_stopped(machine):
    before = machine.tree()
    with pytest.raises(RestoreError, match="does not open its database"):
        first(machine, records=RECORDS).prepare(AT)
    assert machine.runs and machine.tree() == before


def test_nothing_is_put_in_place_of_what_runs(machine):
    server = first(machine)
    server.prepare(AT)
    with pytest.raises(RestoreError, match="was not stopped"):
        server.start(["cp-1"], [], 60)
    server.stop("a", AT, "cp-1")
    os.unlink(server.built)
    with pytest.raises(RestoreError, match="was not prepared"):
        server.start(["cp-1"], [], 60)


def test_a_server_that_joins_again_puts_its_data_aside(machine):
    assert k3s.Server("cp-1", machine.data).stop("a", AT, "cp-2")
    tree = machine.tree()
    assert not os.path.exists(machine.data + "/server/db") and not machine.runs and tree["etc/config.yaml"]
    assert tree["k3s/before-%s/server/db/etcd/member/wal/0" % AT] == b"former log"
    assert k3s.Journal().read()["step"] == "stopped" and not k3s.Server("cp-1", machine.data).stop("a", AT, "cp-2")
