# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let the certificates of a kubeadm cluster expire: each is replaced by one that ended three days ago. Keys stay."""

from __future__ import annotations

import base64
import datetime
import re

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

PKI = "/etc/kubernetes/pki/"
# Certificates by the authority that signs them, as files of a control plane.
FILES = {
    "ca": [PKI + "apiserver.crt", PKI + "apiserver-kubelet-client.crt"],
    "front-proxy-ca": [PKI + "front-proxy-client.crt"],
    "etcd/ca": [
        PKI + "apiserver-etcd-client.crt",
        *(PKI + "etcd/%s.crt" % name for name in ("server", "peer", "healthcheck-client")),
    ],
}
KUBECONFIGS = ["/etc/kubernetes/%s.conf" % name for name in ("admin", "controller-manager", "scheduler")]
KUBELET = "/var/lib/kubelet/pki/kubelet-client-current.pem"


def expired(pem: str, authority: str, key: str) -> str:
    """Return a certificate as it would be three days after its end, signed by the authority. All as PEM."""
    leaf = x509.load_pem_x509_certificate(pem.encode())
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)
    builder = x509.CertificateBuilder(
        x509.load_pem_x509_certificate(authority.encode()).subject,
        leaf.subject,
        leaf.public_key(),
        x509.random_serial_number(),
        now - 368 * day,
        now - 3 * day,
    )
    for extension in leaf.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    signer = serialization.load_pem_private_key(key.encode(), None)
    return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def expire(planes, workers, read, write) -> None:
    """Replace every certificate of the nodes. read(host, path) returns a text, write(host, path, text) sets it."""
    first = list(planes)[0]
    authorities = {name: (read(first, PKI + name + ".crt"), read(first, PKI + name + ".key")) for name in FILES}
    for host in planes:
        for name, paths in FILES.items():
            for path in paths:
                write(host, path, expired(read(host, path), *authorities[name]))
        for path in KUBECONFIGS:
            text = read(host, path)
            old = re.search(r"client-certificate-data: (\S+)", text)[1]
            new = expired(base64.b64decode(old).decode(), *authorities["ca"])
            write(host, path, text.replace(old, base64.b64encode(new.encode()).decode()))
    for host in [*planes, *workers]:
        text = read(host, KUBELET)
        old = re.search("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", text, re.S)[0]
        write(host, KUBELET, text.replace(old, expired(old, *authorities["ca"])))
