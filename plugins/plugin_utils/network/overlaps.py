# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the networks of pods and Services overlap with each other, or with anything that hosts or inputs use."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_network
from typing import Any, NamedTuple

from ...module_utils.node import paths
from ..base.findings import Finding, Problems
from .addresses import IPVS_INTERFACE, OWN_INTERFACES, network_of, of_host
from .plugin import IPNetwork

try:
    import netaddr
except ImportError:  # a network that is refused is refused without it; only the proposal of another one is missing
    netaddr = None

PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")  # https://www.rfc-editor.org/rfc/rfc1918
# Routes to half of all addresses and more: a VPN has them in place of the default route (OpenVPN's redirect-gateway
# def1, and 2000::/3 for IPv6).
_DEFAULT_PREFIX = {4: 1, 6: 3}
_HOST = re.compile(
    r"^(?:[a-z][a-z0-9+.-]*://)?(?:[^/@]*@)?(?:\[([0-9A-Fa-f:.]+)\]|([^/:]+)|([0-9A-Fa-f:]+))(?::[0-9]+)?(?:/|$)"
)


class Place(NamedTuple):
    """Something that uses addresses.

    host: None where all hosts use it. what: in words. dead: True for a route that leads nowhere, which does not matter
    to a smaller network within it.
    """

    host: str | None
    what: str
    network: IPNetwork
    dead: bool = False


def places(found: Mapping[str, Iterable[str]]) -> list[Place]:
    """Return the places of inputs. found: addresses, host:port or URLs by the name of the input; names do not count."""
    made = []
    for name, texts in found.items():
        for text in texts:
            parts = _HOST.match(text)
            network = network_of(next(filter(None, parts.groups()))) if parts else None
            if network is not None:
                made.append(Place(None, name, network))
    return list(dict.fromkeys(made))


def check(
    pods: Sequence[IPNetwork],
    services: Sequence[IPNetwork],
    hosts: Mapping[str, Mapping[str, Any]],
    more: Sequence[Place],
) -> Problems:
    """Refuse networks that overlap: pods with Services, and either with what hosts and inputs use.

    hosts: facts by host. more: what inputs use.
    """
    wanted = [("kube_pod_cidrs", network) for network in pods]
    wanted += [("kube_service_cidrs", network) for network in services]
    there = [*(place for host, info in hosts.items() for place in _of_host(host, info)), *more]
    proposals = _Proposals({*(place.network for place in there), *pods, *services})
    refusals = []
    for pod in pods:
        for service in services:
            if _overlap(pod, service):
                text = "kube_pod_cidrs %s and kube_service_cidrs %s overlap. Choose separate networks%s."
                values = (pod, service, proposals.such_as("kube_pod_cidrs", pod))
                refusals.append(Finding("cidrs.overlap", text % values, value=str(pod), limit=str(service)))
    for label, network in wanted:
        refusals += [_used(label, network, place, proposals) for place in there if _meets(network, place)]
    return Problems(refusals, [found for host, info in hosts.items() for found in _dead(host, info, services)])


class _Proposals:
    """Networks to use in place of those that are refused: no two of them overlap, so that all can be taken at once."""

    def __init__(self, taken: Iterable[IPNetwork]) -> None:
        self._taken = set(taken)
        self._made: dict[tuple[str, IPNetwork], str] = {}

    def such_as(self, label: str, network: IPNetwork) -> str:
        """Return ", such as 10.0.0.0/16", the same each time; empty if nothing is free. label: the input's name."""
        if (label, network) not in self._made:
            found = free(network.prefixlen, sorted(self._taken, key=str)) if network.version == 4 else None
            self._made[label, network] = ", such as %s" % found if found else ""
            if found:
                self._taken.add(ip_network(found))
        return self._made[label, network]


def _used(label: str, network: IPNetwork, place: Place, proposals: _Proposals) -> Finding:
    other = str(place.network if place.network.num_addresses > 1 else place.network.network_address)
    if place.host is None:
        text = "%s %s contains %s (%s). Choose a network that nothing else uses%s."
        values: tuple[Any, ...] = (label, network, other, place.what, proposals.such_as(label, network))
        return Finding("cidrs.used_by_input", text % values, None, str(network), other)
    text = "%s: %s %s overlaps with %s of the host (%s). Choose a network that no host uses%s."
    values = (place.host, label, network, other, place.what, proposals.such_as(label, network))
    return Finding("cidrs.used_by_host", text % values, place.host, str(network), other)


def _dead(host: str, info: Mapping[str, Any], services: Sequence[IPNetwork]) -> list[Finding]:
    """Warn of a route that leads nowhere around the Services' network.

    The kernel looks for the route before kube-proxy's rules choose a pod, so what runs on the host reaches no Service.
    """
    found = []
    for route in info["network"].get("routes") or []:
        network = network_of(route["dst"]) if route.get("type") not in (None, "throw") else None
        for service in services if network else ():
            if network is not None and network.version == service.version and _within(service, network):
                text = "%s: its route to %s is %s, so programs on the host do not reach Services (%s). Remove it."
                values = (host, network, route["type"], service)
                found.append(Finding("cidrs.dead_route", text % values, host, str(network), str(service)))
    return found


def free(prefix: int, taken: Sequence[IPNetwork]) -> str | None:
    """Return the first private IPv4 network of this prefix length that overlaps with no taken one, or None."""
    if netaddr is None:
        return None
    left = netaddr.IPSet(PRIVATE) - netaddr.IPSet(str(network) for network in taken if network.version == 4)
    found = next((block for block in left.iter_cidrs() if block.prefixlen <= prefix), None)
    return None if found is None else str(next(found.subnet(prefix)))


def _of_host(host: str, info: Mapping[str, Any]) -> Iterator[Place]:
    """Return what a host uses: networks with a route, its own addresses, gateways and name servers."""
    network = info["network"]
    routes = [row for row in network.get("routes") or [] if not _ours(row) and row.get("type") != "throw"]
    seen: set[IPNetwork] = set()
    live: set[IPNetwork] = set()
    for route in routes:
        found = None if route.get("dst") in (None, "default") else network_of(route["dst"])
        if found is None or found.prefixlen <= _DEFAULT_PREFIX[found.version] or found in seen:
            continue
        seen.add(found)
        if route.get("type"):
            yield Place(host, "a route that leads nowhere, %s" % route["type"], found, True)
        else:
            live.add(found)
            yield Place(host, "a route over %s%s" % (route.get("dev"), _table(route)), found)
    for route in routes:  # after the networks, which contain most gateways: each problem is said once
        gateway = network_of(route["via"]) if route.get("via") else None
        if gateway is not None and not gateway.is_link_local and not _inside(gateway, live):
            live.add(gateway)
            yield Place(host, "a gateway", gateway)
    for address in of_host(network):
        if address.interface == IPVS_INTERFACE:  # refused as what it is
            continue
        own = network_of(address.address)
        if own is not None and not _inside(own, live):
            live.add(own)
            yield Place(host, "an address on %s" % address.interface, own)
    for server in (info.get("dns") or {}).get("nameservers") or []:
        found = network_of(server)
        if found is not None and not found.is_loopback and not _inside(found, live):
            yield Place(host, "its name server", found)


def _table(route: Mapping[str, Any]) -> str:
    return " in table %s" % route["table"] if route.get("table") else ""


def _inside(network: IPNetwork, known: Iterable[IPNetwork]) -> bool:
    return any(other.version == network.version and _within(network, other) for other in known)


def _within(network: IPNetwork, other: IPNetwork) -> bool:
    return network.subnet_of(other)  # type: ignore[arg-type]


def _ours(route: Mapping[str, Any]) -> bool:
    """Return True for a route of the cluster: over its own interfaces, or of the plugin bridge, which marks its own."""
    own = (route.get("dev") or "").startswith(OWN_INTERFACES)
    return own or str(route.get("protocol")) == str(paths.ROUTE_PROTOCOL)


def _meets(network: IPNetwork, place: Place) -> bool:
    if place.dead:
        return _inside(place.network, [network])
    return _overlap(network, place.network)


def _overlap(one: IPNetwork, other: IPNetwork) -> bool:
    return one.version == other.version and one.overlaps(other)
