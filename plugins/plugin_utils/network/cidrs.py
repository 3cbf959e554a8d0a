# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks of pods and Services: their form, and whether they overlap with anything of the hosts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_network
from typing import Any

from ...module_utils.node import paths
from ..base.findings import Finding
from .addresses import OWN_INTERFACES, network_of
from .plugin import IPNetwork

try:
    import netaddr
except ImportError:  # a network that is refused is refused without it; only the proposal of another one is missing
    netaddr = None

# Prefix lengths of a node's pod network: --node-cidr-mask-size-ipv4 and -ipv6,
# https://kubernetes.io/docs/reference/command-line-tools-reference/kube-controller-manager/
NODE_PREFIX = {4: 24, 6: 64}
# Bits of a Service network: DNS has its tenth address, and the API server takes at most 20 bits
# (cmd/kube-apiserver/app/options/validation.go, maxCIDRBits).
SERVICE_BITS = (4, 20)
PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")  # https://www.rfc-editor.org/rfc/rfc1918


def read(name: str, texts: Sequence[str]) -> tuple[list[IPNetwork], list[Finding]]:
    """Return the networks of an input that takes one for each address family, and what is wrong with their number."""
    found: list[IPNetwork] = [ip_network(text) for text in texts]
    problems = []
    if not found:
        problems.append(Finding("cidrs.empty", "%s is empty. Name one network." % name))
    if len(found) > 2 or len({network.version for network in found}) < len(found):
        text = "%s: expected at most one IPv4 and one IPv6 network, got %s."
        given = ", ".join(map(str, found))
        problems.append(Finding("cidrs.too_many", text % (name, given), value=given))
    return found, problems


def too_small(pods: Sequence[IPNetwork], nodes: int) -> list[Finding]:
    """Check that every node gets a network for its pods: the controller manager gives each one of NODE_PREFIX.

    nodes: how many there are.
    """
    found = []
    for pod in pods:
        prefix = NODE_PREFIX[pod.version]
        room = 2 ** (prefix - pod.prefixlen) if pod.prefixlen <= prefix else 0
        if room < nodes:
            text = "kube_pod_cidrs %s has room for %d nodes (a /%d each), and there are %d. Choose a larger network."
            found.append(Finding("cidrs.too_small", text % (pod, room, prefix, nodes), value=str(pod), limit=nodes))
    return found


def service_sizes(services: Sequence[IPNetwork]) -> list[Finding]:
    """Check that the API server takes the networks of the Services."""
    found = []
    for service in services:
        longest, shortest = service.max_prefixlen - SERVICE_BITS[0], service.max_prefixlen - SERVICE_BITS[1]
        if not shortest <= service.prefixlen <= longest:
            limit = "%d to %d" % (shortest, longest)
            text = "kube_service_cidrs %s: expected a prefix length from %s." % (service, limit)
            found.append(Finding("cidrs.service_size", text, value=str(service), limit=limit))
    return found


def families(pods: Sequence[IPNetwork], services: Sequence[IPNetwork]) -> list[Finding]:
    """Check that pods and Services have networks of the same address families."""
    of_pods, of_services = sorted({item.version for item in pods}), sorted({item.version for item in services})
    if not pods or not services or of_pods == of_services:
        return []
    shown = [
        "%s (%s)" % (", ".join(map(str, rows)), _words({row.version for row in rows})) for rows in (pods, services)
    ]
    text = "kube_pod_cidrs %s and kube_service_cidrs %s have different address families. Give both the same ones."
    return [Finding("cidrs.families", text % tuple(shown), value=_words(of_services), limit=_words(of_pods))]


def _words(versions: Iterable[int]) -> str:
    return " and ".join("IPv%d" % version for version in sorted(versions))


def overlaps(
    pods: Sequence[IPNetwork], services: Sequence[IPNetwork], nodes: Mapping[str, Mapping[str, Any]]
) -> list[Finding]:
    """Refuse networks that overlap: pods with Services, and either with a host's addresses, routes and name servers.

    nodes: by host name the `network` part of its facts.
    """
    wanted = [("kube_pod_cidrs", network) for network in pods] + [
        ("kube_service_cidrs", network) for network in services
    ]
    there = {version: list(_of_hosts(nodes, version)) for version in {network.version for _label, network in wanted}}
    taken: set[IPNetwork] = {network for rows in there.values() for _host, _source, network in rows} | {
        *pods,
        *services,
    }
    problems = []
    for pod in pods:
        for service in services:
            if _overlap(pod, service):
                text = "kube_pod_cidrs %s and kube_service_cidrs %s overlap. Choose separate networks%s."
                problems.append(
                    Finding(
                        "cidrs.overlap", text % (pod, service, _such_as(pod, taken)), value=str(pod), limit=str(service)
                    )
                )
    for label, network in wanted:
        for host, source, other in there[network.version]:
            if _overlap(network, other):
                text = "%s: %s %s overlaps with %s of the host (%s). Choose a network that no host uses%s."
                values = (host, label, network, other, source, _such_as(network, taken))
                problems.append(Finding("cidrs.used_by_host", text % values, host, str(network), str(other)))
    return problems


def _such_as(network: IPNetwork, taken: Iterable[IPNetwork]) -> str:
    found = free(network.prefixlen, sorted(taken, key=str)) if network.version == 4 else None
    return ", such as %s" % found if found else ""


def free(prefix: int, taken: Sequence[IPNetwork]) -> str | None:
    """Return the first private IPv4 network of this prefix length that overlaps with no taken one, or None."""
    if netaddr is None:
        return None
    left = netaddr.IPSet(PRIVATE) - netaddr.IPSet(str(network) for network in taken if network.version == 4)
    found = next((block for block in left.iter_cidrs() if block.prefixlen <= prefix), None)
    return None if found is None else str(next(found.subnet(prefix)))


def _of_hosts(nodes: Mapping[str, Mapping[str, Any]], version: int) -> Iterator[tuple[str, str, IPNetwork]]:
    seen = set()
    for host, network in nodes.items():
        for route in network.get("routes") or []:
            if (
                route.get("dst") in (None, "default")
                or (route.get("dev") or "").startswith(OWN_INTERFACES)
                or _ours(route)
            ):
                continue
            found = network_of(route["dst"])
            if found is not None and found.version == version and found.prefixlen and (host, found) not in seen:
                seen.add((host, found))
                yield host, "a route over %s" % route.get("dev"), found
        for resolver in network.get("nameservers") or []:
            found = network_of(resolver)
            if found is not None and found.version == version:
                yield host, "its name server", found


def _ours(route: Mapping[str, Any]) -> bool:
    """Return True for a route of the plugin bridge, which marks its own."""
    return str(route.get("protocol")) == str(paths.ROUTE_PROTOCOL)


def _overlap(one: IPNetwork, other: IPNetwork) -> bool:
    return one.version == other.version and one.overlaps(other)
