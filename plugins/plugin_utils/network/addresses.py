# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which address a node has in the cluster, and facts about addresses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_interface
from typing import Any

from ...module_utils.node import network_traces
from ..base.findings import Finding
from ..base.model import Address

# Interfaces that the cluster makes itself; their networks are not the host's.
OWN_INTERFACES = network_traces.INTERFACE_PREFIXES
PAGE = "docs/networks.md"

Facts = Mapping[str, Any]


def is_address(text: object) -> bool:
    """Return True if the text is one IP address."""
    try:
        ip_address(str(text))
    except ValueError:
        return False
    return True


def family(text: object) -> int:
    """Return 4 or 6, of an address or a network."""
    return ip_interface(str(text)).version


def network_of(text: object) -> IPv4Network | IPv6Network | None:
    """Return the network of an address with or without a prefix, None if it is neither."""
    try:
        return ip_interface(str(text)).network
    except ValueError:
        return None


def host_port(address: str | None, port: int) -> str:
    """Return "10.0.0.1:6443" or "[fd00::1]:6443"."""
    return ("[%s]:%d" if ":" in str(address) else "%s:%d") % (address, port)


def of_host(network: Facts) -> list[Address]:
    """Return the global addresses of a host's own interfaces. network: the host's facts."""
    return [
        Address(item["address"], interface["name"], item.get("prefix"), interface.get("mtu"), family(item["address"]))
        for interface in network.get("interfaces") or []
        for item in interface.get("addresses") or []
        if item.get("scope") == "global" and not interface["name"].startswith(OWN_INTERFACES)
    ]


def choose(host: str, wanted: str, network: Facts, families: Sequence[int] = ()) -> tuple[list[Address], list[Finding]]:
    """Return the addresses of a node in the cluster, the primary one first, and why there is none.

    wanted: the input kube_node_ip: an address, an interface or a CIDR; with two families also two of them with a comma
    between; empty for the address that the route to the other nodes uses. network: the host's facts. families: 4 and 6
    in the order of kube_pod_cidrs where the pods have both
    (https://docs.k3s.io/networking/basic-network-options#dual-stack-ipv4--ipv6-networking); empty for one address.
    """
    found: list[Address] = []
    for part in wanted.split(",") if wanted and families else [wanted]:
        address, problem = _one(host, part.strip(), network)
        if address is None:
            return [], [problem] if problem else []
        found.append(address)
    if not families:
        return found, []
    by_family = {address.family: address for address in reversed(found)}
    here = found[0]
    for version in sorted(set(families) - set(by_family)):
        other = _other_family(here, network, version)
        if other is None:
            text = (
                "%s: has no IPv%d address beside %s, and kube_pod_cidrs has networks of both families. "
                "Add an address to the host, or set kube_node_ip to both."
            )
            return [], [
                Finding("address.family_missing", text % (host, version, here.address), host, here.address, version)
            ]
        by_family[version] = other
    return [by_family[version] for version in families], []


def _one(host: str, wanted: str, network: Facts) -> tuple[Address | None, Finding | None]:
    known = of_host(network)
    if not wanted:
        return _by_route(host, network, known)
    fits = [address for address in known if _fits(address, wanted)]
    if fits:
        return replace(fits[0], reason="kube_node_ip is %s" % wanted), None
    there = ", ".join("%s on %s" % (address.address, address.interface) for address in known) or "none"
    text = (
        "%s: kube_node_ip %s fits no address of the host (it has %s). Set it to one of these, to an "
        "interface or to a network."
    )
    return None, Finding("address.not_on_host", text % (host, wanted, there), host, wanted, there)


def _fits(address: Address, wanted: str) -> bool:
    if is_address(wanted):
        return ip_address(address.address) == ip_address(wanted)
    if "/" in wanted:
        network = network_of(wanted)
        return network is not None and ip_address(address.address) in network
    return address.interface == wanted


def _by_route(host: str, network: Facts, known: Sequence[Address]) -> tuple[Address | None, Finding | None]:
    default = network.get("default_ipv4") or network.get("default_ipv6") or {}
    for text, why in (
        (network.get("probe_source"), "source address of the route to the other nodes"),
        (default.get("address"), "address of the default route"),
        (known[0].address if known else None, "first address of the host"),
    ):
        if text:
            there = next((address for address in known if address.address == text), Address(text, family=family(text)))
            return replace(there, reason=why), None
    text = "%s: has no address other than loopback. Connect it to the network of the nodes, or set kube_node_ip."
    return None, Finding("address.missing", text % host, host)


def _other_family(address: Address, network: Facts, version: int) -> Address | None:
    """Return an address of the other family, on the same interface if there is one."""
    rows = [row for row in of_host(network) if row.family == version]
    rows.sort(key=lambda row: row.interface != address.interface)
    return replace(rows[0], reason="IPv%d address beside %s" % (version, address.address)) if rows else None


def interface_of(address: str, network: Facts) -> tuple[str | None, str | None]:
    """Return (interface, its network such as 10.0.0.0/24) of the host that has, or could have, an address."""
    for interface in network.get("interfaces") or []:
        for item in interface.get("addresses") or []:
            here = network_of("%s/%s" % (item["address"], item["prefix"]))
            if here is not None and ip_address(address) in here:
                return interface["name"], str(here)
    return None, None
