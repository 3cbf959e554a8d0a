# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backup before a conversion to etcd, refusals of external databases, tokens, and the datastore in the facts."""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
import stat
import sys

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.base.commands import Result
from ansible_collections.kubewright.cluster.plugins.module_utils.base.masking import masked_message
from ansible_collections.kubewright.cluster.plugins.module_utils.base.text_files import differs, read_text
from ansible_collections.kubewright.cluster.plugins.module_utils.detect import host, look as node
from ansible_collections.kubewright.cluster.plugins.module_utils.k3s import (
    datastore as k3s_datastore,
    runner as k3s_node,
    tokens as k3s_tokens,
)
from ansible_collections.kubewright.cluster.plugins.module_utils.node import paths, services
from ansible_collections.kubewright.cluster.tests.unit.fixtures.recording import Files


@pytest.fixture
def server(tmp_path):
    """A data directory whose database is open and has its newest rows in the log beside it, as K3s keeps it."""
    place = tmp_path / "server"
    for name in ("db", "cred", "tls/etcd"):
        (place / name).mkdir(parents=True)
    (place / "token").write_text("K10aa::server:secret\n")
    (place / "agent-token").symlink_to("token")
    (place / "cred/passwd").write_text("secret")
    (place / "tls/etcd/server-ca.key").write_text("secret")
    database = sqlite3.connect(place / "db/state.db", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE kine (name TEXT)")
    database.executemany("INSERT INTO kine VALUES (?)", [("/registry/configmaps/default/kept",)] * 40)
    yield tmp_path, database
    database.close()


def never():
    raise AssertionError("K3s is not stopped for it")


def rows(path):
    with contextlib.closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT count(*) FROM kine").fetchone()[0]


def test_the_backup_has_all_rows_and_what_opens_them_for_root_alone(server):
    data, _database = server
    place = k3s_datastore.back_up(str(data), never)
    assert place.startswith(str(data / "backups/sqlite-2")) and rows(place + "/db/state.db") == 40
    assert sorted(os.listdir(place)) == ["agent-token", "cred", "db", "tls", "token"]
    for directory, _names, files in os.walk(place):
        assert stat.S_IMODE(os.stat(directory).st_mode) == 0o700
        assert all(stat.S_IMODE(os.lstat(os.path.join(directory, name)).st_mode) == 0o600 for name in files)
    assert os.listdir(data / "backups") == [os.path.basename(place)]


def test_a_database_in_use_is_copied_as_it_was(server):
    data, database = server
    database.execute("BEGIN IMMEDIATE")
    database.execute("INSERT INTO kine VALUES ('half')")
    place = k3s_datastore.back_up(str(data), never)
    database.execute("COMMIT")
    assert rows(place + "/db/state.db") == 40


def test_without_pythons_sqlite3_k3s_stands_while_its_files_are_copied(server, monkeypatch):
    data, _database = server
    stopped = []
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "sqlite3", None)
        place = k3s_datastore.back_up(str(data), lambda: stopped.append(True))
    assert stopped == [True] and rows(place + "/db/state.db") == 40


@pytest.mark.parametrize("damage", ["no database", "an empty one", "a torn one", "no place"])
def test_without_a_backup_nothing_goes_on(server, damage):
    data, database = server
    database.close()
    path = data / "server/db/state.db"
    if damage == "no database":
        path.write_bytes(b"no database, but long enough to be looked at " * 200)
    elif damage == "an empty one":
        path.unlink()
        with contextlib.closing(sqlite3.connect(path)) as empty:
            empty.execute("CREATE TABLE kine (name TEXT)")
    elif damage == "a torn one":
        path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 4096)
    else:
        (data / "server/cred/passwd").unlink()
        (data / "server/cred").rmdir()
    with pytest.raises(k3s_datastore.DatastoreError, match="nothing was converted"):
        k3s_datastore.back_up(str(data), never)
    assert not [name for name in os.listdir(data / "backups") if name.startswith("sqlite-")]


@pytest.fixture
def asked(monkeypatch):
    """What was asked of systemd."""
    calls = []
    manager = services.Systemd(lambda argv: (calls.append(tuple(argv[1:])), Result(0))[1])
    monkeypatch.setattr(services, "here", lambda: manager)
    return calls


def test_a_conversion_that_was_broken_off_begins_anew(server, asked):
    data, _database = server
    (data / "server/db/etcd/member").mkdir(parents=True)
    assert k3s_node.convert("k3s", str(data))
    assert asked == [("stop", "k3s")] and not (data / "server/db/etcd").exists()
    assert [name for name in os.listdir(data / "server/db") if name.startswith("etcd-broken-off-")]


def test_what_is_converted_already_is_left(server, asked):
    data, _database = server
    (data / "server/db/state.db").rename(data / "server/db/state.db.migrated")
    assert k3s_node.convert("k3s", str(data)) == "" and asked == [] and not (data / "backups").exists()


@pytest.mark.parametrize(
    ("log", "way_out"),
    [
        (
            'level=error msg="Failed to ping database connection: dial tcp 10.0.0.9:5432: connect: connection refused"',
            "",
        ),
        (
            'failed SASL auth: FATAL: password authentication failed for user "k3s" (SQLSTATE 28P01)',
            "correct the user and password",
        ),
        (
            'WARN[0m failed to ensure existence of database postgres: FATAL: no pg_hba.conf entry for host "10.0.0.1"',
            "",
        ),
        ('FATAL: no pg_hba.conf entry for host "10.0.0.1", user "k3s"', "correct the user and password"),
        (
            "Error 1045 (28000): Access denied for user 'k3s'@'10.0.0.1' (using password: YES)",
            "correct the user and password",
        ),
        ("failed to verify certificate: x509: certificate signed by unknown authority", "correct k3s_datastore_tls"),
        ("bootstrap data already found and encrypted with different token", "set k3s_token to that token"),
        ("pq: permission denied for schema public", "make the user its owner"),
    ],
)
def test_what_a_database_refuses(log, way_out):
    found = k3s_datastore.refusal(["Starting k3s", log])
    assert (way_out in found) if way_out else found == ""


def test_a_login_is_masked_in_what_k3s_says():
    assert "hunter2" not in masked_message(
        "cannot parse postgres://k3s:hunter2@db/k3s and mysql://k3s:hunter2@tcp(db)/k3s"
    )


@pytest.fixture
def tokens(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "K3S_TOKEN", str(tmp_path / "token"))
    monkeypatch.setattr(paths, "K3S_AGENT_TOKEN", str(tmp_path / "agent-token"))
    return lambda: (read_text(paths.K3S_TOKEN).strip(), read_text(paths.K3S_AGENT_TOKEN).strip())


def test_tokens_are_made_once(tokens, tmp_path):
    assert k3s_tokens.make(str(tmp_path), put=differs) and not read_text(paths.K3S_TOKEN)  # check mode
    assert k3s_tokens.make(str(tmp_path))
    assert not k3s_tokens.make(str(tmp_path), put=differs)
    server, agent = tokens()
    assert len(server) == 64 and len(agent) == 64 and server != agent
    assert not k3s_tokens.make(str(tmp_path)) and tokens() == (server, agent)


def test_a_given_token_brings_the_agents_token_back(tokens, tmp_path):
    k3s_tokens.make(str(tmp_path))
    server, agent = tokens()
    for name in ("token", "agent-token"):
        (tmp_path / name).unlink()
    k3s_tokens.make(str(tmp_path))  # another cluster's, which the database refuses
    assert tokens() != (server, agent)
    assert k3s_tokens.make(str(tmp_path), "K10%s::server:%s\n" % ("a" * 64, server)) and tokens() == (server, agent)


def test_a_given_token_does_not_touch_a_server_with_data(tokens, tmp_path):
    (tmp_path / "server").mkdir()
    (tmp_path / "server/token").write_text("K10%s::server:first\n" % ("a" * 64))
    k3s_tokens.make(str(tmp_path), "second")
    assert tokens()[0] == "first"


SERVER = "/var/lib/rancher/k3s/server/"
SECRETS = {
    "/etc/rancher/k3s/config.yaml.d/50-kubewright-secrets.yaml": "# Made\n"
    "datastore-endpoint: postgres://k3s:hunter2@db/k3s\n"
}
HAS_CA = {SERVER + "tls/server-ca.crt": ""}


@pytest.mark.parametrize(
    ("files", "datastore", "data"),
    [
        ({}, None, False),
        ({SERVER + "cred/passwd": ""}, None, False),
        ({**HAS_CA, SERVER + "db/state.db": ""}, "sqlite", True),
        ({**HAS_CA, SERVER + "db/etcd/member/wal/0": ""}, "etcd", True),
        ({**HAS_CA, SERVER + "db/etcd/member/wal/0": "", SERVER + "db/state.db": ""}, "torn", True),
        ({**HAS_CA, SERVER + "db/etcd/member/wal/0": "", SERVER + "db/etcd/tombstone": ""}, "removed", True),
        ({SERVER + "cred/passwd": "", **SECRETS}, None, False),
        ({**HAS_CA, **SECRETS}, "external postgres", True),
    ],
)
def test_what_is_seen_of_a_datastore(files, datastore, data):
    found = node.look(host=Files(files))["cluster"]
    assert (found["datastore"], found["etcd_data"]) == (datastore, data) and "hunter2" not in repr(found)


def test_a_place_is_reached_or_not():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        assert host.Host().reach("127.0.0.1:%d" % port) is None
    assert "refused" in host.Host().reach("127.0.0.1:%d" % port)
    assert host.Host().reach("no.such.host.invalid:1")
