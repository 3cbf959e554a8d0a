# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""etcd's own tools on a node, from the image of its static pod, and a scratch etcd to prove a snapshot with.

Nothing has to be installed, and the version is the cluster's. Standard library only.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import socket
import subprocess
import time
from typing import Iterator, List

from ..api import tls
from ..api.etcd import Etcd
from ..base import commands
from ..base.text_files import read_text
from ..node import paths
from .snapshot import SnapshotError

FOLDERS = ("usr/local/bin", "usr/bin", "bin", "")
CTR = [paths.PROGRAMS + "/ctr", "--address", paths.CONTAINERD_SOCKET, "--namespace", "k8s.io"]
IMAGE = "image"  # where it is mounted
START_SECONDS = 60
PR_SET_PDEATHSIG = 1
CERTIFICATES = paths.KUBERNETES + "/pki/etcd/"


def image(manifest: str = paths.MANIFESTS + "/etcd.yaml") -> str:
    """Return the image of the node's etcd, "" if it has none."""
    found = re.search(r"^\s*image:\s*[\"']?([^\s\"']+)", read_text(manifest), re.M)
    return found.group(1) if found else ""


class Tools:
    """etcd and etcdutl out of an image."""

    def __init__(self, root: str) -> None:
        self.etcd, self.etcdutl = (self._find(root, name) for name in ("etcd", "etcdutl"))

    @staticmethod
    def _find(root: str, name: str) -> str:
        for folder in FOLDERS:
            path = os.path.join(root, folder, name)
            if os.access(path, os.X_OK) and os.path.isfile(path):
                return path
        raise SnapshotError("the image of etcd has no program %s" % name)

    def restore(self, snapshot: str, data: str, options: List[str]) -> None:
        """Make a data directory out of a snapshot, whose SHA-256 is checked. Raise SnapshotError."""
        argv = [self.etcdutl, "snapshot", "restore", snapshot, "--data-dir", data, *options]
        done = commands.run(argv, timeout=900, clean=True)
        if done.rc:
            raise SnapshotError("etcdutl does not restore the snapshot: %s" % done.complaint(2))


@contextlib.contextmanager
def tools(reference: str, work: str) -> Iterator[Tools]:
    """Mount an image that the node has, read-only, below a directory of ours."""
    place = os.path.join(work, IMAGE)
    os.mkdir(place, 0o700)
    done = commands.run([*CTR, "images", "mount", reference, place], timeout=60, clean=True)
    try:
        if done.rc:
            raise SnapshotError("the image %s cannot be mounted: %s" % (reference, done.complaint(2)))
        yield Tools(place)
    finally:
        unmount(work)
        with contextlib.suppress(OSError):
            os.rmdir(place)


def unmount(work: str) -> None:
    """Unmount the image below a directory of ours."""
    commands.run([*CTR, "images", "unmount", "--rm", os.path.join(work, IMAGE)], timeout=60, clean=True)


@contextlib.contextmanager
def serving(own: Tools, data: str, certificates: str = CERTIFICATES, forced: bool = False) -> Iterator[Etcd]:
    """Run a scratch etcd on a restored data directory, on the loopback address and only for holders of the cluster's
    own client certificates. It ends with this process, and nothing else sees it.

    forced: the data are a copy of a member's, which becomes the only one of its cluster; log() has more of it then.
    """
    client, peer = _free_ports()
    url, tls_of = "https://127.0.0.1:%d", {name: certificates + name for name in ("server", "peer", "ca.crt")}
    argv = [own.etcd, "--name", "scratch", "--data-dir", data, "--unsafe-no-fsync"]
    argv += ["--listen-client-urls", url % client, "--advertise-client-urls", url % client]
    argv += ["--listen-peer-urls", url % peer, "--initial-advertise-peer-urls", url % peer]
    argv += ["--initial-cluster", "scratch=" + url % peer]
    argv += ["--cert-file", tls_of["server"] + ".crt", "--key-file", tls_of["server"] + ".key"]
    argv += ["--client-cert-auth", "--trusted-ca-file", tls_of["ca.crt"]]
    argv += ["--peer-cert-file", tls_of["peer"] + ".crt", "--peer-key-file", tls_of["peer"] + ".key"]
    argv += ["--peer-client-cert-auth", "--peer-trusted-ca-file", tls_of["ca.crt"]]
    argv += ["--force-new-cluster", "--log-level", "info"] if forced else ["--log-level", "error"]
    argv += ["--heartbeat-interval", "10", "--election-timeout", "100", "--quota-backend-bytes", str(64 << 30)]
    context = tls.from_files(
        tls_of["ca.crt"], certificates + "healthcheck-client.crt", certificates + "healthcheck-client.key"
    )
    with open(log(data), "wb") as log_file:
        process = subprocess.Popen(  # pylint: disable=ansible-bad-function  # module_utils do not import Ansible
            argv, stdout=log_file, stderr=log_file, stdin=subprocess.DEVNULL, preexec_fn=_end_with_parent,
            env=commands.environment(clean=True),
        )  # fmt: skip
    try:
        served = Etcd([url % client], context, timeout=30)
        _wait(served, process, log(data))
        yield served
    finally:
        process.kill()
        process.wait()


def log(data: str) -> str:
    """Return where the log of the scratch etcd of a data directory is."""
    return os.path.join(os.path.dirname(data), "scratch.log")


def _wait(served: Etcd, process: subprocess.Popen[bytes], written: str) -> None:
    """Wait until the scratch etcd answers. Raise SnapshotError."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            served.members()
            if int(served.own_status().get("leader") or 0):
                return
        except tls.NO_ANSWER as error:
            if process.poll() is not None or time.monotonic() > deadline:
                words = read_text(written).strip().splitlines()[-2:]
                text = "an etcd with these data does not start: %s"
                raise SnapshotError(text % (" ".join(words)[:400] or error)) from None
        time.sleep(0.1)


def _free_ports() -> List[int]:
    sockets = [socket.socket() for _number in range(2)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _end_with_parent() -> None:
    """In the child: end when this process ends, however it ends, and leave the processor to the cluster."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.nice(10)
