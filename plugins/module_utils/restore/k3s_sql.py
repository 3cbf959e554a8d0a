# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore a K3s cluster whose data are in an external SQL database. Standard library only.

The archive has the rows as a SQLite database (backup/k3s_sql.py), and its revisions are raised there, as for a server
on SQLite. The former rows are kept in a dated table of the same database, so that the restore can be undone.
"""

from __future__ import annotations

import time
from typing import Any, Dict, Iterator, Optional

from ..api.etcd import OBJECTS
from ..backup import k3s, sqlite, stored_objects
from ..sql import address
from ..sql.database import COLUMNS, Database, DatabaseError
from .aside import Row
from .k3s import First as OnSqlite
from .stop import RestoreError

NAMESPACE = OBJECTS + "namespaces/kube-system"
TABLE, KEPT = "kine", "kine_before_"
# Servers that were just stopped end their sessions; another one goes on.
USERS_SECONDS = 30
EVERY_SECONDS = 2


def kept_table(row: Row) -> str:
    """Return the table that keeps what the database had before a restore. row: of the journal."""
    return KEPT + str(row["at"]).lower()


def put_back(row: Row) -> None:
    """Put back what the database had before a restore, if it was replaced. Raise RestoreError or DatabaseError.

    Every server does it before it starts K3s again, and whoever comes first has something to do. row: of the journal.
    """
    database = address.of_this_server()
    kept = kept_table(row)
    if database is None or not database.has_table(kept):
        return
    try:
        refuse_users(database)
        database.put_back(kept)
    except (RestoreError, DatabaseError):
        if database.has_table(kept):
            raise


def refuse_users(database: Database) -> None:
    """Raise RestoreError if somebody goes on using the database."""
    deadline = time.monotonic() + USERS_SECONDS
    while True:
        users = database.users()
        if not users:
            return
        if time.monotonic() > deadline:
            text = "%s is used from %s. Stop K3s there (systemctl stop k3s), or run restore with all servers."
            raise RestoreError(text % (database, ", ".join(users)))
        time.sleep(EVERY_SECONDS)


class First(OnSqlite):
    """The server that is restored from the archive, with the database of all servers."""

    stored = k3s.COPY

    def prepare(self, at: str) -> None:
        """See OnSqlite. The database must answer, and have no other cluster."""
        self._refuse_other(self._database())
        super().prepare(at)

    def _database(self) -> Database:
        found = address.of_this_server()
        if found is None:
            raise RestoreError("this server's configuration has no external SQL database (k3s_datastore_endpoint).")
        return found

    def _refuse_other(self, database: Database) -> None:
        """Raise RestoreError if the database has the data of another cluster than the archive's."""
        own = self.manifest["cluster"].get("uid")
        found = stored_objects.uid(database.value(NAMESPACE)) if database.has_table(TABLE) else ""
        if found and own and found != own:
            text = (
                "%s has another cluster (the UID of its namespace kube-system is %s, and %s in the archive). Name an "
                "empty database in k3s_datastore_endpoint."
            )
            raise RestoreError(text % (database, found, own))

    def _place_data(self, row: Row, _timeout: float) -> None:
        """Replace the rows of the database. Safe to repeat."""
        database = self._database()
        refuse_users(database)
        with sqlite.opened(self.built) as reader:
            newest = reader.execute("SELECT MAX(id) FROM kine").fetchone()[0]
            database.replace(_rows(reader), newest, kept_table(row), self.parts.place)

    def _counts(self, revision: int, _raised: int) -> Optional[Dict[str, int]]:
        """See OnSqlite."""
        return sqlite.counted(self._database().names(revision))


def _rows(reader: Any) -> Iterator[tuple[Optional[Any], ...]]:
    """Return the rows of the prepared database, values as bytes."""
    for row in reader.execute("SELECT %s FROM kine ORDER BY id" % COLUMNS):
        values = (value if value is None else sqlite.as_bytes(value) for value in row[7:])
        yield (*row[:7], *values)
