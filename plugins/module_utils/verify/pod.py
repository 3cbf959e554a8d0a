# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verify from within a node's own pod: other pods, the cluster's DNS, a Service. Standard library only.

A thread of the probe enters the pod's network. The pod's image needs no tools, and nothing else runs in the pod.
"""

from __future__ import annotations

import ctypes
import ipaddress
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Callable, Dict, List, Tuple, TypeVar

from . import dns as probe_dns
from .check import FAIL, OK, WARN, Check, check, tried

CLONE_NEWNET = 0x40000000
ALL_PEERS = 8  # up to this many nodes, each pod reaches each other pod
SOME_PEERS = 3
PROTOCOLS = {False: "UDP", True: "TCP"}
# So much longer is waited for the name of a new Service. CoreDNS notices Services through client-go, which asks again
# only after a pause that grows to 60 s while the API is away, as in a restore: NewReflectorWithOptions in
# https://github.com/kubernetes/client-go/blob/master/tools/cache/reflector.go. Twice, because the server that it asks
# then may be the next one to restart: seen when certificates were renewed a minute after a restore.
NOTICE_SECONDS = 120
T = TypeVar("T")


def process_of(uid: str, proc: str = "/proc") -> int | None:
    """Return a process of the pod with this UID by its cgroup (any driver, cgroup v1 and v2), None if there is none."""
    marks = (uid, uid.replace("-", "_"))
    for pid in filter(str.isdigit, os.listdir(proc)):
        try:
            with open("%s/%s/cgroup" % (proc, pid), encoding="utf-8") as stream:
                text = stream.read()
        except OSError:
            continue
        if any(mark in text for mark in marks):
            return int(pid)
    return None


def within(namespace: str, work: Callable[[], T]) -> T:
    """Return the result of work() run in the network namespace at a path, and raise what it raises.

    It runs in a thread of its own, and so do threads that it starts. The caller's namespace does not change.
    """
    found: Dict[str, Any] = {}

    def enter() -> None:
        try:
            with open(namespace, "rb") as handle:
                library = ctypes.CDLL(None, use_errno=True)
                if library.setns(handle.fileno(), CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            found["result"] = work()
        except BaseException as error:
            found["error"] = error

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    if "error" in found:
        raise found["error"]
    return found["result"]


def resolver(text: str) -> tuple[list[str], list[str]]:
    """Return (name servers, search domains) of a resolv.conf."""
    servers: List[str] = []
    search: List[str] = []
    for words in (line.split() for line in text.splitlines()):
        if len(words) > 1 and words[0] == "nameserver":
            servers.append(words[1])
        elif words and words[0] == "search":
            search = words[1:]
    return servers, search


def peers(own: str, pods: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    """Return {node: addresses} of the pods to reach: all in a small cluster, the next in a ring in a large one."""
    names = sorted(pods)
    place = names.index(own)
    ring = names[place + 1 :] + names[:place]
    return {name: pods[name]["ips"] for name in (ring if len(names) <= ALL_PEERS else ring[:SOME_PEERS])}


def checks(own: str, begun: dict[str, Any], deadline: float) -> list[Check]:
    """Return all checks from the pod of the node `own`. begun: what verify.cluster.begin returned."""
    pods = begun.get("pods") or {}
    if own not in pods:
        return []
    pid = process_of(pods[own]["uid"])
    if pid is None:
        hint = "look at `crictl ps` there; a runtime that runs pods in virtual machines hides their processes"
        return [check("pod network", FAIL, "no process of the pod %s is found" % pods[own]["uid"], own, hint)]
    try:
        with open("/proc/%d/root/etc/resolv.conf" % pid, encoding="utf-8") as stream:
            servers, search = resolver(stream.read())
        return within("/proc/%d/ns/net" % pid, lambda: from_pod(own, begun, servers, search, deadline))
    except (OSError, AttributeError) as error:
        text = "the pod's network cannot be entered: %s" % error
        return [check("pod network", FAIL, text, own, "this needs root on the node")]


def from_pod(own: str, begun: dict[str, Any], servers: list[str], search: list[str], deadline: float) -> list[Check]:
    """Return all checks from within the pod. They run at the same time, so that failed ones wait only once."""
    port, mine = begun["port"], {_family(address): address for address in begun["pods"][own]["ips"]}
    suffixes = {family: ", IPv%d" % family if len(mine) > 1 else "" for family in (4, 6)}
    # (suffix of the checks' names, work).
    works: List[Tuple[str, Callable[[], List[Check]]]] = [
        ("", partial(names, own, servers, search, begun, deadline)),
    ]
    for node, addresses in peers(own, begun["pods"]).items():
        for there in addresses:
            family = _family(there)
            if family in mine:
                works.append((suffixes[family], partial(pod_to_pod, own, mine[family], node, there, port, deadline)))
    for address in begun["service_ips"]:
        works.append((suffixes[_family(address)], partial(service, own, address, port, deadline)))

    def named(job: tuple[str, Callable[[], list[Check]]]) -> list[Check]:
        return [{**item, "name": item["name"] + job[0]} for item in job[1]()]

    with ThreadPoolExecutor(len(works)) as pool:
        found = [item for part in pool.map(named, works) for item in part]
    for name in sorted({item["name"] for item in found if "peer" in item}):
        found = merged(own, name, found)
    return found


def _family(address: str) -> int:
    return ipaddress.ip_address(address).version


def merged(own: str, name: str, found: list[Check]) -> list[Check]:
    """Return the checks with the passed ones of one name merged into one."""
    passed = [item for item in found if item["name"] == name and item["status"] == OK]
    if len(passed) < 2:
        return found
    text = "reaches the pods on %s by UDP and TCP" % ", ".join(item["peer"] for item in passed)
    one = check(name, OK, text, own, ms=max(item["ms"] for item in passed))
    return [one] + [item for item in found if item not in passed]


def pod_to_pod(own: str, address: str, node: str, there: str, port: int, deadline: float) -> list[Check]:
    """Check that a pod of another node answers by UDP and TCP, and sees this pod's own address."""
    hint = "open the pod network's ports between the nodes, and compare `ip route` on both"
    slowest = 0
    seen: List[str] = []
    for tcp in (False, True):
        answer, problem, spent = tried(deadline, partial(probe_dns.ask, there, "whoami.example", port=port, tcp=tcp))
        slowest = max(slowest, spent)
        if answer is None:
            text = "the pod on %s (%s) does not answer by %s in %.0f s: %s"
            text = text % (node, there, PROTOCOLS[tcp], spent / 1000, problem)
            return [check("pod to pod", FAIL, text, own, hint, spent)]
        seen = answer[1]
    if seen and not any(_same(address, other) for other in seen):
        text = "the pod on %s sees %s instead of this pod's address %s" % (node, ", ".join(seen), address)
        hint = "the network translates the addresses of pods, so NetworkPolicy cannot work"
        return [check("pod to pod", WARN, text, own, hint, slowest)]
    return [{**check("pod to pod", OK, "reaches the pod on %s by UDP and TCP" % node, own, ms=slowest), "peer": node}]


def _same(one: str, other: str) -> bool:
    return ipaddress.ip_address(one) == ipaddress.ip_address(other)


def names(own: str, servers: list[str], search: list[str], begun: dict[str, Any], deadline: float) -> list[Check]:
    """Check that the name servers of the pod's own resolv.conf resolve two Services, by UDP and TCP."""
    hint = "look at the CoreDNS pods' logs, and at `kubectl -n kube-system get endpointslices`"
    domain = next((entry for entry in search if entry.startswith("svc.")), None)
    if not servers or not domain:
        known = ", ".join(servers + search) or "nothing"
        text = "the pod's resolv.conf does not name the cluster's DNS, it has %s" % known
        hint = "compare clusterDNS and clusterDomain in /var/lib/kubelet/config.yaml"
        return [check("DNS by name", FAIL, text, own, hint)]
    address = begun["service_ips"][0]
    family = probe_dns.AAAA if ":" in address else probe_dns.A
    slowest = 0
    services: List[Tuple[str, str | None, float]] = [
        ("kubernetes.default." + domain, None, deadline),
        ("kubewright-verify.%s.%s" % (begun["namespace"], domain), address, deadline + NOTICE_SECONDS),
    ]
    for name, wanted, until in services:
        for server, tcp in [(server, tcp) for server in servers for tcp in (False, True)]:
            _answer, problem, spent = tried(until, partial(_resolved, server, name, family, tcp, wanted))
            slowest = max(slowest, spent)
            if problem:
                text = "%s does not resolve %s by %s in %.0f s: %s"
                text = text % (server, name, PROTOCOLS[tcp], spent / 1000, problem)
                return [check("DNS by name", FAIL, text, own, hint, spent)]
    text = "%s resolves kubernetes.default.%s and a new Service" % (", ".join(servers), domain)
    return [check("DNS by name", OK, text, own, ms=slowest)]


def _resolved(server: str, name: str, family: int, tcp: bool, wanted: str | None) -> None:
    found = probe_dns.ask(server, name, family, tcp=tcp)[0]
    if not found or wanted and wanted not in found:
        raise probe_dns.DnsError("the answer is %s" % (", ".join(found) or "empty"))


def service(own: str, address: str, port: int, deadline: float) -> list[Check]:
    """Check that a Service's cluster IP leads to a pod by UDP and TCP."""
    hint = "look at the logs of kube-proxy on this node"
    slowest = 0
    for tcp in (False, True):
        _answer, problem, spent = tried(deadline, partial(probe_dns.ask, address, "whoami.example", port=port, tcp=tcp))
        slowest = max(slowest, spent)
        if problem:
            text = "the cluster IP %s does not answer by %s in %.0f s: %s"
            text = text % (address, PROTOCOLS[tcp], spent / 1000, problem)
            return [check("Service", FAIL, text, own, hint, spent)]
    return [check("Service", OK, "the cluster IP %s answers by UDP and TCP" % address, own, ms=slowest)]
