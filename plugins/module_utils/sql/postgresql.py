# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""K3s's table in PostgreSQL, through psql. Standard library only.

https://www.postgresql.org/docs/current/libpq-envars.html and https://www.postgresql.org/docs/current/sql-copy.html
"""

from __future__ import annotations

import os
from typing import Any, Dict, Iterator, List, Tuple

from .database import ACTIVE_SECONDS, COLUMNS, CONNECT_SECONDS, COPY_SECONDS, CURRENT, NEWEST, TOTAL, Database, Row

LOCK_SECONDS = 30
TABLE = """CREATE TABLE IF NOT EXISTS kine (
  id BIGSERIAL PRIMARY KEY, name text COLLATE "C", created INTEGER, deleted INTEGER, create_revision BIGINT,
  prev_revision BIGINT, lease INTEGER, value bytea, old_value bytea);
"""
# A table that an old K3s made has smaller numbers: kine does this on request (schemaMigrations).
NUMBERS = """ALTER TABLE kine ALTER COLUMN id SET DATA TYPE BIGINT, ALTER COLUMN create_revision SET DATA TYPE BIGINT,
  ALTER COLUMN prev_revision SET DATA TYPE BIGINT;
ALTER SEQUENCE kine_id_seq AS BIGINT;
"""
SEQUENCE = "SELECT setval('kine_id_seq', GREATEST((SELECT MAX(id) FROM kine), 1));\n"
BEGIN = "BEGIN;\nSET LOCAL lock_timeout = '%ds';\n" % LOCK_SECONDS
# Options of an address (https://pkg.go.dev/github.com/jackc/pgx/v5/pgconn#ParseConfig) that libpq has too.
OPTIONS = {
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "channel_binding": "PGCHANNELBINDING",
}


class PostgreSQL(Database):
    """See Database."""

    engine = "PostgreSQL"
    programs = ("psql",)
    packages = "postgresql-client (Debian, Alpine) or postgresql (Red Hat, SUSE)"
    null = "\\N"

    def _called(self, program: str) -> Tuple[List[str], Dict[str, str]]:
        """See Database."""
        own, files = self.login, self.login.files
        found = {"PGDATABASE": own.name, "PGUSER": own.user, "PGPASSWORD": own.password}
        found["PGHOST"] = ",".join(host for host, _port in own.hosts) or own.options.get("host", "")
        found["PGPORT"] = ",".join(str(port) for _host, port in own.hosts)
        found["PGSSLROOTCERT"], found["PGSSLCERT"] = files.get("ca", ""), files.get("certificate", "")
        found["PGSSLKEY"] = files.get("key", "")
        # As kine does it (pgsql.go, prepareConfig).
        found["PGSSLMODE"] = "verify-full" if files else ""
        found.update({variable: own.options[name] for name, variable in OPTIONS.items() if own.options.get(name)})
        if own.options.get("search_path"):
            found["PGOPTIONS"] = "-c search_path=%s" % own.options["search_path"].replace(" ", "\\ ")
        found["PGCONNECT_TIMEOUT"] = str(CONNECT_SECONDS)
        # Nothing of root's own: no ~/.psqlrc, no password of another database.
        found.update(PGPASSFILE="/dev/null", PGCLIENTENCODING="UTF8", HOME="/nonexistent")
        command = [program, "-X", "-q", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1", "-f", "-"]
        return command, {name: text for name, text in found.items() if text}

    def _hex(self, column: str) -> str:
        """See Database."""
        return "encode(%s, 'hex')" % column

    def copied(self) -> str:
        """See Database."""
        both = "coalesce(value, ''::bytea) || coalesce(old_value, ''::bytea)"
        columns = COLUMNS.replace("name", "encode(convert_to(name, 'UTF8'), 'hex')")
        columns = columns.replace("old_value", "OLD").replace("value", self._hex("value"))
        columns = columns.replace("OLD", self._hex("old_value"))
        counts = "SELECT '%s', (SELECT COUNT(*) FROM kine), (SELECT COUNT(*) %s)" % (TOTAL, CURRENT % NEWEST)
        return (
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;\n"
            "COPY (SELECT %s, encode(sha256(%s), 'hex') FROM kine ORDER BY id) TO STDOUT;\n"
            "COPY (%s) TO STDOUT;\nCOMMIT;\n" % (columns, both, counts)
        )

    def has_table(self, name: str) -> bool:
        """See Database."""
        return self.run("SELECT to_regclass('%s') IS NOT NULL;" % name) == "t"

    def users(self) -> List[str]:
        """See Database."""
        question = (
            "SELECT DISTINCT coalesce(host(client_addr), 'a local socket') FROM pg_stat_activity WHERE "
            "datname = current_database() AND pid <> pg_backend_pid() AND client_port IS NOT NULL "
            "AND state_change > now() - interval '%d s';"
        )
        return sorted(self.run(question % ACTIVE_SECONDS).splitlines())

    def replace(self, rows: Iterator[Row], newest: int, kept: str, workplace: str) -> None:
        """See Database. All of it is one transaction, so the table that keeps the former rows says that it is done."""
        if self.has_table(kept):
            return
        script = os.path.join(workplace, "replace.sql")
        with open(os.open(script, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
            stream.write(BEGIN + TABLE)
            stream.write("LOCK TABLE kine IN ACCESS EXCLUSIVE MODE;\nCREATE TABLE %s AS TABLE kine;\n" % kept)
            stream.write("TRUNCATE kine;\n" + NUMBERS + "COPY kine (%s) FROM STDIN;\n" % COLUMNS)
            for row in rows:
                stream.write("\t".join(self._field(value) for value in row) + "\n")
            stream.write("\\.\n" + SEQUENCE + "COMMIT;\n")
        with open(script, "rb") as source:
            self.run(source, timeout=COPY_SECONDS)
        os.unlink(script)

    def _field(self, value: Any) -> str:
        """Return a value in the text format of COPY."""
        if value is None:
            return self.null
        if isinstance(value, bytes):
            return "\\\\x" + value.hex()
        text = str(value).replace("\\", "\\\\")
        return text.replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")

    def put_back(self, kept: str) -> None:
        """See Database."""
        copy = "INSERT INTO kine (%s) SELECT %s FROM %s;\n" % (COLUMNS, COLUMNS, kept)
        lock = "LOCK TABLE kine IN ACCESS EXCLUSIVE MODE;\nTRUNCATE kine;\n"
        self.run(BEGIN + lock + copy + SEQUENCE + "DROP TABLE %s;\nCOMMIT;\n" % kept, timeout=COPY_SECONDS)
