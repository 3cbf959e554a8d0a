# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Proof out of a node's own pod: other pods, the cluster's DNS, a Service. Standard library only.

The probe enters the pod's network with a thread of its own; nothing has to be in the pod's image, and nothing runs there.
"""

from __future__ import annotations

import ctypes
import ipaddress
import os
import threading
from concurrent.futures import ThreadPoolExecutor

from . import dns as probe_dns
from .check import FAIL, OK, WARN, check, tried

CLONE_NEWNET = 0x40000000
ALL_PEERS = 8  # a cluster of so many nodes is probed from each to each
SOME_PEERS = 3


def process_of(uid, proc="/proc"):
    """A process of the pod with this UID, by its control group (any driver, cgroup v1 and v2); None if there is none."""
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


def within(namespace, work):
    """Run work() in the network namespace at a path. Threads that it starts are in there too; the caller's stays where it is."""
    found = {}

    def enter():
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


def resolver(text):
    """(name servers, search domains) of a resolv.conf."""
    servers, search = [], []
    for words in (line.split() for line in text.splitlines()):
        if len(words) > 1 and words[0] == "nameserver":
            servers.append(words[1])
        elif words and words[0] == "search":
            search = words[1:]
    return servers, search


def peers(own, pods):
    """{node: addresses} of the pods to reach: all in a small cluster, the next ones of a ring over all nodes in a large one."""
    names = sorted(pods)
    place = names.index(own)
    ring = names[place + 1 :] + names[:place]
    return {name: pods[name]["ips"] for name in (ring if len(names) <= ALL_PEERS else ring[:SOME_PEERS])}


def checks(own, begun, deadline):
    """All checks out of the pod of the node `own`. begun: what verify_cluster.begin returned."""
    pods = begun.get("pods") or {}
    if own not in pods:
        return []
    pid = process_of(pods[own]["uid"])
    if pid is None:
        hint = "look at `crictl ps` there; runtimes that run pods in virtual machines hide their processes"
        return [check("pod network", FAIL, "no process of the pod %s is here" % pods[own]["uid"], own, hint)]
    try:
        with open("/proc/%d/root/etc/resolv.conf" % pid, encoding="utf-8") as stream:
            servers, search = resolver(stream.read())
        return within("/proc/%d/ns/net" % pid, lambda: from_pod(own, begun, servers, search, deadline))
    except (OSError, AttributeError) as error:
        return [
            check(
                "pod network",
                FAIL,
                "the pod's network cannot be entered: %s" % error,
                own,
                "this needs root on the node",
            )
        ]


def from_pod(own, begun, servers, search, deadline):
    """All of it at the same time: what does not answer costs its deadline once."""
    port, mine = begun["port"], {_family(address): address for address in begun["pods"][own]["ips"]}
    tells = {family: ", IPv%d" % family if len(mine) > 1 else "" for family in (4, 6)}
    works = [("", lambda: names(own, servers, search, begun, deadline))]
    works += [
        (tells[_family(there)], lambda node=node, there=there: pod_to_pod(own, mine[_family(there)], node, there, port, deadline))
        for node, addresses in peers(own, begun["pods"]).items()
        for there in addresses
        if _family(there) in mine
    ]
    works += [
        (tells[_family(address)], lambda address=address: service(own, address, port, deadline)) for address in begun["service_ips"]
    ]

    def named(job):
        return [{**item, "name": item["name"] + job[0]} for item in job[1]()]

    with ThreadPoolExecutor(len(works)) as pool:
        found = [item for part in pool.map(named, works) for item in part]
    for name in sorted({item["name"] for item in found if "peer" in item}):
        found = merged(own, name, found)
    return found


def _family(address):
    return ipaddress.ip_address(address).version


def merged(own, name, found):
    """The passed checks of one name as one."""
    passed = [item for item in found if item["name"] == name and item["status"] == OK]
    if len(passed) < 2:
        return found
    text = "reaches the pods on %s by UDP and TCP" % ", ".join(item["peer"] for item in passed)
    one = check(name, OK, text, own, ms=max(item["ms"] for item in passed))
    return [one] + [item for item in found if item not in passed]


def pod_to_pod(own, address, node, there, port, deadline):
    """A pod of another node answers by UDP and TCP, and sees this pod's own address."""
    hint = "let the nodes through to each other for the pod network, and compare `ip route` on both"
    slowest = 0
    for tcp in (False, True):
        answer, problem, spent = tried(
            deadline, lambda tcp=tcp: probe_dns.ask(there, "whoami.example", port=port, tcp=tcp)
        )
        slowest = max(slowest, spent)
        if problem:
            text = "the pod on %s (%s) does not answer by %s in %.0f s: %s" % (
                node,
                there,
                "TCP" if tcp else "UDP",
                spent / 1000,
                problem,
            )
            return [check("pod to pod", FAIL, text, own, hint, spent)]
    seen = answer[1]
    if seen and not any(_same(address, other) for other in seen):
        text = "the pod on %s sees %s in place of this pod's address %s" % (node, ", ".join(seen), address)
        return [
            check(
                "pod to pod",
                WARN,
                text,
                own,
                "addresses between pods are translated: NetworkPolicy cannot work",
                slowest,
            )
        ]
    return [{**check("pod to pod", OK, "reaches the pod on %s by UDP and TCP" % node, own, ms=slowest), "peer": node}]


def _same(one, other):
    return ipaddress.ip_address(one) == ipaddress.ip_address(other)


def names(own, servers, search, begun, deadline):
    """The name servers of the pod's own resolv.conf know two Services by name, over UDP and TCP."""
    hint = "look at the CoreDNS pods' logs, and at `kubectl -n kube-system get endpointslices`"
    domain = next((entry for entry in search if entry.startswith("svc.")), None)
    if not servers or not domain:
        text = "the pod's resolv.conf has no name server of the cluster; it has %s" % (
            ", ".join(servers + search) or "nothing"
        )
        return [
            check(
                "DNS by name", FAIL, text, own, "compare clusterDNS and clusterDomain in /var/lib/kubelet/config.yaml"
            )
        ]
    address = begun["service_ips"][0]
    family = probe_dns.AAAA if ":" in address else probe_dns.A
    slowest = 0
    for name, wanted in (
        ("kubernetes.default." + domain, None),
        ("kubewright-verify.%s.%s" % (begun["namespace"], domain), address),
    ):
        for server, tcp in [(server, tcp) for server in servers for tcp in (False, True)]:
            _answer, problem, spent = tried(
                deadline,
                lambda name=name, server=server, tcp=tcp, wanted=wanted: _resolved(server, name, family, tcp, wanted),
            )
            slowest = max(slowest, spent)
            if problem:
                text = "%s does not tell %s by %s in %.0f s: %s" % (
                    server,
                    name,
                    "TCP" if tcp else "UDP",
                    spent / 1000,
                    problem,
                )
                return [check("DNS by name", FAIL, text, own, hint, spent)]
    return [
        check(
            "DNS by name",
            OK,
            "%s tells kubernetes.default.%s and a new Service" % (", ".join(servers), domain),
            own,
            ms=slowest,
        )
    ]


def _resolved(server, name, family, tcp, wanted):
    found = probe_dns.ask(server, name, family, tcp=tcp)[0]
    if not found or wanted and wanted not in found:
        raise probe_dns.DnsError("the answer is %s" % (", ".join(found) or "empty"))


def service(own, address, port, deadline):
    """A Service's cluster IP leads to a pod by UDP and TCP."""
    hint = "look at the logs of kube-proxy on this node"
    slowest = 0
    for tcp in (False, True):
        _answer, problem, spent = tried(
            deadline, lambda tcp=tcp: probe_dns.ask(address, "whoami.example", port=port, tcp=tcp)
        )
        slowest = max(slowest, spent)
        if problem:
            text = "the cluster IP %s does not answer by %s in %.0f s: %s" % (
                address,
                "TCP" if tcp else "UDP",
                spent / 1000,
                problem,
            )
            return [check("Service", FAIL, text, own, hint, spent)]
    return [check("Service", OK, "the cluster IP %s answers by UDP and TCP" % address, own, ms=slowest)]
