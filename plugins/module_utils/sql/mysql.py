# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""K3s's table in MySQL or MariaDB, through the client of either. Standard library only.

https://dev.mysql.com/doc/refman/8.4/en/option-files.html and https://mariadb.com/kb/en/mariadb-command-line-client/
"""

from __future__ import annotations

import os
from typing import Any, Dict, Iterator, List, Tuple

from .database import ACTIVE_SECONDS, COLUMNS, CONNECT_SECONDS, COPY_SECONDS, CURRENT, NEWEST, TOTAL, Database, Row

SOCKET = "/var/run/mysqld/mysqld.sock"
LOCK_SECONDS = 30
LOCK = "SET SESSION lock_wait_timeout = %d, SESSION innodb_lock_wait_timeout = %d;\n" % (LOCK_SECONDS, LOCK_SECONDS)
# kine makes these indexes only where it makes the table.
TABLE = """CREATE TABLE IF NOT EXISTS kine (
  id BIGINT UNSIGNED AUTO_INCREMENT, name VARCHAR(630) CHARACTER SET ascii, created INTEGER, deleted INTEGER,
  create_revision BIGINT UNSIGNED, prev_revision BIGINT UNSIGNED, lease INTEGER, value MEDIUMBLOB,
  old_value MEDIUMBLOB, PRIMARY KEY (id), INDEX kine_name_index (name), INDEX kine_name_id_index (name, id),
  INDEX kine_id_deleted_index (id, deleted), INDEX kine_prev_revision_index (prev_revision),
  UNIQUE INDEX kine_name_prev_revision_uindex (name, prev_revision));
"""
# A table that an old K3s made has smaller numbers: kine does this on request (schemaMigrations).
NUMBERS = """ALTER TABLE kine MODIFY COLUMN id BIGINT UNSIGNED AUTO_INCREMENT,
  MODIFY COLUMN create_revision BIGINT UNSIGNED, MODIFY COLUMN prev_revision BIGINT UNSIGNED;
"""
# The next row follows the highest one: InnoDB takes the next number that is free.
SEQUENCE = "ALTER TABLE kine AUTO_INCREMENT = 1;\n"
# Values of one statement: far below the smallest max_allowed_packet that holds a large object (kine's are 1.5 MiB).
BATCH = 500000


class MySQL(Database):
    """See Database."""

    engine = "MySQL"
    programs = ("mariadb", "mysql")
    packages = "mariadb-client or default-mysql-client (Debian), mariadb (Red Hat), mariadb-client (SUSE, Alpine)"

    def _called(self, program: str) -> Tuple[List[str], Dict[str, str]]:
        """See Database. Each client ignores the option for TLS of the other one."""
        own, files = self.login, self.login.files
        options = {"user": own.user, "connect-timeout": str(CONNECT_SECONDS), "default-character-set": "utf8mb4"}
        if own.hosts:
            host, port = own.hosts[0]
            options.update(host=host, port=str(port), protocol="tcp")
        else:
            options.update(socket=own.options.get("socket") or SOCKET, protocol="socket")
        if files:
            options.update({"ssl-ca": files.get("ca", ""), "ssl-cert": files.get("certificate", "")})
            options.update({"ssl-key": files.get("key", ""), "loose-ssl-mode": "VERIFY_IDENTITY"})
        given = ["--%s=%s" % (name, value) for name, value in options.items() if value]
        verify = ["--loose-ssl-verify-server-cert"] if files else []
        command = [program, "--no-defaults", "--batch", "--skip-column-names", "--quick", *given, *verify, own.name]
        # https://dev.mysql.com/doc/refman/8.4/en/environment-variables.html
        return command, {"MYSQL_PWD": own.password} if own.password else {}

    def _hex(self, column: str) -> str:
        """See Database."""
        return "HEX(%s)" % column

    def copied(self) -> str:
        """See Database."""
        columns = COLUMNS.replace("old_value", "HEX(OLD)").replace("value", "HEX(value)").replace("OLD", "old_value")
        columns = columns.replace("name", "HEX(name)")
        counts = "SELECT '%s', (SELECT COUNT(*) FROM kine), (SELECT COUNT(*) %s)" % (TOTAL, CURRENT % NEWEST)
        return (
            "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ;\n"
            "START TRANSACTION WITH CONSISTENT SNAPSHOT;\n"
            "SELECT %s, SHA2(CONCAT(COALESCE(value, ''), COALESCE(old_value, '')), 256) FROM kine ORDER BY id;\n"
            "%s;\nCOMMIT;\n" % (columns, counts)
        )

    def has_table(self, name: str) -> bool:
        """See Database."""
        question = (
            "SELECT COUNT(*) FROM information_schema.TABLES WHERE table_schema = DATABASE() AND table_name = '%s';"
        )
        return self.run(question % name) == "1"

    def users(self) -> List[str]:
        """See Database. Without the privilege PROCESS a user sees its own sessions, which are K3s's too."""
        question = (
            "SELECT DISTINCT LEFT(host, CHAR_LENGTH(host) - LOCATE(':', REVERSE(host))) FROM "
            "information_schema.PROCESSLIST WHERE db = DATABASE() AND id <> CONNECTION_ID() AND time < %d;"
        )
        return sorted(self.run(question % ACTIVE_SECONDS).splitlines())

    def replace(self, rows: Iterator[Row], newest: int, kept: str, workplace: str) -> None:
        """See Database. MySQL ends a transaction before it makes a table: the former rows are kept first, under another
        name until all of them are."""
        if not self.has_table(kept):
            part = kept + "_part"
            copy = "DROP TABLE IF EXISTS %s;\nCREATE TABLE %s LIKE kine;\nINSERT INTO %s SELECT * FROM kine;\n"
            rename = "RENAME TABLE %s TO %s;\n" % (part, kept)
            self.run(LOCK + TABLE + copy % (part, part, part) + rename, timeout=COPY_SECONDS)
        if self.newest() == newest:
            return
        script = os.path.join(workplace, "replace.sql")
        with open(os.open(script, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
            stream.write(LOCK + NUMBERS + "START TRANSACTION;\nDELETE FROM kine;\n")
            for statement in _inserted(rows):
                stream.write(statement)
            stream.write("COMMIT;\n" + SEQUENCE)
        with open(script, "rb") as source:
            self.run(source, timeout=COPY_SECONDS)
        os.unlink(script)

    def put_back(self, kept: str) -> None:
        """See Database."""
        copy = "START TRANSACTION;\nDELETE FROM kine;\nINSERT INTO kine SELECT * FROM %s;\nCOMMIT;\n" % kept
        self.run(LOCK + copy + SEQUENCE + "DROP TABLE %s;\n" % kept, timeout=COPY_SECONDS)


def _inserted(rows: Iterator[Row]) -> Iterator[str]:
    """Return the statements that insert rows, many in each."""
    start = "INSERT INTO kine (%s) VALUES\n" % COLUMNS
    batch: List[str] = []
    size = 0
    for row in rows:
        batch.append("(%s)" % ", ".join(_literal(value) for value in row))
        size += len(batch[-1])
        if size > BATCH:
            yield start + ",\n".join(batch) + ";\n"
            batch, size = [], 0
    if batch:
        yield start + ",\n".join(batch) + ";\n"


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(value)
    data = value.encode() if isinstance(value, str) else value
    return "X'%s'" % data.hex()
