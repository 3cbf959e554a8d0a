# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table in which K3s's kine keeps a cluster in an external SQL database, through the database's own client program.

Standard library only. The table is the one of SQLite (backup/sqlite.py): a row is a revision of an object. Columns and
statements: pkg/drivers/pgsql/pgsql.go and pkg/drivers/mysql/mysql.go of https://github.com/k3s-io/kine
"""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from ..base import commands

COLUMNS = "id, name, created, deleted, create_revision, prev_revision, lease, value, old_value"
# The newest row of each name, unless it says that the object was deleted.
CURRENT = "FROM kine WHERE id IN (SELECT MAX(id) FROM kine WHERE id <= %d GROUP BY name) AND deleted = 0"
NEWEST = (1 << 62) - 1
TOTAL = "total"
# A K3s that runs asks its database once a second (kine, pkg/logstructured/sqllog/sql.go); one that is dead leaves a
# session which may last for hours.
ACTIVE_SECONDS = 10
ASK_SECONDS, COPY_SECONDS = 60, 3600
CONNECT_SECONDS = 10
Row = Tuple[Any, ...]


class DatabaseError(Exception):
    """The database does not do what is asked. The message says why, without secrets."""


class Login(NamedTuple):
    """How the database is reached. hosts: of "host:port", [] for a local socket. files: {ca, certificate, key} for TLS.

    options: of the address, by name.
    """

    hosts: List[Tuple[str, int]]
    name: str
    user: str
    password: str
    files: Dict[str, str]
    options: Dict[str, str]


class Database(ABC):
    """An SQL database of K3s. Each engine says how its client is called, and what its statements are."""

    engine = ""
    programs: Tuple[str, ...] = ()
    # Packages that have it, by system family.
    packages = ""
    null = "NULL"

    def __init__(self, login: Login) -> None:
        self.login = login

    def __str__(self) -> str:
        places = ", ".join("%s:%d" % place for place in self.login.hosts) or "a local socket"
        return "%s at %s, database %s" % (self.engine, places, self.login.name)

    # -- what an engine says ---------------------------------------------------------------------------------------

    @abstractmethod
    def _called(self, program: str) -> Tuple[List[str], Dict[str, str]]:
        """Return (command, environment) of the client, which reads statements from its input."""

    @abstractmethod
    def _hex(self, column: str) -> str:
        """Return the expression that writes a column in hexadecimal digits."""

    @abstractmethod
    def copied(self) -> str:
        """Return the statements that write all rows in one transaction, each with its SHA-256, and then TOTAL."""

    @abstractmethod
    def has_table(self, name: str) -> bool:
        """Return True if the database has a table."""

    @abstractmethod
    def users(self) -> List[str]:
        """Return the addresses from which others use this database now."""

    @abstractmethod
    def replace(self, rows: Iterator[Row], newest: int, kept: str, workplace: str) -> None:
        """Replace what the table kine has. newest: the highest ID of the rows. kept: the table that gets the former
        rows. workplace: a directory for root only. Safe to repeat."""

    @abstractmethod
    def put_back(self, kept: str) -> None:
        """Replace what the table kine has by what another table keeps, and remove that."""

    # -- the client ------------------------------------------------------------------------------------------------

    def program(self) -> str:
        """Return the path of the client program. Raise DatabaseError if this node does not have it."""
        places = commands.environment()["PATH"]
        found = next((path for path in (shutil.which(name, path=places) for name in self.programs) if path), None)
        if not found:
            text = "this node does not have the program %s, which reads the database. Install %s"
            raise DatabaseError(text % (" or ".join(self.programs), self.packages))
        return found

    def run(self, script: Any, output: Optional[str] = None, timeout: float = ASK_SECONDS) -> str:
        """Run statements. script: text, or a file that is open to be read. output: the file that gets the answer.

        Return the answer, "" with such a file. Raise DatabaseError. Logins are neither arguments nor in messages.
        """
        command, environment = self._called(self.program())
        if output is None:
            done = commands.run(command, timeout, script, environment, clean=True)
        else:
            with open(output, "wb") as stream:
                done = commands.run(command, timeout, script, environment, clean=True, stdout=stream)
        if done.rc:
            raise DatabaseError("%s: %s" % (self, done.complaint(3)))
        return done.out.strip()

    def size(self) -> int:
        """Return the size of all values, in bytes."""
        values = "COALESCE(LENGTH(value), 0) + COALESCE(LENGTH(old_value), 0)"
        return int(self.run("SELECT COALESCE(SUM(%s), 0) FROM kine;" % values))

    def names(self, at: int = NEWEST) -> List[str]:
        """Return the names of all objects at a revision."""
        return self.run("SELECT name %s;" % (CURRENT % at)).splitlines()

    def newest(self) -> int:
        """Return the highest ID of a row, 0 if there is none."""
        return int(self.run("SELECT COALESCE(MAX(id), 0) FROM kine;") or 0)

    def value(self, name: str) -> bytes:
        """Return the value of an object, b"" if there is none. name: without quotes."""
        question = "SELECT %s %s AND name = '%s';" % (self._hex("value"), CURRENT % NEWEST, name)
        return bytes.fromhex(self.run(question))
