# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verify from a node itself: its services, the API through its endpoint, its certificates. Standard library only."""

from __future__ import annotations

import base64
import http.client
import os
import re
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Callable, Dict, List, Tuple
from urllib.parse import urlsplit

from ..api import kubelet as kubelet_api
from ..api.kubelet import health_problem
from ..api.kubernetes import local_server
from ..api.tls import MemoryFile
from ..base import commands
from ..base.text_files import read_text
from ..k3s.readiness import agent_problem
from ..node import paths
from . import registry
from .check import FAIL, OK, WARN, Check, check, tried
from .registry import Place

WARNING_DAYS = 30
# Units of which a machine runs one, by what it is in a cluster.
NODE_UNITS = ("kubelet.service", *(name + ".service" for name in paths.K3S_SERVICES))
# (name of a certificate, begin, end), in seconds since 1970.
Validity = Tuple[str, float, float]


def checks(own: str, deadline: float, warning_days: int = WARNING_DAYS) -> list[Check]:
    """Return all checks of the node itself, which run at the same time.

    deadline: by time.monotonic(). warning_days: certificates with fewer days left are a warning.
    """
    place = paths.here()
    if not os.path.exists(place.identity):
        text = "is not a member of the cluster: %s is missing" % place.identity
        return [check("node", FAIL, text, own, "run site again")]
    works: List[Callable[[], List[Check]]] = [
        lambda: services(own),
        lambda: kubelet(own, place, deadline),
        lambda: endpoints(own, place, deadline),
        lambda: own_api(own, place, deadline),
        lambda: certificates(own, place, warning_days),
        lambda: kubelet_serving(own, place, warning_days),
        lambda: registry.checks(own, place),
    ]
    with ThreadPoolExecutor(len(works)) as pool:
        return [item for part in pool.map(lambda work: work(), works) for item in part]


def ready(own: str, deadline: float) -> Check:
    """Check that an agent's Node is Ready, as the agent sees it: for agents whose servers cannot be asked."""

    def serves() -> None:
        reason = agent_problem(own, paths.K3s().data)
        if reason:
            raise ValueError(reason)

    _answer, problem, _ms = tried(deadline, serves)
    if problem:
        return check("node", FAIL, problem, own, "look at `journalctl -u k3s-agent` there")
    return check("node", OK, "is Ready in the existing cluster", own)


def services(own: str) -> list[Check]:
    """Check that the services that the collection runs are active."""
    names = [*(name + ".service" for name in paths.SERVICES), paths.BACKUP_TIMER]
    properties = "Id,LoadState,ActiveState,SubState,UnitFileState"
    asked = commands.run(["systemctl", "show", "--property=" + properties, *names], timeout=10)
    if asked.rc == commands.NOT_STARTED:
        return []  # no systemd: the other checks show whether the services answer
    if asked.rc:
        return [check("services", FAIL, "systemctl does not answer: %s" % asked.complaint(), own)]
    blocks = asked.out.split("\n\n")
    units = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in blocks]
    loaded = [unit for unit in units if unit.get("LoadState") == "loaded"]
    others = _of_another_role(loaded)
    loaded = [unit for unit in loaded if unit not in others]
    wrong = [unit for unit in loaded if unit.get("ActiveState") not in ("active", "reloading")]
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
    for unit in others:
        text = "%s is %s beside %s: after a boot this node may be something else in the cluster"
        own_unit = ", ".join(one["Id"] for one in loaded if one["Id"] in NODE_UNITS) or "no other"
        hint = "keep it from starting: `systemctl disable %s`" % unit["Id"]
        found.append(check("services", FAIL, text % (unit["Id"], unit["UnitFileState"], own_unit), own, hint))
    return found or [check("services", OK, "%s run" % ", ".join(unit["Id"].rpartition(".")[0] for unit in loaded), own)]


def _of_another_role(loaded: List[Dict[str, str]]) -> List[Dict[str, str]]:
    """Return the units that make a node of this machine at the next boot, and do not run now while another does.

    An upgrade of others put the servers' unit on agents: https://github.com/k3s-io/k3s-ansible/issues/504
    """
    nodes = [unit for unit in loaded if unit["Id"] in NODE_UNITS]
    running = [unit for unit in nodes if unit.get("ActiveState") in ("active", "reloading")]
    return [unit for unit in nodes if running and unit not in running and unit.get("UnitFileState") == "enabled"]


def kubelet(own: str, place: Place, deadline: float) -> list[Check]:
    """Check that the kubelet reports itself healthy and containerd accepts connections."""

    def healthy() -> None:
        problem = health_problem()
        if problem:
            raise ValueError(problem)

    def connects() -> None:
        with socket.socket(socket.AF_UNIX) as channel:
            channel.settimeout(3)
            channel.connect(place.socket)

    found = []
    for name, work in (("the kubelet", healthy), ("containerd", connects)):
        _answer, problem, spent = tried(deadline, work)
        if problem:
            text = "%s does not answer: %s" % (name, problem)
            found.append(check("kubelet", FAIL, text, own, place.kubelet_hint, spent))
    return found or [check("kubelet", OK, "the kubelet is healthy, containerd answers", own)]


def endpoints(own: str, place: Place, deadline: float) -> list[Check]:
    """Check that the API answers at each address that this node uses, with a valid certificate for it."""
    urls = place.servers()
    if not urls:
        return [check("API endpoint", FAIL, "%s does not name a server" % place.identity, own, "run site again")]
    hint = "look at `journalctl -u kube-endpoint` there, and at the API servers behind it"
    with ThreadPoolExecutor(len(urls)) as pool:
        return list(pool.map(lambda url: _api(own, "API endpoint", url, place, deadline, hint), urls))


def _api(own: str, name: str, url: str, place: Place, deadline: float, hint: str) -> Check:
    _answer, problem, spent = tried(deadline, lambda: readyz(url, place))
    if problem:
        return check(name, FAIL, "%s does not answer in %.0f s: %s" % (url, spent / 1000, problem), own, hint, spent)
    return check(name, OK, "%s is ready" % url, own, ms=spent)


def own_api(own: str, place: Place, deadline: float) -> list[Check]:
    """Check a control plane's own API server, because the endpoint may lead to another one."""
    server = local_server()
    if server is None:
        return []
    if isinstance(place, paths.K3s) and os.path.exists(place.data + "/server" + paths.K3S_TOMBSTONE):
        text = "the cluster has removed this server's etcd member, so its K3s does not serve"
        hint = "reset this server (kubewright.cluster.reset --limit), then run site: it joins again"
        return [check("etcd", FAIL, text, own, hint)]
    url = "https://%s:%d" % (("[%s]" if ":" in server[0] else "%s") % server[0], server[1])
    return [_api(own, "API server", url, place, deadline, place.api_server_hint)]


def readyz(url: str, place: Place) -> None:
    """Ask the API as the kubelet does: with its certificate, the cluster's authority, and the host name compared.

    Raise OSError, ValueError or HTTPException if it is not ready.
    """
    parts = urlsplit(url)
    context = ssl.create_default_context(cadata=authority(place))
    if os.path.exists(place.client[0]):
        context.load_cert_chain(*place.client)
    connection = http.client.HTTPSConnection(parts.hostname or "", parts.port or 443, timeout=5, context=context)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        text = answer.read(2000).decode("utf-8", "replace")
    finally:
        connection.close()
    if answer.status != 200:
        raise ValueError("HTTP %d %s" % (answer.status, text.strip()[-300:]))


def authority(place: Place) -> str:
    """Return the PEM text of the authority in the kubelet's own configuration."""
    text = read_text(place.identity)
    data = re.search(r"certificate-authority-data:\s*([A-Za-z0-9+/=]+)", text)
    if data:
        return base64.b64decode(data.group(1)).decode("ascii")
    path = re.search(r"certificate-authority:\s*(\S+)", text)
    return read_text(path.group(1) if path else place.authority_file)


def certificates(own: str, place: Place, warning_days: int) -> list[Check]:
    """Check how many days the certificates of the node have left, those in kubeconfigs included."""
    found = []
    for name, begins, expires in validity(place):
        days, life = (expires - time.time()) / 86400, (expires - begins) / 86400
        # The kubelet renews its own certificates, also short-lived ones: warn only in the last tenth of their life.
        limit = min(warning_days, life * 0.1) if name.startswith("kubelet") else warning_days
        found.append((days, name, FAIL if days <= 0 else WARN if days < limit else OK))
    if not found:
        hint = "look at the files that %s names" % place.identity
        return [check("certificates", FAIL, "no certificate can be read", own, hint)]
    wrong = []
    for days, name, status in sorted(found):
        if status != OK:
            text = "%s has expired" % name if status == FAIL else "%s has %d days left" % (name, days)
            wrong.append(check("certificates", status, text, own, _renewal(name, place)))
    days, name, _status = min(found)
    text = "%d certificates, the next to expire is %s in %d days" % (len(found), name, days)
    return wrong or [check("certificates", OK, text, own)]


def kubelet_serving(own: str, place: Place, warning_days: int) -> list[Check]:
    """Warn if the certificate that the kubelet serves ends soon, or is missing. K3s's are files of the check before.

    The API server does not verify it, as kubeadm sets it up, so an expired one is only a warning.
    """
    found = kubelet_api.serving() if isinstance(place, paths.Kubeadm) else None
    if found is None:
        return []
    hint = kubelet_api.way_out(found.kind, own)
    hint = hint[0].lower() + hint[1:]
    if found.kind == kubelet_api.NONE:
        text = "the kubelet serves no certificate, because none was signed: logs and exec of its pods fail"
        return [check("kubelet certificate", WARN, text, own, hint)]
    days, life = (found.expires - time.time()) / 86400, (found.expires - found.begins) / 86400
    limit = min(warning_days, life * 0.1) if found.kind == kubelet_api.SIGNED else warning_days
    if days >= limit:
        return [check("kubelet certificate", OK, "what the kubelet serves has %d days left" % days, own)]
    text = "what the kubelet serves has expired" if days <= 0 else "what the kubelet serves has %d days left" % days
    return [check("kubelet certificate", WARN, text, own, hint)]


def _renewal(name: str, place: Place) -> str:
    if name.startswith("kubelet"):
        return "the kubelet renews it on its own while it reaches the API; %s" % place.kubelet_hint
    return place.renewal


def validity(place: Place) -> list[Validity]:
    """Return the validity of all certificates that the node uses."""
    found = [_times(name, path) for name, path in place.certificates().items()]
    for path in place.kubeconfigs:
        data = re.search(r"client-certificate-data:\s*([A-Za-z0-9+/=]+)", read_text(path))
        if data:
            with MemoryFile(base64.b64decode(data.group(1))) as name:
                found.append(_times(os.path.basename(path), name))
    return [entry for entry in found if entry]


def _times(name: str, path: str) -> Validity | None:
    try:
        # Python has no public function that reads a certificate.
        parts = ssl._ssl._test_decode_cert(path)  # type: ignore[attr-defined]
        return name, ssl.cert_time_to_seconds(parts["notBefore"]), ssl.cert_time_to_seconds(parts["notAfter"])
    except (OSError, ValueError, KeyError, AttributeError):
        return None
