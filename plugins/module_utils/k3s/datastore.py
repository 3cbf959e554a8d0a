# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""K3s's datastore on a server: the copy before SQLite becomes etcd, and what an external one refuses. Standard library only."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time

# K3s asks a database that refuses it once a second for five minutes (kine, pkg/drivers/generic, OpenDB). What its log says then, and the way out.
# The words are those of PostgreSQL, MySQL, MariaDB, Go's crypto/x509 and K3s (pkg/cluster/storage.go, getBootstrapKeyFromStorage).
_REFUSALS = (
    (
        r"bootstrap data already found and encrypted with different token",
        "it holds a cluster already, whose keys open to that cluster's token alone; set k3s_token to it (K3s keeps it on each server in "
        "DATA-DIR/server/token), or name an empty database",
    ),
    (
        r"password authentication failed|Access denied for user|no pg_hba\.conf entry|role \"[^\"]*\" (?:does not exist|is not permitted)|no password supplied",
        "it refuses the login; correct user and password in k3s_datastore_endpoint, or what the database allows them",
    ),
    (
        r"permission denied (?:for|to)|command denied to user|database \"[^\"]*\" does not exist|Unknown database",
        "the user may not make its database or its table there; make the database and give it to the user",
    ),
    (
        r"x509: |certificate (?:signed by unknown authority|required|verify failed)|tls: |TLS requested but server does not support|server refused TLS|"
        r"Connections using insecure transport are prohibited|authentication handshake failed",
        "TLS with it fails; correct k3s_datastore_tls, or TLS in k3s_datastore_endpoint",
    ),
)


class DatastoreError(Exception):
    """The datastore is not as it must be; the message says what to do."""


def refusal(lines):
    """What an external datastore refuses by lines of K3s's log, with the way out; empty where they say nothing of the kind.

    Warnings do not count: K3s tries to make its database, which it often may not, and goes on (kine, pkg/drivers/pgsql, createDBIfNotExist).
    """
    told = "\n".join(line for line in lines if not re.search(r"WARN|level=warn|to ensure existence", line))
    return next((way_out for pattern, way_out in _REFUSALS if re.search(pattern, told)), "")


def pending(data_dir):
    """Whether SQLite is there and not yet converted: K3s sets its file aside once all is in etcd (pkg/etcd/etcd.go, migrateFromSQLite)."""
    return os.path.exists(data_dir + "/server/db/state.db")


def back_up(data_dir, stop):
    """A copy of what brings a server back that stores in SQLite - its database, keys and tokens, as they lie in its directory `server`. Returns its path.

    K3s goes on serving meanwhile, so that a backup that fails changes nothing. stop: stops K3s, where Python lacks sqlite3 and files are copied.
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
            shutil.copytree("%s/%s" % (server, name), "%s/%s" % (unfinished, name), copy_function=shutil.copyfile, ignore=_sockets)
        for directory, _names, _files in os.walk(unfinished):
            os.chmod(directory, 0o700)
        os.rename(unfinished, target)
    except (OSError, shutil.Error) as error:
        raise DatastoreError("the backup failed: %s; nothing was converted" % error) from error
    finally:
        os.umask(old)
    return target


def copy_database(source, target, stop):
    """A checked copy of a SQLite database that may be in use. https://www.sqlite.org/backup.html"""
    try:
        import sqlite3  # noqa: PLC0415  (small systems lack it)
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
        writer.execute("PRAGMA journal_mode=DELETE")  # one file, with all that was in the log beside it
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


def _sockets(directory, names):
    return [name for name in names if not os.path.isdir("%s/%s" % (directory, name)) and not os.path.isfile("%s/%s" % (directory, name))]


def set_aside(data_dir):
    """An etcd beside an unconverted SQLite is what a conversion that was broken off left; K3s would take it for whole. Returns whether there was one."""
    etcd = data_dir + "/server/db/etcd"
    if not os.path.exists(etcd):
        return False
    os.replace(etcd, "%s-broken-off-%d" % (etcd, time.time()))
    return True
