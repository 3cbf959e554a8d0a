# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the kubelet of this node about itself. Its Node object is up to 40 seconds old. Standard library only.

It serves a certificate that it makes when it has none, valid for a year, and does not make again before it is deleted
(https://github.com/kubernetes/kubernetes/issues/99418). With serverTLSBootstrap it asks the cluster for one, which is
not signed before somebody approves it:
https://kubernetes.io/docs/tasks/administer-cluster/kubeadm/kubeadm-certs/#kubelet-serving-certs

https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/ (healthzPort, healthzBindAddress)
"""

from __future__ import annotations

import http.client
import os
import socket
from typing import NamedTuple

from ..node import paths
from . import certificates

LOOPBACKS = ("127.0.0.1", "::1")
SELF_SIGNED, SIGNED, GIVEN, NONE = "self_signed", "signed", "given", "none"
# The end of a file that the kubelet will make again, until it has.
FORMER = ".former"


class Serving(NamedTuple):
    """What the kubelet serves.

    kind: SELF_SIGNED, SIGNED by the cluster, GIVEN by tlsCertFile, or NONE. begins, expires: seconds since 1970.
    waits: its files are gone or others, so that it has to be restarted.
    """

    kind: str
    begins: int = 0
    expires: int = 0
    waits: bool = False


def health_problem(timeout: float = 3) -> str:
    """Return why the kubelet is not healthy, "" if it is. timeout: seconds to wait for its answer.

    With K3s it listens at ::1 if the node's first address is IPv6: pkg/daemons/agent/agent.go (kubeletArgs).
    """
    problem = _problem_at("127.0.0.1", timeout)
    return problem if problem and _problem_at("::1", timeout) else ""


def _problem_at(address: str, timeout: float) -> str:
    connection = http.client.HTTPConnection(address, paths.KUBELET_HEALTH_PORT, timeout=timeout)
    try:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        if answer.status != 200:
            return "HTTP %d %s" % (answer.status, answer.read(200).decode("utf-8", "replace").strip())
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    finally:
        connection.close()
    return ""


def serving(root: str = "") -> Serving | None:
    """Return what the kubelet serves; None if it does not answer."""
    there = served()
    if there is None:
        return Serving(NONE) if _takes_connections() else None
    own = paths.KUBELET_SERVING[0]
    if there.digest in (_digest(root + own), _digest(root + own + FORMER)):
        whole = all(os.path.exists(root + path) for path in paths.KUBELET_SERVING)
        return Serving(SELF_SIGNED, there.begins, there.expires, not whole or _digest(root + own) != there.digest)
    kind = SIGNED if there.digest == _digest(root + paths.KUBELET_SIGNED_SERVING) else GIVEN
    return Serving(kind, there.begins, there.expires)


def served() -> certificates.Certificate | None:
    """Return the certificate that the kubelet serves, None if it serves none."""
    found = (certificates.served_at(address, paths.KUBELET_PORT) for address in LOOPBACKS)
    return next((one for one in found if one), None)


def _digest(path: str) -> str:
    found = certificates.read(path)
    return found.digest if found else ""


def _takes_connections() -> bool:
    for address in LOOPBACKS:
        try:
            socket.create_connection((address, paths.KUBELET_PORT), 1).close()
        except OSError:
            continue
        return True
    return False


def way_out(kind: str, node: str) -> str:
    """Return what to do about a kubelet's serving certificate that ends soon, or is missing."""
    if kind == SELF_SIGNED:
        return "Run kubewright.cluster.rotate: the kubelet makes another one"
    if kind == GIVEN:
        return "Renew the file that tlsCertFile in kubelet_config names, and restart the kubelet there"
    text = "Approve the request of system:node:%s (kubectl get csr, kubectl certificate approve NAME), "
    return text % node + "or install an approver"
