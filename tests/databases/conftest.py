# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real PostgreSQL and a real MariaDB with TLS on loopback, for as long as the tests run."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import pytest

sys.path[:0] = os.environ["ANSIBLE_COLLECTIONS_PATH"].split(":")

# With everything that a shell, a URL, an option file or SQL could take for something else.
PASSWORD = "p@ss:w/or\"d'%\\ $1"


def free_port():
    """Return a port of loopback that nobody has."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def certificates(place, owner):
    """Make an authority and a certificate for 127.0.0.1 and localhost, in a directory of this user."""

    def make(name, *more):
        new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"]
        command = [*new, "-keyout", f"{name}.key", "-out", f"{name}.crt", *more]
        subprocess.run(command, cwd=place, check=True, capture_output=True)

    place.mkdir(mode=0o755)
    make("ca", "-addext", "keyUsage=critical,keyCertSign")
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    make("tls", "-CA", "ca.crt", "-CAkey", "ca.key", "-addext", "basicConstraints=CA:false", "-addext", names)
    for path in (place, *place.iterdir()):
        shutil.chown(path, owner)


@contextlib.contextmanager
def running(command, place, ready):
    """Run a server until the end of the block. ready: a command that succeeds once it answers."""
    with open(place / "log", "wb") as log:
        process = subprocess.Popen([*map(str, command)], stdout=log, stderr=log, cwd=place)
        try:
            deadline = time.monotonic() + 60
            while subprocess.run(ready, capture_output=True, check=False, cwd=place).returncode:
                assert process.poll() is None and time.monotonic() < deadline, (place / "log").read_text()
                time.sleep(0.2)
            yield
        finally:
            process.terminate()
            process.wait()


@pytest.fixture(scope="session")
def postgresql():
    """address: as K3s's datastore-endpoint. ca: of its certificate. admin(statements): runs them as administrator."""
    programs = max(Path("/usr/lib/postgresql").iterdir(), key=lambda path: int(path.name)) / "bin"
    place = Path("/tmp", f"kubewright-postgresql-{os.getpid()}")
    try:
        certificates(place, "postgres")
        user, port = ["runuser", "-u", "postgres", "--"], free_port()
        made = [*user, programs / "initdb", "-D", place / "data", "--auth-local=trust", "--auth-host=scram-sha-256"]
        subprocess.run(made, check=True, capture_output=True, cwd=place)
        settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": place, "ssl": "on",
                    "ssl_cert_file": place / "tls.crt", "ssl_key_file": place / "tls.key"}  # fmt: skip
        given = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        psql = [*user, "psql", "-X", "-q", "-h", str(place), "-p", str(port), "-v", "ON_ERROR_STOP=1", "-At"]

        def admin(statements, database="postgres"):
            done = subprocess.run(
                [*psql, database], input=statements, text=True, check=True, capture_output=True, cwd=place
            )
            return done.stdout.strip()

        with running([*user, programs / "postgres", "-D", place / "data", *given], place, [*psql, "-c", "SELECT 1"]):
            text = PASSWORD.replace("'", "''")
            admin(f"CREATE ROLE k3s LOGIN PASSWORD '{text}';\nCREATE DATABASE k3s OWNER k3s;")
            address = f"postgres://k3s:{quote(PASSWORD, safe='')}@localhost:{port}/k3s"
            yield SimpleNamespace(address=address, ca=str(place / "ca.crt"), admin=admin)
    finally:
        shutil.rmtree(place)


@pytest.fixture(scope="session")
def mariadb():
    """See postgresql."""
    place = Path("/tmp", f"kubewright-mariadb-{os.getpid()}")
    try:
        certificates(place, "mysql")
        install = ["mariadb-install-db", "--no-defaults", "--user=mysql", f"--datadir={place}/data", "--skip-test-db"]
        subprocess.run(install, check=True, capture_output=True)
        port = free_port()
        command = ["mariadbd", "--no-defaults", "--user=mysql", f"--datadir={place}/data", f"--socket={place}/socket",
                   f"--port={port}", "--bind-address=127.0.0.1", f"--pid-file={place}/pid",
                   "--require-secure-transport=on", f"--ssl-cert={place}/tls.crt",
                   f"--ssl-key={place}/tls.key"]  # fmt: skip
        client = ["mariadb", "--no-defaults", f"--socket={place}/socket", "--batch", "--skip-column-names"]

        def admin(statements, database="mysql"):
            done = subprocess.run([*client, database], input=statements, text=True, check=True, capture_output=True)
            return done.stdout.strip()

        with running(command, place, [*client, "-e", "SELECT 1"]):
            text = PASSWORD.replace("\\", "\\\\").replace("'", "''")
            admin(f"CREATE DATABASE k3s;\nCREATE USER k3s IDENTIFIED BY '{text}';\nGRANT ALL ON k3s.* TO k3s;")
            address = f"mysql://k3s:{PASSWORD}@tcp(localhost:{port})/k3s"
            yield SimpleNamespace(address=address, ca=str(place / "ca.crt"), admin=admin)
    finally:
        shutil.rmtree(place)
