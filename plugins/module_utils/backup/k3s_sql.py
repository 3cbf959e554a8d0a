# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy of the external SQL database of a K3s cluster, as a SQLite database of the same rows, and its proof.

Standard library only. K3s can use the copy as the database of a single server, and it is read as one (sqlite.py).
"""

from __future__ import annotations

import hashlib
import os
from typing import Any, Dict, Iterator, List, Optional

from ..sql.database import COLUMNS, COPY_SECONDS, TOTAL, Database, Row
from . import sqlite
from .snapshot import SnapshotError

# pkg/drivers/sqlite/sqlite.go; K3s makes its indexes when it opens the database.
TABLE = (
    "CREATE TABLE kine (id INTEGER PRIMARY KEY AUTOINCREMENT, name INTEGER, created INTEGER, deleted INTEGER, "
    "create_revision INTEGER, prev_revision INTEGER, lease INTEGER, value BLOB, old_value BLOB)"
)
INSERT = "INSERT INTO kine(%s) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)" % COLUMNS
FIELDS = len(COLUMNS.split(", ")) + 1


def saved(database: Database, path: str, workplace: str) -> Dict[str, Any]:
    """Copy the database while it serves, and prove the copy. Return what is in it.

    Raise SnapshotError or DatabaseError. workplace: a directory for root only.
    """
    spool = os.path.join(workplace, "rows")
    try:
        database.run(database.copied(), spool, COPY_SECONDS)
        return sqlite.verified(path, _filled(path, spool, database))
    finally:
        if os.path.exists(spool):
            os.unlink(spool)


def _filled(path: str, spool: str, database: Database) -> Dict[str, Any]:
    """Make the copy of what the database wrote. Return what is in it, once that is what the database counted."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    totals: List[int] = []
    with sqlite.opened(path, write=True) as writer:
        writer.execute("BEGIN")
        writer.execute(TABLE)
        writer.executemany(INSERT, _rows(spool, database, totals))
        writer.execute("COMMIT")
        known = sqlite.contents(writer)
    if totals != [known["rows"], known["keys"]]:
        text = "the copy of %s has %d revisions of %d objects, and the database counted %s"
        counted = "%d of %d" % tuple(totals) if totals else "none: it was cut short"
        raise SnapshotError(text % (database, known["rows"], known["keys"], counted))
    return known


def _rows(spool: str, database: Database, totals: List[int]) -> Iterator[Row]:
    """Return the rows that a database wrote, each with the SHA-256 that it gave. totals: gets what it counted."""
    with open(spool, encoding="ascii") as stream:
        for line in stream:
            fields = line.rstrip("\n").split("\t")
            if fields[0] == TOTAL:
                totals[:] = [int(number) for number in fields[1:]]
            elif len(fields) != FIELDS or totals:
                raise SnapshotError("%s: its client wrote a line that is not a row" % database)
            else:
                yield _row(fields, database)


def _row(fields: List[str], database: Database) -> Row:
    numbers = [None if text == database.null else int(text) for text in (fields[0], *fields[2:7])]
    value, former = (_bytes(text, database.null) for text in fields[7:9])
    if hashlib.sha256((value or b"") + (former or b"")).hexdigest() != fields[9].lower():
        raise SnapshotError("%s: revision %s is not what the database has" % (database, fields[0]))
    name = (_bytes(fields[1], database.null) or b"").decode("utf-8")
    return (numbers[0], name, *numbers[1:], value, former)


def _bytes(text: str, null: str) -> Optional[bytes]:
    return None if text == null else bytes.fromhex(text)
