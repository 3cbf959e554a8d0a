# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates of a kubeadm node: when they end, which are served, and which a process has not read yet.

Standard library only. https://kubernetes.io/docs/setup/best-practices/certificates/
"""

from __future__ import annotations

import base64
import glob
import hashlib
import os
import re
import socket
import ssl
from typing import Dict, List, NamedTuple, Tuple

from ..base.text_files import read_text
from ..node import paths
from ..node.services import started_at
from . import tls

KUBECONFIGS = ("admin.conf", "super-admin.conf", "controller-manager.conf", "scheduler.conf")
# What `kubeadm certs renew NAME` renews, and the authority that signs it (cmd/kubeadm/app/phases/certs/certlist.go,
# cmd/kubeadm/app/phases/certs/renewal/manager.go of kubernetes/kubernetes).
AUTHORITIES = {
    "apiserver": "ca",
    "apiserver-kubelet-client": "ca",
    **dict.fromkeys(KUBECONFIGS, "ca"),
    "front-proxy-client": "front-proxy-ca",
    "apiserver-etcd-client": "etcd-ca",
    "etcd-healthcheck-client": "etcd-ca",
    "etcd-peer": "etcd-ca",
    "etcd-server": "etcd-ca",
}
# Which static pod reads which of them. Nobody keeps the others open: kubectl and probes read them at each call.
READ_BY = {
    "etcd": ("etcd-server", "etcd-peer"),
    "kube-apiserver": ("apiserver", "apiserver-kubelet-client", "apiserver-etcd-client", "front-proxy-client"),
    "kube-controller-manager": ("controller-manager.conf",),
    "kube-scheduler": ("scheduler.conf",),
}
# The API server reads its serving certificate again when the file changes, and `site` may write it without a restart.
READ_AGAIN = ("apiserver",)
# An argument that only a static pod's process has, unlike one of the same name, such as in a nested cluster.
ARGUMENTS = {
    "etcd": "--data-dir=" + paths.ETCD_DATA,
    "kube-apiserver": "--tls-cert-file=%s/pki/apiserver.crt" % paths.KUBERNETES,
    "kube-controller-manager": "--kubeconfig=%s/controller-manager.conf" % paths.KUBERNETES,
    "kube-scheduler": "--kubeconfig=%s/scheduler.conf" % paths.KUBERNETES,
}
SERVED_SECONDS = 3


class Certificate(NamedTuple):
    """A certificate. begins, expires: seconds since 1970. serial: in hexadecimal. digest: its SHA-256."""

    begins: int
    expires: int
    serial: str
    digest: str

    @property
    def life(self) -> int:
        """Return how long it is valid in all, in seconds."""
        return self.expires - self.begins


class Served(NamedTuple):
    """A certificate file, and what is served at a port of the node. serial: "" if nothing answers there."""

    component: str
    name: str
    address: str
    port: int
    serial: str
    is_files: bool


def path_of(name: str, root: str = "") -> str:
    """Return the file of a certificate, by the name that kubeadm has for it."""
    place = root + paths.KUBERNETES
    if name.endswith(".conf"):
        return "%s/%s" % (place, name)
    folder, file = ("pki/etcd", name[len("etcd-") :]) if name.startswith("etcd-") else ("pki", name)
    return "%s/%s/%s.crt" % (place, folder, file)


def parsed(text: str) -> Certificate | None:
    """Return the first certificate in a PEM text, None if there is none that can be read."""
    found = re.search("-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\\s]+-----END CERTIFICATE-----", text)
    if not found:
        return None
    try:
        content = ssl.PEM_cert_to_DER_cert(found.group(0))
        with tls.MemoryFile(found.group(0).encode() + b"\n") as name:
            # Python has no public function that reads a certificate.
            parts = ssl._ssl._test_decode_cert(name)  # type: ignore[attr-defined]
        begins, expires = (int(ssl.cert_time_to_seconds(parts[key])) for key in ("notBefore", "notAfter"))
    except (OSError, ValueError, KeyError, AttributeError):
        return None
    return Certificate(begins, expires, str(parts.get("serialNumber", "")), hashlib.sha256(content).hexdigest())


def in_kubeconfig(text: str) -> str:
    """Return the client certificate in a kubeconfig as PEM, "" if it has none in itself."""
    data = re.search(r"\bclient-certificate-data:\s*[\"']?([A-Za-z0-9+/=]+)", text)
    try:
        return base64.b64decode(data.group(1)).decode("ascii") if data else ""
    except ValueError:
        return ""


def read(path: str) -> Certificate | None:
    """Return the certificate in a file, which may be a kubeconfig; None if it cannot be read."""
    text = read_text(path)
    return parsed(in_kubeconfig(text) if path.endswith(".conf") else text)


def served_at(address: str, port: int, client: Tuple[str, str] | None = None) -> Certificate | None:
    """Return the certificate that is served at a port, None if nothing answers.

    It need not be valid: expired ones are looked at too. client: (certificate, key) files to present; etcd logs an
    error for each connection without one.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        if client:
            context.load_cert_chain(*client)
        with socket.create_connection((address, port), SERVED_SECONDS) as plain, context.wrap_socket(plain) as channel:
            content = channel.getpeercert(binary_form=True)
    except (OSError, ValueError):
        return None
    return parsed(ssl.DER_cert_to_PEM_cert(content)) if content else None


def argument(manifest: str, name: str) -> str:
    """Return the value of an argument in the text of a static pod's manifest, "" if it has none."""
    found = re.search(r"--%s[=\s][\"']?([^\s\"']+)" % name, manifest)
    return found.group(1) if found else ""


def endpoints(root: str = "") -> List[Tuple[str, str, str, int]]:
    """Return (component, name of the certificate, address, port) of what this control plane serves from files."""
    place = root + paths.MANIFESTS
    api, etcd = (read_text("%s/%s.yaml" % (place, name)) for name in ("kube-apiserver", "etcd"))
    found: List[Tuple[str, str, str, int]] = []
    if api:
        port = argument(api, "secure-port")
        address = argument(api, "advertise-address") or "127.0.0.1"
        found.append(("kube-apiserver", "apiserver", address, int(port) if port.isdigit() else paths.API_PORT))
    for name, flag, usual in (
        ("etcd-server", "listen-client-urls", paths.ETCD_PORT),
        ("etcd-peer", "listen-peer-urls", paths.ETCD_PEER_PORT),
    ):
        url = re.match(r"https://(\[[^\]]+\]|[^:/,]+):(\d+)", argument(etcd, flag))
        if etcd:
            found.append(
                ("etcd", name, *((url.group(1).strip("[]"), int(url.group(2))) if url else ("127.0.0.1", usual)))
            )
    return found


def served(root: str = "") -> List[Served]:
    """Return what this control plane serves, beside the files."""
    found = []
    for component, name, address, port in endpoints(root):
        own, path = None, path_of(name, root)
        if component == "etcd":
            own = (path_of("etcd-peer", root), path_of("etcd-peer", root)[: -len("crt")] + "key")
        there, file = served_at(address, port, own), read(path)
        same = there is not None and file is not None and there.digest == file.digest
        found.append(Served(component, name, address, port, there.serial if there else "", same))
    return found


def processes(proc: str = "/proc") -> Dict[str, float]:
    """Return when the running process of each static pod started, in seconds since 1970.

    Only processes in this one's network are looked at: static pods use the host's.
    """
    found: Dict[str, float] = {}
    own = _network(proc + "/self")
    for path in glob.glob(proc + "/[0-9]*/cmdline"):
        words = read_text(path).split("\0")
        name = os.path.basename(words[0])
        if ARGUMENTS.get(name) in words and _network(os.path.dirname(path)) == own:
            started = started_at(path.split("/")[-2], proc)
            found[name] = max(started, found.get(name, 0.0))
    return {name: started for name, started in found.items() if started}


def _network(process: str) -> str:
    try:
        return os.readlink(process + "/ns/net")
    except OSError:
        return ""


def outdated(root: str = "", proc: str = "/proc") -> Dict[str, str]:
    """Return why a static pod of this control plane does not use the certificates in its files, by its name.

    One that does not run is not in it: it reads the files when it starts.
    """
    found: Dict[str, str] = {}
    for row in served(root):
        if row.serial and not row.is_files:
            text = "serves another certificate at port %d than the one in %s"
            found[row.component] = text % (row.port, path_of(row.name))
    for component, started in processes(proc).items():
        for name in READ_BY[component]:
            written = _written(path_of(name, root))
            if name not in READ_AGAIN and written > started:
                found.setdefault(component, "was started before %s was written" % path_of(name))
    return found


def _written(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0
