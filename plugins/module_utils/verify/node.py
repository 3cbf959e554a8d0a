# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Proof from a node itself: its services, the API through its endpoint, its certificates. Standard library only."""

from __future__ import annotations

import base64
import http.client
import os
import re
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from ..api.kubernetes import local_server
from ..api.tls import MemoryFile
from ..base import commands
from ..base.text_files import read_text
from ..k3s.readiness import agent_problem
from ..node import paths
from . import registry
from .check import FAIL, OK, check, tried

WARNING_DAYS = 30


def checks(own, deadline, warning_days=WARNING_DAYS):
    """All checks of the node itself, at the same time."""
    place = paths.here()
    if not os.path.exists(place.identity):
        return [check("node", FAIL, "is no member of the cluster: it has no %s" % place.identity, own, "run site again")]
    works = [
        lambda: services(own),
        lambda: kubelet(own, place, deadline),
        lambda: endpoints(own, place, deadline),
        lambda: own_api(own, place, deadline),
        lambda: certificates(own, place, warning_days),
        lambda: registry.checks(own, place),
    ]
    with ThreadPoolExecutor(len(works)) as pool:
        return [item for part in pool.map(lambda work: work(), works) for item in part]


def ready(own):
    """An agent's Node by its own word, where no server of the cluster can be asked."""
    problem = agent_problem(own, paths.K3s().data)
    hint = "look at `journalctl -u k3s-agent` there"
    return check("node", FAIL, problem, own, hint) if problem else check("node", OK, "is Ready in the cluster made elsewhere", own)


def services(own):
    """The units that the collection runs are active."""
    names = [name + ".service" for name in paths.SERVICES]
    asked = commands.run(["systemctl", "show", "--property=Id,LoadState,ActiveState,SubState", *names], timeout=10)
    if asked.rc == commands.NOT_STARTED:
        return []  # no systemd: the other checks ask whether the services answer
    if asked.rc:
        return [check("services", FAIL, "systemctl does not answer: %s" % asked.complaint(), own)]
    blocks = asked.out.split("\n\n")
    units = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in blocks]
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


def kubelet(own, place, deadline):
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
            channel.connect(place.socket)

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


def endpoints(own, place, deadline):
    """The API answers at each of these addresses, with a certificate that holds for it."""
    urls = place.servers()
    if not urls:
        return [check("API endpoint", FAIL, "%s names no server" % place.identity, own, "run site again")]
    hint = "look at `journalctl -u kube-endpoint` there, and at the API servers behind it"
    with ThreadPoolExecutor(len(urls)) as pool:
        return list(pool.map(lambda url: _api(own, "API endpoint", url, place, deadline, hint), urls))


def _api(own, name, url, place, deadline, hint):
    _answer, problem, spent = tried(deadline, lambda: readyz(url, place))
    if problem:
        return check(name, FAIL, "%s does not answer in %.0f s: %s" % (url, spent / 1000, problem), own, hint, spent)
    return check(name, OK, "%s is ready" % url, own, ms=spent)


def own_api(own, place, deadline):
    """A control plane's own API server, not only the one that the endpoint leads to."""
    server = local_server()
    if server is None:
        return []
    url = "https://%s:%d" % (("[%s]" if ":" in server[0] else "%s") % server[0], server[1])
    hint = "look at `crictl ps -a --name kube-apiserver` and its logs there"
    return [_api(own, "API server", url, place, deadline, hint)]


def readyz(url, place):
    """Ask as the kubelet does: with its certificate, against the cluster's authority, name compared."""
    parts = urlsplit(url)
    context = ssl.create_default_context(cadata=authority(place))
    if os.path.exists(place.client[0]):
        context.load_cert_chain(*place.client)
    connection = http.client.HTTPSConnection(parts.hostname, parts.port or 443, timeout=5, context=context)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        text = answer.read(2000).decode("utf-8", "replace")
    finally:
        connection.close()
    if answer.status != 200:
        raise ValueError("HTTP %d %s" % (answer.status, text.strip()[-300:]))


def authority(place):
    """PEM text of the authority in the kubelet's own configuration."""
    text = read_text(place.identity)
    data = re.search(r"certificate-authority-data:\s*([A-Za-z0-9+/=]+)", text)
    if data:
        return base64.b64decode(data.group(1)).decode("ascii")
    path = re.search(r"certificate-authority:\s*(\S+)", text)
    return read_text(path.group(1) if path else place.authority_file)


def certificates(own, place, warning_days):
    """Days that the certificates of the node have left, those inside of kubeconfigs too."""
    found = []
    for name, begins, expires in validity(place):
        days, life = (expires - time.time()) / 86400, (expires - begins) / 86400
        # A kubelet that renews short-lived certificates by itself is well.
        limit = min(warning_days, life * 0.1) if name.startswith("kubelet") else warning_days
        found.append((days, name, "fail" if days <= 0 else "warn" if days < limit else "ok"))
    if not found:
        return [
            check("certificates", FAIL, "none can be read", own, "look at the files that %s names" % place.identity)
        ]
    wrong = [
        check(
            "certificates",
            status,
            "%s %s" % (name, "has expired" if status == FAIL else "has %d days left" % days),
            own,
            _renewal(name, place),
        )
        for days, name, status in sorted(found)
        if status != OK
    ]
    days, name, _status = min(found)
    return wrong or [
        check("certificates", OK, "%d, the next to expire is %s in %d days" % (len(found), name, days), own)
    ]


def _renewal(name, place):
    if name.startswith("kubelet"):
        return "the kubelet renews it by itself while it reaches the API; look at `journalctl -u kubelet`"
    return place.renewal


def validity(place):
    """[(name, begins, expires)], times in seconds since 1970, of all certificates that the node uses."""
    found = [_times(name, path) for name, path in place.certificates().items()]
    for path in place.kubeconfigs:
        data = re.search(r"client-certificate-data:\s*([A-Za-z0-9+/=]+)", read_text(path))
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
