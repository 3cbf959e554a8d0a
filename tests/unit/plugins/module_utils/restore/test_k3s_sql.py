# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What K3s servers with an external SQL database do for a restore, killed after every change: nothing is lost, a second
run finishes. The statements run in real databases in tests/databases."""

from __future__ import annotations

import os

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.backup import k3s as archived, sqlite, stored_objects
from ansible_collections.kubewright.cluster.plugins.module_utils.restore import k3s, k3s_sql
from ansible_collections.kubewright.cluster.plugins.module_utils.restore.stop import RestoreError
from ansible_collections.kubewright.cluster.plugins.module_utils.sql.database import DatabaseError
from ansible_collections.kubewright.cluster.tests.unit.plugins.module_utils.restore import test_k3s
from ansible_collections.kubewright.cluster.tests.unit.plugins.module_utils.restore.test_k3s import (
    AT,
    COUNTS,
    RAISED,
    TOKEN,
)

FORMER = {name: text for name, text in test_k3s.FORMER.items() if "/db/" not in name}
KEPT = "kine_before_20261129t120000z"
ROWS = [(1, "/registry/configmaps/d/former", 1, 0, 0, 0, 0, b"former", None)]


class Database:
    """A database with tables of rows. users: addresses that use it, for as many questions."""

    def __init__(self, machine):
        self.machine, self.tables, self.sessions, self.uid = machine, {"kine": list(ROWS)}, [], "own"

    def __str__(self):
        return "PostgreSQL at db:5432, database k3s"

    def has_table(self, name):
        return name in self.tables

    def users(self):
        return self.sessions.pop() if self.sessions else []

    def value(self, name):
        assert name == "/registry/namespaces/kube-system"
        return self.uid

    def names(self, at):
        rows = {row[1]: row for row in self.tables["kine"] if row[0] <= at}
        return [name for name, row in rows.items() if not row[3]]

    def replace(self, rows, newest, kept, workplace):
        assert os.path.isdir(workplace) and not self.machine.runs
        if kept not in self.tables:
            made = list(rows)
            assert made[-1][0] == newest
            self.machine.step()
            self.tables.update({kept: self.tables["kine"], "kine": made})

    def put_back(self, kept):
        assert not self.machine.runs
        self.machine.step()
        if kept not in self.tables:
            raise DatabaseError("it is gone")
        self.tables["kine"] = self.tables.pop(kept)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    made = test_k3s.Machine(tmp_path, monkeypatch)
    for name, text in FORMER.items():
        made.write(name, text)
    test_k3s.database(str(tmp_path / "archive.db"))
    test_k3s.connect(made, tmp_path, monkeypatch)
    made.database = Database(made)
    monkeypatch.setattr(k3s_sql.address, "of_this_server", lambda: made.database)
    monkeypatch.setattr(stored_objects, "uid", lambda value: value)
    monkeypatch.setattr(k3s_sql, "USERS_SECONDS", 0)
    monkeypatch.setattr(k3s_sql.time, "sleep", lambda _seconds: None)
    return made


def first(machine, uid="own"):
    given = {**test_k3s.content(machine)}
    given[archived.COPY] = given.pop(archived.DATABASE)
    store = {"kind": "external", "engine": "PostgreSQL", "revision": 7, "counts": COUNTS}
    parts, manifest = test_k3s.received("a", given, store)
    manifest["cluster"]["uid"] = uid
    return k3s_sql.First("cp-1", machine.data, parts, manifest)


def restore(machine):
    server = first(machine)
    server.prepare(AT)
    k3s.Server("cp-1", machine.data).stop("a", AT, "cp-1")
    return server.start(["cp-1", "w-1"], [], 60)


def has_restored(machine):
    rows = machine.database.tables["kine"]
    assert sqlite.counted(machine.database.names(7)) == COUNTS and rows[-1][0] == 7 + RAISED
    assert machine.database.tables[KEPT] == ROWS
    tree = machine.tree()
    assert tree["k3s/server/tls/server-ca.crt"] == b"authority" and tree["k3s/server/token"] == TOKEN
    assert not any("/db/" in name for name in tree) and machine.runs and k3s.Journal().read() == {}


def test_the_rows_are_replaced_and_the_former_ones_are_kept(machine):
    made = restore(machine)
    assert made["counts"] == COUNTS and made["wrong"] == []
    has_restored(machine)
    values = [value for row in machine.database.tables["kine"] for value in row[7:] if value is not None]
    assert all(isinstance(value, bytes) for value in values)


@pytest.mark.parametrize("at", range(1, 40))
def test_killed_anywhere_and_run_again(machine, at):
    test_k3s.again_if_killed(machine, at, lambda: restore(machine))
    has_restored(machine)


@pytest.mark.parametrize("at", range(1, 40))
def test_killed_anywhere_and_undone(machine, at):
    before = machine.tree()
    if test_k3s.undone_if_killed(machine, at, lambda: restore(machine), k3s_sql.put_back):
        assert machine.tree() == before and machine.database.tables == {"kine": ROWS}


@pytest.mark.parametrize("at", range(1, 30))
def test_an_undo_that_is_killed_is_finished_by_the_next(machine, at):
    before = machine.tree()
    server = first(machine)
    server.prepare(AT)
    server.stop("a", AT, "cp-1")
    server._put(server.journal.read(), 60)
    test_k3s.again_if_killed(machine, at, lambda: server.undo(k3s_sql.put_back))
    assert machine.tree() == before and machine.runs and machine.database.tables == {"kine": ROWS}


def test_another_server_may_put_back_the_rows_first(machine):
    row = {"at": AT}
    machine.runs, machine.database.tables[KEPT] = False, list(ROWS)
    replace = machine.database.put_back

    def twice(kept):
        replace(kept)
        replace(kept)

    machine.database.put_back = twice
    k3s_sql.put_back(row)
    assert machine.database.tables == {"kine": ROWS}
    k3s_sql.put_back(row)


def test_another_server_may_serve_the_former_rows_again(machine):
    def users():
        machine.database.tables.pop(KEPT, None)
        return ["10.0.0.9"]

    machine.runs, machine.database.tables[KEPT], machine.database.users = False, list(ROWS), users
    k3s_sql.put_back({"at": AT})
    assert machine.database.tables == {"kine": ROWS}


def test_a_database_that_is_in_use_is_not_changed(machine):
    machine.database.sessions = [["10.0.0.9"]] * 50
    with pytest.raises(RestoreError, match=r"used from 10\.0\.0\.9\. Stop K3s there"):
        restore(machine)
    assert machine.database.tables == {"kine": ROWS}
    machine.database.sessions = []
    restore(machine)
    has_restored(machine)


def test_a_server_that_has_just_stopped_is_waited_for(machine, monkeypatch):
    monkeypatch.setattr(k3s_sql, "USERS_SECONDS", 60)
    machine.database.sessions = [["10.0.0.9"]] * 3
    restore(machine)
    has_restored(machine)


def test_the_database_of_another_cluster_is_refused_before_anything_is_stopped(machine):
    before, machine.database.uid = machine.tree(), "other"
    with pytest.raises(
        RestoreError, match="has another cluster .*other, and own in the archive.*Name an empty database"
    ):
        first(machine).prepare(AT)
    machine.database = None
    with pytest.raises(RestoreError, match="has no external SQL database"):
        first(machine).prepare(AT)
    assert machine.runs and machine.tree() == before


def test_an_empty_database_is_filled(machine):
    machine.database.tables["kine"], machine.database.uid = [], ""
    restore(machine)
    assert sqlite.counted(machine.database.names(7)) == COUNTS and machine.database.tables[KEPT] == []
