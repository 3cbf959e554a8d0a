# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The external SQL database of a K3s server, by its configuration. Standard library only.

Forms of addresses: https://docs.k3s.io/datastore#datastore-endpoint-format-and-functionality
"""

from __future__ import annotations

import re
from typing import Dict, Optional, Tuple
from urllib.parse import parse_qs, unquote, urlsplit

from ..k3s import datastore
from ..node import paths
from .database import Database, DatabaseError, Login
from .mysql import MySQL
from .postgresql import PostgreSQL

# What kine takes for what an address does not say: defaultDSN of pgsql.go and mysql.go.
DATABASE = "kubernetes"
FILES = {"ca": "cafile", "certificate": "certfile", "key": "keyfile"}
_MYSQL = re.compile(r"(?:(.*)@)?(?:(tcp|unix)\(([^()]*)\))?/([^/?]*)(?:\?(.*))?", re.S)


def of_this_server() -> Optional[Database]:
    """Return the SQL database of this server's configuration, None if it has none. Raise DatabaseError."""
    address = datastore.configured("endpoint", paths.K3S_SECRETS)
    files = {name: datastore.configured(key, paths.K3S_CONFIG) for name, key in FILES.items()}
    return parsed(address, {name: path for name, path in files.items() if path})


def parsed(address: str, files: Dict[str, str]) -> Optional[Database]:
    """Return the database of an address, None if it is not one of SQL. files: for TLS. Raise DatabaseError."""
    scheme, _slashes, rest = address.partition("://")
    if scheme in ("postgres", "postgresql"):
        return PostgreSQL(_postgresql(rest or "postgres:postgres@localhost/", files))
    if scheme == "mysql":
        return MySQL(_mysql(rest or "root@unix(/var/run/mysqld/mysqld.sock)/", files))
    return None


def _postgresql(rest: str, files: Dict[str, str]) -> Login:
    parts = urlsplit("postgres://" + rest)
    options = {name: values[0] for name, values in parse_qs(parts.query).items()}
    user, _colon, password = parts.netloc.rpartition("@")[0].partition(":")
    hosts = [_place(host, 5432) for host in parts.netloc.rpartition("@")[2].split(",") if host]
    # kine writes the name in small letters, too.
    name = unquote(parts.path.strip("/")).lower() or DATABASE
    return Login(hosts, name, unquote(user), unquote(password), files, options)


def _mysql(rest: str, files: Dict[str, str]) -> Login:
    found = _MYSQL.fullmatch(rest)
    if not found:
        raise DatabaseError("datastore-endpoint in %s is not an address of MySQL" % paths.K3S_SECRETS)
    user, _colon, password = (found.group(1) or "").partition(":")
    name, place = found.group(4) or DATABASE, found.group(3)
    if found.group(2) == "unix":
        return Login([], name, user, password, files, {"socket": place})
    return Login([_place(place or "127.0.0.1", 3306)], name, user, password, files, {})


def _place(text: str, port: int) -> Tuple[str, int]:
    found = re.fullmatch(r"(?:\[([^\]]+)\]|([^:]+))(?::([0-9]+))?", text)
    if not found:
        raise DatabaseError("datastore-endpoint in %s has no host and port" % paths.K3S_SECRETS)
    return found.group(1) or found.group(2), int(found.group(3) or port)
