# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the nodes reach each other's chosen addresses from their own ones, by the routes of their hosts.

The look asks for routes to where Ansible connects to. What is chosen may be another address: of the input kube_node_ip,
or of the default route where no address of another node is known.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from ipaddress import ip_address
from typing import NamedTuple

from ..base.findings import Finding
from ..base.model import Address
from .addresses import OWN_INTERFACES, Facts, family, link_network, network_of
from .plugin import IPNetwork

TARGETS = 16  # so many networks of nodes are looked at: the cost grows with them and with the number of hosts
# Interfaces that carry no traffic: an address on one of them is announced over the others.
_CARRIES_NOTHING = ("lo", "dummy")


class _Way(NamedTuple):
    network: IPNetwork
    is_main: bool
    metric: int
    interface: str | None
    source: str | None


def crossing(
    nodes: Mapping[str, Sequence[Address]], facts: Mapping[str, Facts], newcomers: Collection[str]
) -> list[Finding]:
    """Warn of newcomers whose traffic to another node leaves by an interface that does not have their own address.

    nodes: addresses by host, the primary one first. facts: of the hosts' networks.
    """
    targets: dict[str, tuple[str, Address]] = {}
    for host in sorted(nodes):
        for one in nodes[host][:1]:
            targets.setdefault(link_network(one, facts[host]) or one.address, (host, one))
    some = list(targets.values())[:TARGETS]
    found = []
    for host in sorted(set(newcomers) & set(nodes)):
        own = nodes[host][0] if nodes[host] else None
        if own is None or not own.interface or own.interface.startswith(_CARRIES_NOTHING) or len(some) < 2:
            continue
        ways = _ways(facts[host], own.family)
        rows = [(other, one, _way(ways, one.address)) for other, one in some if other != host]
        wrong = next(((other, one, way) for other, one, way in rows if way and not _is_own(way, own)), None)
        if wrong:
            other, one, way = wrong
            text = (
                "%s: its address in the cluster is %s on %s, and it reaches %s (%s) over %s. Set kube_node_ip of all "
                "nodes to the network that connects them."
            )
            values = (host, own.address, own.interface, other, one.address, way.interface)
            found.append(Finding("address.other_path", text % values, host, own.address, one.address))
    return found


def _is_own(way: _Way, own: Address) -> bool:
    return way.interface in (None, own.interface) or way.source == own.address


def _ways(network: Facts, version: int) -> list[_Way]:
    """Return a host's routes of one family, without the cluster's own."""
    found = []
    for row in network.get("routes") or []:
        to_all = "::/0" if version == 6 else "0.0.0.0/0"
        where = network_of(to_all if row["dst"] == "default" else row["dst"])
        usable = where is not None and where.version == version and not row.get("type")
        if where is not None and usable and (row["dst"] != "default" or row.get("family", 4) == version):
            name = row.get("dev")
            if not str(name).startswith(OWN_INTERFACES):
                found.append(_Way(where, not row.get("table"), int(row.get("metric") or 0), name, row.get("src")))
    return found


def _way(ways: Sequence[_Way], address: str) -> _Way | None:
    """Return the most specific route to an address. Tables of rules count only where they are more specific."""
    wanted = ip_address(address)
    fits = [way for way in ways if family(address) == way.network.version and wanted in way.network]
    return max(fits, key=lambda way: (way.network.prefixlen, way.is_main, -way.metric), default=None)
