# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which database a server has, by its configuration, and how its client is called."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.node import paths
from ansible_collections.kubewright.cluster.plugins.module_utils.sql import address, database as database_module
from ansible_collections.kubewright.cluster.plugins.module_utils.sql.database import DatabaseError, Login

CA = {"ca": "/ca.crt"}


@pytest.mark.parametrize(
    "text, expected",
    [
        ("postgres://k3s:p%40s%2Fs@db:5433/Prod", Login([("db", 5433)], "prod", "k3s", "p@s/s", CA, {})),
        ("postgresql://u@[fd00::1]/", Login([("fd00::1", 5432)], "kubernetes", "u", "", CA, {})),
        ("postgres://", Login([("localhost", 5432)], "kubernetes", "postgres", "postgres", CA, {})),
        (
            "postgres://u:p@a:1,b/k?sslmode=require&search_path=x",
            Login([("a", 1), ("b", 5432)], "k", "u", "p", CA, {"sslmode": "require", "search_path": "x"}),
        ),
        ("postgres://u:p@/k?host=/run/pg", Login([], "k", "u", "p", CA, {"host": "/run/pg"})),
        ("mysql://k3s:p@s/s@tcp(db:3307)/k?x=1", Login([("db", 3307)], "k", "k3s", "p@s/s", CA, {})),
        ("mysql://u:p@tcp([fd00::1]:3306)/", Login([("fd00::1", 3306)], "kubernetes", "u", "p", CA, {})),
        ("mysql://", Login([], "kubernetes", "root", "", CA, {"socket": "/var/run/mysqld/mysqld.sock"})),
    ],
)
def test_addresses_are_read_as_kine_reads_them(text, expected):
    assert address.parsed(text, CA).login == expected


@pytest.mark.parametrize("text", ["", "https://a:2379", "http://a:2379", "nats://x"])
def test_others_are_not_of_sql(text):
    assert address.parsed(text, {}) is None


@pytest.mark.parametrize("text", ["mysql://u:p@db:3306/k", "postgres://u:p@a:b:c/k"])
def test_what_cannot_be_read_is_refused_without_its_password(text):
    with pytest.raises(DatabaseError) as caught:
        address.parsed(text, {})
    assert "u:p" not in str(caught.value)


def test_the_servers_own_configuration_is_read(tmp_path, monkeypatch):
    for name, text in (
        ("K3S_SECRETS", 'datastore-endpoint: "postgres://u:p@db/k"\n'),
        ("K3S_CONFIG", "node-name: a\ndatastore-cafile: /ca.crt\n"),
    ):
        (tmp_path / name).write_text(text)
        monkeypatch.setattr(paths, name, str(tmp_path / name))
    found = address.of_this_server()
    assert str(found) == "PostgreSQL at db:5432, database k" and found.login.files == CA
    (tmp_path / "K3S_SECRETS").write_text("token: x\n")
    assert address.of_this_server() is None


def called(text, files=None):
    return address.parsed(text, files or {})._called("client")


def test_passwords_are_not_arguments():
    for text in ("postgres://u:s3cret@db/k", "mysql://u:s3cret@tcp(db)/k"):
        command, environment = called(text)
        assert "s3cret" not in " ".join(command) and "s3cret" in environment.values()


def test_psql_gets_what_kine_takes():
    _command, environment = called(
        "postgres://u:p@a:1,b/k?search_path=my%20own", {**CA, "key": "/k", "certificate": "/c"}
    )
    expected = {"PGHOST": "a,b", "PGPORT": "1,5432", "PGUSER": "u", "PGPASSWORD": "p", "PGDATABASE": "k",
                "PGSSLMODE": "verify-full", "PGSSLROOTCERT": "/ca.crt", "PGSSLKEY": "/k", "PGSSLCERT": "/c",
                "PGOPTIONS": "-c search_path=my\\ own"}  # fmt: skip
    assert {name: environment.get(name) for name in expected} == expected
    assert "PGSSLMODE" not in called("postgres://u:p@a/k")[1]
    assert called("postgres://u:p@a/k?sslmode=verify-ca", CA)[1]["PGSSLMODE"] == "verify-ca"


def test_a_mysql_client_checks_the_server_with_an_authority():
    command, _environment = called("mysql://u:p@tcp(db)/k", CA)
    assert {"--no-defaults", "--host=db", "--port=3306", "--ssl-ca=/ca.crt", "--loose-ssl-mode=VERIFY_IDENTITY",
            "--loose-ssl-verify-server-cert"} < set(command)  # fmt: skip
    plain, _environment = called("mysql://u:p@tcp(db)/k")
    assert not any("ssl" in word for word in plain)
    assert "--socket=/s" in called("mysql://u:p@unix(/s)/k")[0]


def test_a_client_that_is_missing_is_named_with_its_packages(monkeypatch):
    monkeypatch.setattr(database_module.shutil, "which", lambda _name, path: None)
    with pytest.raises(DatabaseError, match="does not have the program psql.*Install postgresql-client"):
        address.parsed("postgres://u:p@db/k", {}).newest()
    with pytest.raises(DatabaseError, match="the program mariadb or mysql"):
        address.parsed("mysql://u:p@tcp(db)/k", {}).newest()
