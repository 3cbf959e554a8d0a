# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""K3s's datastore on a server: the backup before SQLite is converted to etcd, and why an external one refuses K3s.

Standard library only.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from typing import Callable

from ..api import etcd
from ..base.text_files import read_text
from ..node import paths

# K3s keeps a cluster's keys below it: pkg/cluster/encrypt.go (storageKey).
BOOTSTRAP = "/bootstrap/"
# K3s retries a database that refuses it once a second for five minutes (kine, pkg/drivers/generic, OpenDB).
# What its log says meanwhile, and the way out. The words are those of PostgreSQL, MySQL, MariaDB, Go's crypto/x509 and
# K3s (pkg/cluster/storage.go, getBootstrapKeyFromStorage).
_REFUSALS = (
    (
        r"bootstrap data already found and encrypted with different token",
        "it already holds a cluster that another token encrypts; set k3s_token to that token (in DATA-DIR/server/token "
        "on each of its servers), or use an empty database",
    ),
    (
        r"password authentication failed|Access denied for user|no pg_hba\.conf entry|no password supplied"
        r"|role \"[^\"]*\" (?:does not exist|is not permitted)",
        "it refuses the login; correct the user and password in k3s_datastore_endpoint, or the database's access rules",
    ),
    (
        r"permission denied (?:for|to)|command denied to user|database \"[^\"]*\" does not exist|Unknown database",
        "the user may not create its database or table; create the database and make the user its owner",
    ),
    (
        r"x509: |certificate (?:signed by unknown authority|required|verify failed)|tls: "
        r"|TLS requested but server does not support|server refused TLS"
        r"|Connections using insecure transport are prohibited|authentication handshake failed",
        "the TLS connection to it fails; correct k3s_datastore_tls, or the TLS settings in k3s_datastore_endpoint",
    ),
)


class DatastoreError(Exception):
    """The datastore cannot be used or converted; the message says why and what to do."""


def refusal(lines: list[str]) -> str:
    """Return why an external datastore refuses K3s and the way out, by lines of K3s's log; "" if they do not say so.

    Warnings do not count: K3s tries to create its database, which it often may not, and goes on
    (kine, pkg/drivers/pgsql, createDBIfNotExist).
    """
    errors = "\n".join(line for line in lines if not re.search(r"WARN|level=warn|to ensure existence", line))
    return next((way_out for pattern, way_out in _REFUSALS if re.search(pattern, errors)), "")


def refuse_used() -> None:
    """Raise DatastoreError if a new cluster would begin on an external etcd among the objects of another one.

    A cluster of K3s is opened again, if the token is its own: pkg/cluster/storage.go. Databases have one only of K3s.
    """
    address = configured("endpoint", paths.K3S_SECRETS)
    if not address.startswith(("http://", "https://")):
        return
    how = {name: configured(name, paths.K3S_CONFIG) for name in ("cafile", "certfile", "keyfile")}
    problem = etcd.used_problem({"servers": address, **{name: path for name, path in how.items() if path}}, BOOTSTRAP)
    if problem:
        raise DatastoreError(problem)


def configured(name: str, path: str) -> str:
    """Return the value of datastore-NAME in a file of K3s's configuration, "" if there is none."""
    found = re.search(r"^datastore-%s:\s*[\"']?([^\s\"']+)" % name, read_text(path), re.M)
    return found.group(1) if found else ""


def pending(data_dir: str) -> bool:
    """Return True if there is a SQLite database that is not converted yet.

    K3s renames its file once everything is in etcd (pkg/etcd/etcd.go, migrateFromSQLite).
    """
    return os.path.exists(data_dir + "/server/db/state.db")


def back_up(data_dir: str, stop: Callable[[], None]) -> str:
    """Copy the database, keys and tokens of a server that uses SQLite, in the layout of its directory `server`.

    Return the path of the backup. Raise DatastoreError. K3s keeps running meanwhile, so that a failed backup changes
    nothing. stop: stops K3s, if Python has no sqlite3 and the files have to be copied.
    https://docs.k3s.io/datastore/backup-restore#backup-and-restore-with-sqlite
    """
    server, backups = data_dir + "/server", data_dir + "/backups"
    target = "%s/sqlite-%s" % (backups, time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()))
    old = os.umask(0o077)
    try:
        os.makedirs(backups, mode=0o700, exist_ok=True)
        unfinished = tempfile.mkdtemp(dir=backups, prefix=".unfinished-")
        os.mkdir(unfinished + "/db")
        copy_database(server + "/db/state.db", unfinished + "/db/state.db", stop)
        for name in ("token", "agent-token"):
            if os.path.exists("%s/%s" % (server, name)):
                shutil.copyfile("%s/%s" % (server, name), "%s/%s" % (unfinished, name))
        for name in ("cred", "tls"):
            source, copy = "%s/%s" % (server, name), "%s/%s" % (unfinished, name)
            shutil.copytree(source, copy, copy_function=shutil.copyfile, ignore=_sockets)
        for directory, _names, _files in os.walk(unfinished):
            os.chmod(directory, 0o700)
        os.rename(unfinished, target)
    except (OSError, shutil.Error) as error:
        raise DatastoreError("the backup failed: %s; nothing was converted" % error) from error
    finally:
        os.umask(old)
    return target


def copy_database(source: str, target: str, stop: Callable[[], None]) -> None:
    """Copy a SQLite database that may be in use, and check the copy. Raise DatastoreError.

    https://www.sqlite.org/backup.html
    """
    try:
        import sqlite3  # noqa: PLC0415  (small systems do not have it)
    except ImportError:
        stop()
        for name in ("", "-wal", "-shm"):
            if os.path.exists(source + name):
                shutil.copyfile(source + name, target + name)
        return
    reader = writer = None
    try:
        reader = sqlite3.connect("file:%s?mode=ro" % source, uri=True, timeout=30)
        writer = sqlite3.connect(target)
        reader.backup(writer)
        writer.execute("PRAGMA journal_mode=DELETE")  # one file that includes the write-ahead log
        found = writer.execute("PRAGMA integrity_check").fetchone()[0]
        rows = writer.execute("SELECT count(*) FROM kine").fetchone()[0]
    except sqlite3.Error as error:
        raise DatastoreError("%s cannot be copied (%s); nothing was converted" % (source, error)) from error
    finally:
        for connection in (reader, writer):
            if connection:
                connection.close()
    if found != "ok" or not rows:
        raise DatastoreError("%s is damaged (%s, %d rows); nothing was converted" % (source, found, rows))


def _sockets(directory: str, names: list[str]) -> list[str]:
    paths = {name: "%s/%s" % (directory, name) for name in names}
    return [name for name, path in paths.items() if not os.path.isdir(path) and not os.path.isfile(path)]


def set_aside(data_dir: str) -> bool:
    """Rename an etcd database that an interrupted conversion left. Return True if there was one.

    K3s would use it although it is incomplete.
    """
    etcd = data_dir + "/server/db/etcd"
    if not os.path.exists(etcd):
        return False
    os.replace(etcd, "%s-broken-off-%d" % (etcd, time.time()))
    return True
