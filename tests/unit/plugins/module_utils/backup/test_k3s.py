# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server does for a backup of K3s on SQLite: the copy of the database, its proof, and the files beside it."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import stat
import tarfile

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.backup import k3s, make, make_k3s, sqlite
from ansible_collections.kubewright.cluster.plugins.module_utils.backup.snapshot import SnapshotError
from ansible_collections.kubewright.cluster.plugins.module_utils.node import paths
from ansible_collections.kubewright.cluster.plugins.module_utils.sql import database
from ansible_collections.kubewright.cluster.plugins.module_utils.sql.postgresql import PostgreSQL

SECRET = "s3cret-of-the-servers"
TOKEN = "K10" + "a" * 64 + "::server:" + SECRET
# What K3s calls it for this token: sha256sum of the secret, the first 12 digits.
OPENS = "/bootstrap/f75786238a6d"
ROWS = [
    ("compact_rev_key", 1, 0, 0, b""),
    (OPENS, 1, 0, 0, b"sealed"),
    ("/registry/secrets/default/s", 1, 0, 0, b"k8s:enc:aescbc:v1:key1:..."),
    ("/registry/configmaps/default/a", 1, 0, 0, b"1"),
    ("/registry/configmaps/default/a", 0, 0, 4, b"2"),
    ("/registry/configmaps/default/b", 1, 0, 0, b"1"),
    ("/registry/configmaps/default/b", 0, 1, 6, b"1"),
    ("/registry/services/specs/default/kubernetes", 1, 0, 0, b"1"),
]
CONFIG = {"resources": [{"resources": ["secrets"], "providers": [{"aescbc": {"keys": [{"name": "key1"}]}}]}]}


def add(connection, rows):
    for name, created, deleted, former, value in rows:
        connection.execute(
            "INSERT INTO kine(name, created, deleted, create_revision, prev_revision, lease, value, old_value) "
            "VALUES (?, ?, ?, 0, ?, 0, ?, NULL)",
            (name, created, deleted, former, value),
        )
    connection.commit()


@pytest.fixture
def data(tmp_path):
    """A data directory whose database is in use, with what is not in the main file yet."""
    place = tmp_path / "k3s"
    (place / "server/db").mkdir(parents=True)
    (place / "server/cred").mkdir()
    (place / "server/token").write_text(TOKEN + "\n")
    (place / "server/cred/encryption-config.json").write_text(json.dumps(CONFIG))
    connection = sqlite3.connect(str(place / "server/db/state.db"))
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(
        "CREATE TABLE kine (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, created INTEGER, deleted INTEGER, "
        "create_revision INTEGER, prev_revision INTEGER, lease INTEGER, value BLOB, old_value BLOB)"
    )
    add(connection, ROWS)
    yield str(place)
    connection.close()


def test_a_database_in_use_is_copied_with_its_history(data, tmp_path):
    target = str(tmp_path / "copy.db")
    known = sqlite.save(data + "/server/db/state.db", target)
    found = sqlite.verified(target, known)
    assert stat.S_IMODE(os.stat(target).st_mode) == 0o600
    assert sorted(name for name in os.listdir(tmp_path) if name.startswith("copy")) == ["copy.db"]
    assert (found["revision"], found["keys"], found["rows"]) == (8, 5, 8)
    assert found["counts"] == {"secrets": 1, "configmaps": 1, "services/specs": 1}
    assert sqlite.first_value(target, "secrets").startswith(b"k8s:enc:aescbc") and not sqlite.first_value(
        target, "pods"
    )
    assert sqlite.has(target, OPENS) and not sqlite.has(target, "/registry/configmaps/default/b")
    assert sqlite.counts_at(target, 6) == {"secrets": 1, "configmaps": 2}


@pytest.mark.parametrize(
    "change, message",
    [
        ("DELETE FROM kine WHERE name = '/registry/secrets/default/s'", "secrets: 0 of 1"),
        ("UPDATE kine SET value = x'00' WHERE id = 5", "other values"),
        ("UPDATE kine SET old_value = x'00' WHERE id = 5", "other values"),
    ],
)
def test_a_copy_that_has_something_else_is_refused(data, tmp_path, change, message):
    target = str(tmp_path / "copy.db")
    known = sqlite.save(data + "/server/db/state.db", target)
    with sqlite3.connect(target) as connection:
        connection.execute(change)
    with pytest.raises(SnapshotError, match=message):
        sqlite.verified(target, known)


def test_a_damaged_copy_is_refused(data, tmp_path):
    target = str(tmp_path / "copy.db")
    known = sqlite.save(data + "/server/db/state.db", target)
    with open(target, "r+b") as stream:
        stream.seek(4096)
        stream.write(b"\xff" * 4096)
    with pytest.raises(SnapshotError):
        sqlite.verified(target, known)


def test_the_copy_becomes_a_part_of_the_archive(data, tmp_path):
    part, store = make_k3s.saved(str(tmp_path), data)
    assert part == (k3s.DATABASE, str(tmp_path / "state.db"), data + "/server/db/state.db")
    assert store["encryption"] == {"provider": "aescbc", "key": "key1", "known": True}
    assert store["size"] == os.path.getsize(part.source) and store["counts"]["configmaps"] == 1


def test_a_token_that_does_not_open_the_database_is_refused(data, tmp_path):
    with open(data + "/server/token", "w", encoding="utf-8") as stream:
        stream.write("another")
    with pytest.raises(make.BackupError, match="does not open the datastore: it has no /bootstrap/") as raised:
        make_k3s.saved(str(tmp_path), data)
    assert "another" not in str(raised.value)


def test_a_key_that_encrypts_secrets_must_be_there(data, tmp_path):
    os.unlink(data + "/" + k3s.ENCRYPTION_CONFIG)
    with pytest.raises(make.BackupError, match="encrypted with the key key1"):
        make_k3s.saved(str(tmp_path), data)
    assert k3s.encryption(b"k8s\0plain", "") == {}
    assert not k3s.encryption(b"k8s:enc:secretbox:v1:key1:", json.dumps(CONFIG))["known"]


def test_tokens_open_a_datastore_in_each_of_their_forms():
    assert {k3s.bootstrap_key(text) for text in (TOKEN, TOKEN + "\n", SECRET)} == {OPENS}


class Database(PostgreSQL):
    """An external database with the rows of one of SQLite, as its client writes them. spoil: changes its lines."""

    null = "NULL"

    def __init__(self, path):
        self.path, self.spoil = path, lambda lines: lines

    def __str__(self):
        return "PostgreSQL at db:5432, database k3s"

    def size(self):
        return 1

    def copied(self):
        return ""

    def run(self, script, output=None, timeout=0):
        with sqlite.opened(self.path) as reader:
            rows = reader.execute("SELECT %s FROM kine ORDER BY id" % sqlite.COLUMNS).fetchall()
            store = sqlite.contents(reader)
        lines = []
        for row in rows:
            digest = hashlib.sha256((row[7] or b"") + (row[8] or b"")).hexdigest()
            values = ["NULL" if value is None else value.hex() for value in row[7:]]
            lines.append("\t".join(map(str, [row[0], row[1].encode().hex(), *row[2:7], *values, digest])))
        lines.append("total\t%d\t%d" % (store["rows"], store["keys"]))
        with open(output, "w", encoding="ascii") as stream:
            stream.write("\n".join(self.spoil(lines)) + "\n")


@pytest.fixture
def external(data, monkeypatch):
    """A server whose database is an external one."""
    path = data + "/database"
    sqlite.save(data + "/server/db/state.db", path)
    for name in os.listdir(data + "/server/db"):
        os.unlink(data + "/server/db/" + name)
    made = Database(path)
    monkeypatch.setattr(make_k3s.address, "of_this_server", lambda: made)
    return made


def test_an_external_database_becomes_one_of_sqlite(external, data, tmp_path):
    part, store = make_k3s.saved_sql(str(tmp_path), data, external)
    assert part == ("database/kine.db", str(tmp_path / "kine.db"), "")
    with sqlite.opened(external.path) as reader:
        expected = sqlite.contents(reader)
    assert {key: store[key] for key in expected} == expected and store["engine"] == "PostgreSQL"
    assert store["encryption"]["known"] and stat.S_IMODE(os.stat(part.source).st_mode) == 0o600
    assert not os.path.exists(tmp_path / "rows")


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda lines: lines[:-1], "has 8 revisions of 5 objects, and the database counted none: it was cut short"),
        (lambda lines: lines[1:], "has 7 revisions of 4 objects, and the database counted 8 of 5"),
        (
            lambda lines: [*lines[:3], lines[3].replace("\t31\t", "\t32\t"), *lines[4:]],
            "revision 4 is not what the database",
        ),
        (lambda lines: ["NOTICE", *lines], "wrote a line that is not a row"),
        (lambda lines: [*lines, lines[0]], "wrote a line that is not a row"),
    ],
)
def test_a_copy_of_an_external_database_that_differs_is_refused(external, data, tmp_path, spoil, message):
    external.spoil = spoil
    with pytest.raises(SnapshotError, match=message):
        make_k3s.saved_sql(str(tmp_path), data, external)


def test_the_archive_of_an_external_database(external, data, root, tmp_path, monkeypatch):
    made_of(data, tmp_path, monkeypatch)
    made = make_k3s.make_archive("edge")
    assert made["manifest"]["datastore"]["kind"] == "external"
    with tarfile.open(made["path"]) as tar:
        assert {"manifest.json", "database/kine.db", "server/token"} <= set(tar.getnames())

    def fails(*_given):
        raise database.DatabaseError("PostgreSQL at db:5432: refused")

    monkeypatch.setattr(external, "run", fails)
    with pytest.raises(make.BackupError, match="PostgreSQL at db:5432: refused"):
        make_k3s.make_archive("edge")


@pytest.fixture
def root(tmp_path):
    names = [name + ending for name in k3s.AUTHORITIES + k3s.ETCD_AUTHORITIES for ending in (".crt", ".key")]
    files = {"/data/" + name: name for name in [*names, *k3s.SHARED]}
    files.update({paths.K3S_CONFIG: "a", paths.K3S_CONFIG_D + "/50-kubewright-secrets.yaml": "b", paths.K3S_TOKEN: "c"})
    files.update({"/data/server/manifests/kubewright-a.yaml": "d", "/data/server/manifests/coredns.yaml": "e"})
    files["/data/server/tls/client-admin.key"] = "f"
    for path, text in files.items():
        target = tmp_path / path[1:]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return str(tmp_path)


def test_what_servers_share_is_saved_and_what_k3s_makes_of_it_is_not(root):
    found = k3s.keys("/data", k3s.SQLITE, root)
    names = {part.name: part.place for part in found.parts}
    assert found.missing == [] and names["server/tls/client-ca.key"] == "/data/server/tls/client-ca.key"
    assert names["etc/config.yaml"] == "/etc/rancher/k3s/config.yaml" and names["etc/token"] == paths.K3S_TOKEN
    assert "etc/config.yaml.d/50-kubewright-secrets.yaml" in names and "server/manifests/kubewright-a.yaml" in names
    wrong = ("server/manifests/coredns.yaml", "server/tls/client-admin.key", "server/tls/etcd/server-ca.key")
    assert not set(wrong) & set(names)
    # A restore on another machine needs all of it: https://github.com/k3s-io/k3s/issues/3015
    assert {
        "server/token",
        "server/agent-token",
        "server/cred/passwd",
        "server/cred/ipsec.psk",
        "server/cred/encryption-config.json",
        "server/cred/encryption-state.json",
        "server/tls/service.key",
        *("server/tls/%s-ca.%s" % (name, end) for name in ("server", "client") for end in ("crt", "key")),
        *("server/tls/request-header-ca." + end for end in ("crt", "key")),
    } <= set(names)
    assert "server/tls/etcd/peer-ca.crt" in [part.name for part in k3s.keys("/data", k3s.ETCD, root).parts]


def test_what_is_missing_is_named_and_without_a_token_nothing_is_saved(root):
    for name in ("server/tls/server-ca.key", "server/token", "server/agent-token", "server/cred/ipsec.psk"):
        os.unlink(root + "/data/" + name)
    found = k3s.keys("/data", k3s.SQLITE, root)
    assert found.missing == ["/data/server/tls/server-ca.key", "/data/server/token"]
    without = found._replace(parts=[part for part in found.parts if "-ca." not in part.name])
    with pytest.raises(make.BackupError, match="/data/server/token is missing"):
        make_k3s.refuse_wrong(without)
    with pytest.raises(make.BackupError, match="does not belong to"):  # neither is one in this test
        make_k3s.refuse_wrong(k3s.keys("/data", k3s.SQLITE, root)._replace(missing=[]))


def test_parts_go_where_the_nodes_own_directory_is():
    assert k3s.place_of("server/tls/server-ca.crt", "/srv/k3s") == "/srv/k3s/server/tls/server-ca.crt"
    assert k3s.place_of("etc/token", "/srv/k3s") == "/etc/rancher/k3s/token"


def made_of(data, tmp_path, monkeypatch):
    """Let archives be made of this data directory."""
    who = {"uid": "u", "ca_sha256": "aa", "version": "v1.36.3+k3s1", "nodes": []}
    monkeypatch.setattr(make, "PLACES", str(tmp_path / "places"))
    monkeypatch.setattr(paths.K3s, "__init__", lambda self: setattr(self, "data", data))
    monkeypatch.setattr(k3s, "own_api", lambda: None)
    monkeypatch.setattr(k3s.kubeadm, "identity", lambda _api, _authority: dict(who))
    monkeypatch.setattr(k3s, "wrong_keys", lambda _parts: [])


def test_the_archive_says_what_the_cluster_is(data, root, tmp_path, monkeypatch):
    made_of(data, tmp_path, monkeypatch)
    made = make_k3s.make_archive("edge")
    manifest = made["manifest"]
    assert manifest["cluster"] == {
        "name": "edge", "distribution": "k3s", "uid": "u", "ca_sha256": "aa", "version": "v1.36.3", "nodes": [],
        "settings": {},
    }  # fmt: skip
    assert manifest["versions"] == {"kubernetes": "v1.36.3", "k3s": "v1.36.3+k3s1"}
    assert (manifest["datastore"]["kind"], manifest["datastore"]["revision"]) == ("sqlite", 8)
    with tarfile.open(made["path"]) as tar:
        assert {"manifest.json", "server/db/state.db", "server/token"} <= set(tar.getnames())
    assert SECRET not in json.dumps(manifest)
    os.unlink(data + "/server/token")
    with pytest.raises(make.BackupError, match="token is missing"):
        make_k3s.make_archive("edge")
    assert os.listdir(make.PLACES) == []
