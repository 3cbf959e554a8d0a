# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Proof from a node itself: its services, the API through its endpoint, its certificates. Standard library only."""

from __future__ import annotations

import base64
import glob
import http.client
import os
import re
import socket
import ssl
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from . import probe_registry
from .detect.https import MemoryFile
from .kube_api import local_server
from .probe import FAIL, OK, check, tried

KUBERNETES = "/etc/kubernetes"
KUBELET_CONF = KUBERNETES + "/kubelet.conf"
CLIENT_CERTIFICATE = "/var/lib/kubelet/pki/kubelet-client-current.pem"
CONTAINERD = "/run/containerd/containerd.sock"
UNITS = ("containerd", "kubelet", "kube-endpoint", "kube-endpoint-vip", "kube-bridge")
WARNING_DAYS = 30


def checks(own, deadline, warning_days=WARNING_DAYS):
    """All checks of the node itself, at the same time."""
    if not os.path.exists(KUBELET_CONF):
        return [
            check(
                "node",
                FAIL,
                "is no member of the cluster: it has no /etc/kubernetes/kubelet.conf",
                own,
                "run site again",
            )
        ]
    works = [
        lambda: services(own),
        lambda: kubelet(own, deadline),
        lambda: endpoints(own, deadline),
        lambda: own_api(own, deadline),
        lambda: certificates(own, warning_days),
        lambda: probe_registry.checks(own),
    ]
    with ThreadPoolExecutor(len(works)) as pool:
        return [item for part in pool.map(lambda work: work(), works) for item in part]


def services(own):
    """The units that the collection runs are active."""
    try:
        argv = [
            "systemctl",
            "show",
            "--property=Id,LoadState,ActiveState,SubState",
            *(unit + ".service" for unit in UNITS),
        ]
        output = subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=10, check=False
        ).stdout.decode()
    except (OSError, subprocess.SubprocessError):
        return []  # no systemd: what counts is that the services answer
    units = [dict(line.split("=", 1) for line in part.splitlines() if "=" in line) for part in output.split("\n\n")]
    there = [unit for unit in units if unit.get("LoadState") == "loaded"]
    wrong = [unit for unit in there if unit.get("ActiveState") not in ("active", "reloading")]
    found = [
        check(
            "services",
            FAIL,
            "%s is %s" % (unit["Id"], unit["ActiveState"]),
            own,
            "look at `journalctl -u %s` there" % unit["Id"],
        )
        for unit in wrong
    ]
    return found or [check("services", OK, "%s run" % ", ".join(unit["Id"].rpartition(".")[0] for unit in there), own)]


def kubelet(own, deadline):
    """The kubelet is healthy by its own word, and containerd takes connections."""

    def healthy():
        connection = http.client.HTTPConnection("127.0.0.1", 10248, timeout=3)
        try:
            connection.request("GET", "/healthz")
            answer = connection.getresponse()
            if answer.status != 200:
                raise ValueError("HTTP %d %s" % (answer.status, answer.read(200).decode("utf-8", "replace")))
        finally:
            connection.close()

    def connects():
        with socket.socket(socket.AF_UNIX) as channel:
            channel.settimeout(3)
            channel.connect(CONTAINERD)

    found = []
    for name, work, unit in (("the kubelet", healthy, "kubelet"), ("containerd", connects, "containerd")):
        _answer, problem, spent = tried(deadline, work)
        if problem:
            found.append(
                check(
                    "kubelet",
                    FAIL,
                    "%s does not answer: %s" % (name, problem),
                    own,
                    "look at `journalctl -u %s` there" % unit,
                    spent,
                )
            )
    return found or [check("kubelet", OK, "the kubelet is healthy, containerd answers", own)]


def servers():
    """Addresses of the API that this node's kubelet, and its administrator, use."""
    found = []
    for name in ("kubelet.conf", "admin.conf"):
        found += [
            url
            for url in re.findall(r"^\s*server:\s*[\"']?([^\s\"']+)", _read(KUBERNETES + "/" + name), re.M)
            if url not in found
        ]
    return found


def endpoints(own, deadline):
    """The API answers at each of these addresses, with a certificate that holds for it."""
    urls = servers()
    if not urls:
        return [check("API endpoint", FAIL, "kubelet.conf names no server", own, "run site again")]
    hint = "look at `journalctl -u kube-endpoint` there, and at the API servers behind it"
    with ThreadPoolExecutor(len(urls)) as pool:
        return list(pool.map(lambda url: _api(own, "API endpoint", url, deadline, hint), urls))


def _api(own, name, url, deadline, hint):
    _answer, problem, spent = tried(deadline, lambda: readyz(url))
    if problem:
        return check(name, FAIL, "%s does not answer in %.0f s: %s" % (url, spent / 1000, problem), own, hint, spent)
    return check(name, OK, "%s is ready" % url, own, ms=spent)


def own_api(own, deadline):
    """A control plane's own API server, not only the one that the endpoint leads to."""
    server = local_server()
    if server is None:
        return []
    url = "https://%s:%d" % (("[%s]" if ":" in server[0] else "%s") % server[0], server[1])
    hint = "look at `crictl ps -a --name kube-apiserver` and its logs there"
    return [_api(own, "API server", url, deadline, hint)]


def readyz(url):
    """Ask as the kubelet does: with its certificate, against the cluster's authority, name compared."""
    place = urlsplit(url)
    context = ssl.create_default_context(cadata=authority())
    if os.path.exists(CLIENT_CERTIFICATE):
        context.load_cert_chain(CLIENT_CERTIFICATE)
    connection = http.client.HTTPSConnection(place.hostname, place.port or 443, timeout=5, context=context)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        text = answer.read(2000).decode("utf-8", "replace")
    finally:
        connection.close()
    if answer.status != 200:
        raise ValueError("HTTP %d %s" % (answer.status, text.strip()[-300:]))


def authority():
    """PEM text of the authority in the kubelet's own configuration."""
    text = _read(KUBELET_CONF)
    data = re.search(r"certificate-authority-data:\s*([A-Za-z0-9+/=]+)", text)
    if data:
        return base64.b64decode(data.group(1)).decode("ascii")
    path = re.search(r"certificate-authority:\s*(\S+)", text)
    return _read(path.group(1) if path else KUBERNETES + "/pki/ca.crt")


def certificates(own, warning_days):
    """Days that the certificates of the node have left, those inside of kubeconfigs too."""
    found = []
    for name, begins, expires in validity():
        days, life = (expires - time.time()) / 86400, (expires - begins) / 86400
        # A kubelet that renews short-lived certificates by itself is well.
        limit = min(warning_days, life * 0.1) if name.startswith("kubelet") else warning_days
        found.append((days, name, "fail" if days <= 0 else "warn" if days < limit else "ok"))
    if not found:
        return [
            check("certificates", FAIL, "none can be read", own, "look at /etc/kubernetes/pki and /var/lib/kubelet/pki")
        ]
    wrong = [
        check(
            "certificates",
            status,
            "%s %s" % (name, "has expired" if status == FAIL else "has %d days left" % days),
            own,
            _renewal(name),
        )
        for days, name, status in sorted(found)
        if status != OK
    ]
    days, name, _status = min(found)
    return wrong or [
        check("certificates", OK, "%d, the next to expire is %s in %d days" % (len(found), name, days), own)
    ]


def _renewal(name):
    if name.startswith("kubelet"):
        return "the kubelet renews it by itself while it reaches the API; look at `journalctl -u kubelet`"
    return "`kubeadm certs renew all` there, then restart the static pods"


def validity():
    """[(name, begins, expires)], times in seconds since 1970, of all certificates that the node uses."""
    paths = (
        glob.glob(KUBERNETES + "/pki/*.crt") + glob.glob(KUBERNETES + "/pki/etcd/*.crt") + glob.glob(CLIENT_CERTIFICATE)
    )
    found = [
        _times("etcd/" * ("/etcd/" in path) + os.path.basename(path).rsplit(".", 1)[0], path) for path in sorted(paths)
    ]
    for path in sorted(glob.glob(KUBERNETES + "/*.conf")):
        data = re.search(r"client-certificate-data:\s*([A-Za-z0-9+/=]+)", _read(path))
        if data:
            with MemoryFile(base64.b64decode(data.group(1))) as name:
                found.append(_times(os.path.basename(path), name))
    return [entry for entry in found if entry]


def _times(name, path):
    try:
        parts = ssl._ssl._test_decode_cert(path)
        return name, ssl.cert_time_to_seconds(parts["notBefore"]), ssl.cert_time_to_seconds(parts["notAfter"])
    except (OSError, ValueError, KeyError, AttributeError):
        return None


def _read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""
