# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real S3 server (versitygw, with TLS) and a real sshd, on loopback, for as long as the tests run."""

from __future__ import annotations

import contextlib
import getpass
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

LAB = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(LAB))

from lablib import catalog, gobuild  # noqa: E402  # found through the line above

ACCESS, SECRET, REGION = "kubewright-tests", "secret-of-the-tests", "eu-test-1"
NEW = ("-newkey", "rsa:2048", "-nodes")


def free_port():
    """Return a port of loopback that nobody has."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait_for(port, process):
    """Wait until a server accepts connections."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise AssertionError(f"nothing listens at {port}")


def openssl(*arguments):
    """Run openssl."""
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def certificate(place):
    """Return the paths of a certificate of 127.0.0.1, which is its own authority, and of its key."""
    crt, key = place / "tls.crt", place / "tls.key"
    names = ("-subj", "/CN=tests", "-addext", "subjectAltName=IP:127.0.0.1")
    openssl("req", "-x509", *NEW, *names, "-keyout", key, "-out", crt)
    return crt, key


@pytest.fixture(scope="session")
def program():
    """The S3 server, built like the lab's other programs."""
    version, arch = catalog.versions()["versitygw"], catalog.host_arch()
    with catalog.locked("build"):
        if gobuild.built("versitygw", version, arch) != gobuild.key("versitygw", version):
            catalog.cache("build").mkdir(parents=True, exist_ok=True)
            gobuild.build("versitygw", version, arch)
    return gobuild.folder("versitygw", version, arch) / "versitygw"


@pytest.fixture(scope="session")
def s3_server(program, tmp_path_factory):
    """settings: of a destination. data: the directory with the buckets."""
    place = tmp_path_factory.mktemp("s3")
    data, beside = place / "data", place / "metadata"
    data.mkdir()
    beside.mkdir()
    crt, key = certificate(place)
    port = free_port()
    argv = [program, "--port", f"127.0.0.1:{port}", "--region", REGION, "--cert", crt, "--key", key, "--quiet"]
    environment = {**os.environ, "ROOT_ACCESS_KEY": ACCESS, "ROOT_SECRET_KEY": SECRET}
    with (
        open(place / "log", "wb") as log,
        subprocess.Popen(
            [*map(str, argv), "posix", "--sidecar", str(beside), str(data)], stdout=log, stderr=log, env=environment
        ) as process,
    ):
        try:
            wait_for(port, process)
            yield SimpleNamespace(
                data=data,
                settings={
                    "endpoint": f"https://127.0.0.1:{port}",
                    "bucket": "backups",
                    "prefix": "a b/prod",
                    "region": REGION,
                    "access_key": ACCESS,
                    "secret_key": SECRET,
                    "ca": crt.read_text(),
                },
            )
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def ssh_server(tmp_path_factory):
    """settings: of a destination, without its path. other_key: one that the server does not know."""
    place = tmp_path_factory.mktemp("ssh")
    for name in ("host", "client", "other"):
        made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(place / name)]
        subprocess.run(made, check=True)
    (place / "authorized").write_text((place / "client.pub").read_text())
    port = free_port()
    (place / "config").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {place}/host\nAuthorizedKeysFile {place}/authorized\n"
        "StrictModes no\nUsePAM no\nPidFile none\nSubsystem sftp internal-sftp\nPermitRootLogin prohibit-password\n"
    )
    if os.geteuid() == 0:
        os.makedirs("/run/sshd", exist_ok=True)
    with (
        open(place / "log", "wb") as log,
        subprocess.Popen(
            ["/usr/sbin/sshd", "-D", "-e", "-f", str(place / "config")], stdout=log, stderr=log
        ) as process,
    ):
        try:
            wait_for(port, process)
            line = "[127.0.0.1]:%d %s"
            yield SimpleNamespace(
                process=process,
                other_key=(place / "other").read_text(),
                other_host=line % (port, (place / "other.pub").read_text()),
                settings={
                    "host": "127.0.0.1",
                    "port": port,
                    "user": getpass.getuser(),
                    "key": (place / "client").read_text(),
                    "known_hosts": line % (port, (place / "host.pub").read_text()),
                },
            )
        finally:
            process.terminate()
