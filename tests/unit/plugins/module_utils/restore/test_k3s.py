# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a K3s server on SQLite does for a restore, killed after every change: nothing is lost, a second run finishes."""

from __future__ import annotations

import base64
import hashlib
import os
import sqlite3
import zlib

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.backup import k3s as archived, sqlite
from ansible_collections.kubewright.cluster.plugins.module_utils.backup.snapshot import SnapshotError
from ansible_collections.kubewright.cluster.plugins.module_utils.k3s.tokens import K3sError
from ansible_collections.kubewright.cluster.plugins.module_utils.node import ownership, paths
from ansible_collections.kubewright.cluster.plugins.module_utils.restore import k3s, parts as parts_module
from ansible_collections.kubewright.cluster.plugins.module_utils.restore.parts import Parts
from ansible_collections.kubewright.cluster.plugins.module_utils.restore.stop import RestoreError

AT = "20261129T120000Z"
# An archive of an hour before.
CREATED = "2026-11-29T11:00:00Z"
RAISED = parts_module.LEAST + 3600 * parts_module.EACH_SECOND
SECRET = "s3cret"
TOKEN = b"K10aa::server:" + SECRET.encode() + b"\n"
OPENS = archived.bootstrap_key(TOKEN.decode())
COUNTS = {"secrets": 1, "configmaps": 1}


class Killed(BaseException):
    """The process was killed."""


def database(path, opens=OPENS):
    """A database as kine leaves it: an object that was changed, and one that was deleted."""
    connection = sqlite3.connect(path)
    connection.execute(
        "CREATE TABLE kine (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, created INTEGER, deleted INTEGER, "
        "create_revision INTEGER, prev_revision INTEGER, lease INTEGER, value BLOB, old_value BLOB)"
    )
    rows = [("compact_rev_key", 0, 0), (opens, 0, 0), ("/registry/secrets/d/s", 0, 0),
            ("/registry/configmaps/d/a", 0, 0), ("/registry/configmaps/d/a", 0, 4), ("/registry/pods/d/p", 0, 0), ("/registry/pods/d/p", 1, 6)]  # fmt: skip
    for name, deleted, former in rows:
        values = (name, not former, deleted, former)
        connection.execute("INSERT INTO kine VALUES (NULL, ?, ?, ?, 0, ?, 0, x'00', NULL)", values)
    connection.commit()
    connection.close()


class Machine:
    """A server: its files, and its service. die: kill the process at the change with this number."""

    def __init__(self, root, monkeypatch):
        self.root, self.data = str(root), str(root / "k3s")
        self.runs, self.waits, self.fails, self.die, self.changes = True, False, "", 0, 0
        self.nodes, self.forgotten, self.passwords = ["cp-1", "w-1", "old"], [], []
        real = {name: getattr(os, name) for name in ("rename", "replace", "unlink")}
        for name, do in real.items():
            monkeypatch.setattr(k3s.os, name, self.counted(do))

    def counted(self, do):
        return lambda *given, **more: self.step(lambda: do(*given, **more))

    def step(self, do=lambda: None):
        """Do something, unless the process is killed before it."""
        self.changes += 1
        if self.changes == self.die:
            raise Killed
        return do()

    def active(self, _unit):
        return self.runs and not self.waits

    def is_down(self, _unit):
        return not self.runs

    def stop(self, _unit):
        self.step()
        self.runs = self.fails == "stop"

    def start(self, _unit, _restart, data):
        self.step()
        assert data == self.data
        self.runs = True

    def delete(self, path):
        self.unlocked = path

    def get(self, _path):
        return {"items": [{"metadata": {"name": name}} for name in self.nodes]}

    def write(self, name, text):
        path = os.path.join(self.root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as stream:
            stream.write(text if isinstance(text, bytes) else text.encode())

    def tree(self):
        """Return the content of all files by path, without the collection's own."""
        found = {}
        for folder, _folders, names in os.walk(self.root):
            for name in names:
                path = os.path.relpath(os.path.join(folder, name), self.root)
                if not path.startswith(("own/", "record", "archive.db", "machine-id")):
                    with open(os.path.join(folder, name), "rb") as stream:
                        found[path] = stream.read()
        return found


FORMER = {
    "k3s/server/db/state.db": "former data",
    "k3s/server/db/state.db-wal": "former log",
    "k3s/server/tls/server-ca.crt": "former authority",
    "k3s/server/tls/client-admin.key": "leaf",
    "k3s/server/cred/passwd": "former passwords",
    "k3s/server/token": "former token",
    "k3s/server/manifests/kubewright-a.yaml": "manifest",
    "k3s/agent/client-kubelet.key": "identity",
    "etc/token": "former",
    "etc/k3s.yaml": "former admin",
    "etc/config.yaml": "config",
}


@pytest.fixture
def machine(tmp_path, monkeypatch):
    made = Machine(tmp_path, monkeypatch)
    for name, text in FORMER.items():
        made.write(name, text)
    database(str(tmp_path / "archive.db"))
    connect(made, tmp_path, monkeypatch)
    return made


def connect(made, tmp_path, monkeypatch):
    """Let everything that a restore asks for or changes be this machine's."""
    made.write("machine-id", "own\n")
    places = {"K3S": "etc", "K3S_TOKEN": "etc/token", "K3S_AGENT_TOKEN": "etc/agent-token", "K3S_ADMIN": "etc/k3s.yaml",
              "OWNERSHIP_RECORD": "record.json"}  # fmt: skip
    for name, place in places.items():
        monkeypatch.setattr(paths, name, str(tmp_path / place))
    monkeypatch.setattr(parts_module, "PREFIX", str(tmp_path / "own/restore-"))
    monkeypatch.setattr(parts_module, "BUILT", str(tmp_path / "own/built-"))
    monkeypatch.setattr(k3s, "MACHINE_ID", str(tmp_path / "machine-id"))
    monkeypatch.setattr(k3s.services, "here", lambda: made)
    monkeypatch.setattr(k3s.runner, "stop", made.stop)
    monkeypatch.setattr(k3s.runner, "start", made.start)
    monkeypatch.setattr(k3s.runner, "wait", lambda *_given: made.step())
    monkeypatch.setattr(k3s, "Api", lambda *_given: made)
    monkeypatch.setattr(k3s, "local_server", lambda: None)
    monkeypatch.setattr(k3s.tokens, "forget_node", lambda _api, name: made.forgotten.append(name))
    monkeypatch.setattr(k3s.tokens, "forget_password", lambda _api, name: made.passwords.append(name))


def content(machine):
    with open(machine.root + "/archive.db", "rb") as stream:
        stored = stream.read()
    return {
        archived.DATABASE: stored,
        "server/token": TOKEN,
        "server/tls/server-ca.crt": b"authority",
        "server/tls/server-ca.key": b"key",
        "server/cred/passwd": b"passwords",
        "etc/config.yaml": b"archived config",
        "etc/agent-token": b"agents\n",
    }


def received(archive, given, datastore, machine_id="own"):
    """Return (parts, manifest) of an archive whose parts have arrived. given: their content by name."""
    rows = {}
    for name, data in given.items():
        own = {"path": "/elsewhere/" + name, "mode": "0600", "owner": os.getuid(), "group": os.getgid()}
        rows[name] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), **own}
    nodes = [{"name": "cp-1", "machine_id": machine_id}]
    manifest = {"parts": rows, "created": CREATED, "cluster": {"nodes": nodes}, "datastore": datastore}
    parts = Parts(archive, manifest)
    for name in parts.begin():
        parts.receive(name, 0, base64.b64encode(zlib.compress(given[name])).decode())
    return parts, manifest


def first(machine, archive="a", machine_id="own", **store):
    """Return the restore of this server, with the archive's parts on it."""
    datastore = {"revision": 7, "counts": COUNTS, **store}
    return k3s.First("cp-1", machine.data, *received(archive, content(machine), datastore, machine_id))


def again_if_killed(machine, at, action):
    """Do something; if it is killed at its change `at`, do it once more."""
    machine.changes, machine.die = 0, at
    try:
        action()
    except Killed:
        machine.die = 0
        action()


def undone_if_killed(machine, at, action, put_back=lambda _row: None):
    """Do something; if it is killed at its change `at`, undo it. Return True if it was not complete before."""
    machine.die = at
    try:
        action()
    except Killed:
        machine.die = 0
        ended = not k3s.Journal().read() and machine.forgotten
        k3s.Server("cp-1", machine.data).undo(put_back)
        assert k3s.Journal().read() == {} and machine.runs
        return not ended
    return False


def restore(machine, **given):
    """The whole restore, as the plays do it."""
    server = first(machine, **given)
    server.prepare(AT)
    k3s.Server("cp-1", machine.data).stop("a", AT, "cp-1")
    return server.start(["cp-1", "w-1"], [], 60)


def has_restored(machine):
    tree = machine.tree()
    assert sqlite.counts_at(machine.data + "/server/db/state.db", 7) == COUNTS
    assert tree["k3s/server/tls/server-ca.crt"] == b"authority" and tree["k3s/server/token"] == TOKEN
    assert tree["k3s/server/cred/passwd"] == b"passwords"  # database and token are not enough
    with sqlite3.connect(machine.data + "/server/db/state.db") as connection:
        assert connection.execute("SELECT MAX(id) FROM kine").fetchone()[0] == 7 + RAISED
    assert tree["etc/token"].strip() == SECRET.encode() and tree["etc/agent-token"].strip() == b"agents"
    assert tree["etc/config.yaml"] == b"config" and tree["k3s/agent/client-kubelet.key"] == b"identity"
    for name in FORMER:
        folder = "k3s/before-%s/" % AT + name.replace("k3s/server", "server")
        if name.startswith(
            ("k3s/server/db", "k3s/server/tls", "k3s/server/cred", "k3s/server/token", "etc/t", "etc/k")
        ):
            assert tree[folder] == FORMER[name].encode()
    assert "k3s/server/db/state.db-wal" not in tree
    assert machine.runs and k3s.Journal().read() == {} and not os.path.exists(parts_module.PREFIX + "a")


def test_a_server_is_restored_and_keeps_what_it_had(machine):
    made = restore(machine)
    assert made["counts"] == COUNTS and made["wrong"] == [] and made["deleted"] == machine.forgotten == ["old"]
    assert machine.passwords == []
    has_restored(machine)
    assert os.stat(machine.data + "/server/tls/server-ca.crt").st_mtime == 0
    assert list(ownership.read(paths.OWNERSHIP_RECORD)["data"]) == [machine.data + "/before-" + AT]


def test_counts_that_differ_are_named(machine):
    made = restore(machine, counts={"secrets": 2, "leases": 1})
    assert made["wrong"] == ["configmaps", "leases", "secrets"]
    assert made["deleted"] == machine.forgotten == []  # nobody goes by objects that are not the archive's


def test_another_machine_with_the_name_gets_a_password_of_its_own(machine):
    restore(machine, machine_id="other")
    assert machine.passwords == ["cp-1"]


def test_a_new_machine_has_nothing_to_put_aside(machine):
    for name in FORMER:
        os.unlink(os.path.join(machine.root, name))
    machine.runs = False
    made = restore(machine)
    assert made["wrong"] == [] and machine.tree()["etc/token"].strip() == SECRET.encode()
    assert os.listdir(machine.data + "/server/db") == ["state.db"]


def test_an_archive_that_is_restored_again_begins_after_what_was_written_since():
    manifest = {"created": CREATED}
    first, second = (parts_module.raised_by(manifest, at) for at in (AT, "20261129T120100Z"))
    assert first == RAISED and second - first == 60 * parts_module.EACH_SECOND
    # A clock that was set back between the two.
    assert parts_module.raised_by(manifest, "20261101T000000Z") == parts_module.LEAST


def test_revisions_go_on_far_after_the_former_ones(machine):
    path = machine.root + "/archive.db"
    k3s.bump(path, RAISED)
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT id, name, prev_revision, deleted FROM kine ORDER BY id").fetchall()
        connection.execute("INSERT INTO kine(name) VALUES ('next')")
        following = connection.execute("SELECT MAX(id) FROM kine").fetchone()[0]
    newest = 7 + RAISED
    assert rows[0] == (1, "compact_rev_key", newest, 0) and rows[-1] == (newest, "gap-%d" % newest, 0, 1)
    assert [row[0] for row in rows] == [1, 2, 3, 5, newest] and following == newest + 1
    assert sqlite.counts_at(path, 7) == COUNTS


@pytest.mark.parametrize("at", range(1, 40))
def test_killed_anywhere_and_run_again(machine, at):
    again_if_killed(machine, at, lambda: restore(machine))
    has_restored(machine)


@pytest.mark.parametrize("at", range(1, 40))
def test_killed_anywhere_and_undone(machine, at):
    before = machine.tree()
    if undone_if_killed(machine, at, lambda: restore(machine)):
        assert machine.tree() == before and not k3s.Server("cp-1", machine.data).undo()


@pytest.mark.parametrize("at", range(1, 30))
def test_an_undo_that_is_killed_is_finished_by_the_next(machine, at):
    before = machine.tree()
    server = first(machine)
    server.prepare(AT)
    server.stop("a", AT, "cp-1")
    server._put(server.journal.read(), 60)
    again_if_killed(machine, at, server.undo)
    assert machine.tree() == before and machine.runs


def test_what_can_fail_fails_before_anything_is_stopped(machine):
    database_of_another = machine.root + "/archive.db"
    os.unlink(database_of_another)
    database(database_of_another, "/bootstrap/000000000000")
    before = machine.tree()
    with pytest.raises(RestoreError, match="does not open its database"):
        first(machine).prepare(AT)
    os.unlink(database_of_another)
    machine.write("archive.db", b"no database")
    with pytest.raises(SnapshotError):
        first(machine, archive="b").prepare(AT)
    assert machine.runs and machine.tree() == before


def test_k3s_that_waits_for_others_is_stopped_too(machine):
    """Without a majority of etcd it is "activating"."""
    machine.waits = True
    k3s.Server("cp-1", machine.data).stop("a", AT, "cp-1")
    assert not machine.runs


def test_k3s_that_does_not_stop(machine):
    machine.fails = "stop"
    with pytest.raises(RestoreError, match="K3s does not stop"):
        k3s.Server("cp-1", machine.data).stop("a", AT, "cp-1")
    assert machine.tree()["k3s/server/db/state.db"] == b"former data"


def test_nothing_is_put_in_place_of_what_runs(machine):
    server = first(machine)
    server.prepare(AT)
    with pytest.raises(RestoreError, match="was not stopped"):
        server.start(["cp-1"], [], 60)
    server.stop("a", AT, "cp-1")
    os.unlink(server.built)
    with pytest.raises(RestoreError, match="was not prepared"):
        server.start(["cp-1"], [], 60)


def test_a_failed_start_is_tried_again(machine, monkeypatch):
    def refused(*_given):
        raise K3sError("it does not serve")

    monkeypatch.setattr(k3s.runner, "wait", refused)
    with pytest.raises(K3sError):
        restore(machine)
    machine.runs = False
    monkeypatch.setattr(k3s.runner, "wait", lambda *_given: None)
    restore(machine)
    has_restored(machine)
