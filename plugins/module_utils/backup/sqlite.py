# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy of the SQLite database in which K3s's kine keeps the cluster, and what is in it. Standard library only.

The table: pkg/drivers/sqlite/sqlite.go of https://github.com/k3s-io/kine. A row is a revision of an object.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections import Counter
from typing import Any, Dict, Iterable, Iterator

from ..api.etcd import OBJECTS
from ..sql.database import COLUMNS
from .snapshot import SnapshotError, kind_of

# The newest row of each name up to a revision, unless it says that the object was deleted.
CURRENT = "SELECT %s FROM kine WHERE id IN (SELECT MAX(id) FROM kine WHERE id <= ? GROUP BY name) AND deleted = 0"
NO_SQLITE = "Python on this node has no module sqlite3 (%s). Install it; some systems have it in a separate package"


@contextlib.contextmanager
def opened(path: str, write: bool = False) -> Iterator[Any]:
    """Open a database, to read it unless something else is said. Raise SnapshotError for whatever SQLite says."""
    try:
        import sqlite3  # noqa: PLC0415  (small systems do not have it)
    except ImportError as error:
        raise SnapshotError(NO_SQLITE % error) from None
    try:
        mode = "rwc" if write else "ro"
        connection = sqlite3.connect("file:%s?mode=%s" % (path, mode), uri=True, timeout=30, isolation_level=None)
        with contextlib.closing(connection):
            yield connection
    except sqlite3.Error as error:
        raise SnapshotError("%s: %s" % (path, error)) from error


def save(source: str, target: str) -> Dict[str, Any]:
    """Copy a database that is in use to one file for root only. Return what the source has, as contents() does.

    Both are read in one transaction, so that nothing is written in between. https://www.sqlite.org/backup.html
    """
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with opened(source) as reader:
        reader.execute("BEGIN")
        known = contents(reader)
        with opened(target, write=True) as writer:
            reader.backup(writer)
            writer.execute("PRAGMA journal_mode=DELETE")  # one file that includes the write-ahead log
        reader.execute("ROLLBACK")
    with open(target, "rb") as stream:
        os.fsync(stream.fileno())
    return known


def verified(path: str, known: Dict[str, Any]) -> Dict[str, Any]:
    """Examine a copy. Return what is in it. Raise SnapshotError unless it is whole and has what the source had."""
    with opened(path) as reader:
        wrong = reader.execute("PRAGMA integrity_check").fetchone()[0]
        if wrong != "ok":
            raise SnapshotError("the copy of the database is damaged: %s" % str(wrong)[:200])
        there = contents(reader)
    if there != known:
        kinds = sorted(set(known["counts"]) | set(there["counts"]))
        rows = ["%s: %d of %d" % (kind, there["counts"].get(kind, 0), known["counts"].get(kind, 0)) for kind in kinds]
        changed = [row for kind, row in zip(kinds, rows) if there["counts"].get(kind) != known["counts"].get(kind)]
        shown = ", ".join(changed) or "other values"
        raise SnapshotError("the copy of the database does not have what the database has (%s)" % shown)
    return there


def contents(connection: Any, at: int = 0) -> Dict[str, Any]:
    """Return {revision, keys, counts: {kind: objects}, rows, hash} of an open database at a revision, the newest by
    default. hash: of all rows, the history included."""
    newest, total = connection.execute("SELECT MAX(id), COUNT(*) FROM kine").fetchone()
    at = at or int(newest or 0)
    names = [name for (name,) in connection.execute(CURRENT % "name", (at,))]
    digest = hashlib.sha256()
    for row in connection.execute("SELECT %s FROM kine ORDER BY id" % COLUMNS):
        digest.update(repr(row[:7]).encode())
        for value in row[7:]:
            digest.update(b"-" if value is None else b"%d:" % len(value) + as_bytes(value))
    store = {"revision": at, "keys": len(names), "counts": counted(names)}
    return {**store, "rows": int(total), "hash": digest.hexdigest()}


def counts_at(path: str, at: int) -> Dict[str, int]:
    """Return {kind: objects} of a database at a revision."""
    with opened(path) as reader:
        return counted(name for (name,) in reader.execute(CURRENT % "name", (at,)))


def counted(names: Iterable[str]) -> Dict[str, int]:
    """Return {kind: objects} of the names of rows."""
    return dict(Counter(kind_of(name)[len(OBJECTS) :].rstrip("/") for name in names if name.startswith(OBJECTS)))


def has(path: str, name: str) -> bool:
    """Return True if a database has a current object of this name."""
    with opened(path) as reader:
        newest = reader.execute("SELECT deleted FROM kine WHERE name = ? ORDER BY id DESC LIMIT 1", (name,)).fetchone()
    return newest is not None and not newest[0]


def first_value(path: str, kind: str) -> bytes:
    """Return how the first value of a kind begins, which names the key that encrypts it; b"" if there is none."""
    prefix = OBJECTS + kind + "/"
    question = CURRENT % "value" + " AND name >= ? AND name < ? ORDER BY name LIMIT 1"
    with opened(path) as reader:
        row = reader.execute(question, (1 << 62, prefix, prefix[:-1] + "0")).fetchone()
    return as_bytes(row[0])[:200] if row else b""


def as_bytes(value: Any) -> bytes:
    """Return a value of a row, which SQLite has as text or as bytes."""
    return value.encode() if isinstance(value, str) else bytes(value or b"")
