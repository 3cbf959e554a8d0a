# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""K3s's table in a real PostgreSQL and MariaDB: copied while it is in use, replaced, and put back."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.backup import k3s_sql, sqlite
from ansible_collections.kubewright.cluster.plugins.module_utils.backup.snapshot import SnapshotError
from ansible_collections.kubewright.cluster.plugins.module_utils.restore import k3s, k3s_sql as restored
from ansible_collections.kubewright.cluster.plugins.module_utils.restore.stop import RestoreError
from ansible_collections.kubewright.cluster.plugins.module_utils.sql import address
from ansible_collections.kubewright.cluster.plugins.module_utils.sql.database import DatabaseError

KEPT = "kine_before_20261130t120000z"
VALUE = bytes(range(256)) * 20
OBJECTS = 300
RAISED = 1 << 33  # more than an old table has room for
INDEXES = {
    "postgresql": "SELECT count(*) FROM pg_indexes WHERE tablename = 'kine';",
    "mariadb": "SELECT COUNT(DISTINCT index_name) FROM information_schema.STATISTICS WHERE table_schema = 'k3s' "
    "AND table_name = 'kine';",
}


@pytest.fixture(params=["postgresql", "mariadb"])
def engine(request):
    return request.param


@pytest.fixture
def server(engine, request):
    """The server, without a table."""
    made = request.getfixturevalue(engine)
    yield made
    for table in ("kine", KEPT, KEPT + "_part"):
        made.admin(f"DROP TABLE IF EXISTS {table};", "k3s")


@pytest.fixture
def database(server):
    return address.parsed(server.address, {"ca": server.ca})


@pytest.fixture
def source(tmp_path):
    """A database of SQLite with the forms that rows have: history, a deleted object, a value of 1.5 MB, none at all."""
    path = str(tmp_path / "source.db")
    with sqlite.opened(path, write=True) as connection:
        connection.execute(k3s_sql.TABLE)
        rows = [("compact_rev_key", 0, 0, b""), ("/registry/secrets/d/x\\y\t'z", 0, 0, os.urandom(1500000))]
        rows += [(f"/registry/configmaps/d/c{number}", 0, 0, VALUE) for number in range(OBJECTS)]
        rows += [("/registry/configmaps/d/c0", 0, 3, None), ("/registry/configmaps/d/c1", 1, 4, b"")]
        for name, deleted, former, value in rows:
            values = (name, int(not former), deleted, former, former, 0, value, b"old" if former else None)
            connection.execute(k3s_sql.INSERT.replace("VALUES (", "VALUES (NULL, ").replace(", ?)", ")"), values)
    return path


def fill(database, source, place):
    """Put the rows of a database of SQLite in place. Return its highest revision."""
    with sqlite.opened(source) as reader:
        newest = reader.execute("SELECT MAX(id) FROM kine").fetchone()[0]
        database.replace(restored._rows(reader), newest, KEPT, str(place))
    return newest


def contents(path):
    with sqlite.opened(path) as reader:
        return sqlite.contents(reader)


def saved(database, place):
    path = str(place / "copy.db")
    if os.path.exists(path):
        os.unlink(path)
    return k3s_sql.saved(database, path, str(place))


def test_what_is_put_there_is_what_is_saved(database, source, tmp_path, server, engine):
    newest = fill(database, source, tmp_path)
    assert saved(database, tmp_path) == contents(source)
    assert database.newest() == newest == OBJECTS + 4
    assert database.value("/registry/configmaps/d/c2") == VALUE and database.value("/registry/none") == b""
    for at in (newest, newest - 1, newest - 2, 5):
        assert sqlite.counted(database.names(at)) == sqlite.counts_at(source, at)
    assert database.size() > 1500000 + OBJECTS * len(VALUE)
    # kine makes its indexes in MySQL only with the table. In PostgreSQL it makes those that are missing.
    assert int(server.admin(INDEXES[engine], "k3s")) == (6 if engine == "mariadb" else 1)


def test_new_rows_go_on_after_the_highest_revision(database, source, tmp_path):
    k3s.bump(source, RAISED)
    newest = fill(database, source, tmp_path)
    database.run("INSERT INTO kine (name, deleted) VALUES ('next', 0);")
    assert database.newest() == newest + 1 > RAISED


def test_the_former_rows_are_kept_and_put_back(database, source, tmp_path):
    fill(database, source, tmp_path)
    before = saved(database, tmp_path)
    database.run(f"DROP TABLE {KEPT};")
    k3s.bump(source, RAISED)
    newest = fill(database, source, tmp_path)
    assert database.newest() == newest
    # Once more, as after a run that was killed: what is kept is not replaced.
    fill(database, source, tmp_path)
    database.put_back(KEPT)
    assert saved(database, tmp_path) == before and not database.has_table(KEPT)
    with pytest.raises(DatabaseError, match=KEPT):
        database.put_back(KEPT)
    assert saved(database, tmp_path) == before
    database.run("INSERT INTO kine (name, deleted) VALUES ('next', 0);")
    assert database.newest() == before["revision"] + 1


def test_rows_that_are_refused_change_nothing(database, source, tmp_path):
    fill(database, source, tmp_path)
    before = saved(database, tmp_path)
    database.run(f"DROP TABLE {KEPT};")
    with pytest.raises(DatabaseError):
        database.replace(
            iter([(1, "a", 1, 0, 0, 0, 0, b"", None), (1, "b", 1, 0, 0, 0, 0, b"", None)]), 7, KEPT, str(tmp_path)
        )
    assert saved(database, tmp_path) == before


def test_a_copy_is_of_one_moment(database, source, tmp_path):
    fill(database, source, tmp_path)
    ended = threading.Event()

    def write():
        """Write two objects in each transaction, so that a copy of one moment has as many of each."""
        number = 0
        while not ended.is_set():
            number += 1
            row = "INSERT INTO kine (name, created, deleted, prev_revision, value) VALUES ('/registry/%s/d/n%d', "
            row += "1, 0, 0, '1');"
            database.run("BEGIN;\n%s\n%s\nCOMMIT;\n" % (row % ("a", number), row % ("b", number)))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        found = []
        while len(set(found)) < 4:
            counts = saved(database, tmp_path)["counts"]
            assert counts.get("a", 0) == counts.get("b", 0)
            found.append(counts.get("a", 0))
    finally:
        ended.set()
        writer.join()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda lines: lines[:-1],  # cut short
        lambda lines: lines[:3] + lines[4:],
        lambda lines: [lines[0].replace("\t0\t", "\t1\t", 1), *lines[1:]],
        lambda lines: [*lines[:5], lines[5].replace("0001", "0002", 1), *lines[6:]],
        lambda lines: [*lines, lines[0]],
        lambda lines: [*lines[:2], "notice", *lines[2:]],
    ],
)
def test_a_copy_that_has_something_else_is_refused(database, source, tmp_path, spoil):
    fill(database, source, tmp_path)
    run = database.run

    def spoilt(script, output=None, timeout=60):
        answer = run(script, output, timeout)
        if output:
            with open(output, encoding="ascii") as stream:
                lines = stream.read().splitlines()
            with open(output, "w", encoding="ascii") as stream:
                stream.write("\n".join(spoil(lines)) + "\n")
        return answer

    database.run = spoilt
    with pytest.raises((SnapshotError, ValueError)):
        saved(database, tmp_path)
    assert not os.path.exists(tmp_path / "rows")


def test_who_uses_the_database_is_named(server, database, source, tmp_path, engine, monkeypatch):
    fill(database, source, tmp_path)
    assert database.users() == []
    wait = {"postgresql": "SELECT pg_sleep(5);", "mariadb": "SELECT SLEEP(5);"}[engine]
    other = threading.Thread(target=lambda: address.parsed(server.address, {"ca": server.ca}).run(wait))
    other.start()
    deadline = time.monotonic() + 4
    while not database.users():
        assert time.monotonic() < deadline
    monkeypatch.setattr(restored, "USERS_SECONDS", 0)
    with pytest.raises(RestoreError, match=r"used from (127\.0\.0\.1|localhost)\. Stop K3s there"):
        restored.refuse_users(database)
    monkeypatch.setattr(restored, "USERS_SECONDS", 20)
    restored.refuse_users(database)
    other.join()


def test_a_wrong_login_and_a_wrong_authority_are_refused(server, tmp_path):
    wrong = address.parsed(server.address.replace("k3s:", "k3x:", 1), {"ca": server.ca})
    with pytest.raises(DatabaseError) as caught:
        wrong.newest()
    assert "k3x" in str(caught.value) and "or" + '"d' not in str(caught.value)
    other = tmp_path / "ca.crt"
    other.write_bytes(Path("/etc/ssl/certs/ca-certificates.crt").read_bytes())
    with pytest.raises(DatabaseError, match="(?i)certificate|TLS|SSL"):
        address.parsed(server.address, {"ca": str(other)}).newest()


def test_the_name_of_the_server_is_checked(server):
    wrong = address.parsed(server.address.replace("localhost", "127.0.0.2"), {"ca": server.ca})
    with pytest.raises(DatabaseError):
        wrong.newest()
