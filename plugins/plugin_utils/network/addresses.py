# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts about addresses, and those of a host. node_addresses.py chooses the ones that nodes have in the cluster."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_interface
from typing import Any

from ...module_utils.node import network_traces
from ..base.model import Address

# Interfaces that the cluster makes itself; their networks are not the host's.
OWN_INTERFACES = network_traces.INTERFACE_PREFIXES
# kube-proxy's interface in mode ipvs, which has the addresses of Services.
IPVS_INTERFACE = "kube-ipvs0"
PAGE = "docs/networks.md"
# Bridges that container engines and hypervisors make: their addresses are the same on every host that has them.
# Docker (also br- and 12 hexadecimal digits), Podman, libvirt, LXC, LXD and Incus.
_ENGINE_BRIDGE = re.compile(
    r"docker0|docker_gwbridge|br-[0-9a-f]{12}|podman[0-9]+|virbr[0-9]+|lxcbr[0-9]+|(lxd|incus)br[0-9]+"
)

Facts = Mapping[str, Any]


def is_address(text: object) -> bool:
    """Return True if the text is one IP address."""
    try:
        ip_address(str(text))
    except ValueError:
        return False
    return True


def is_own(text: object) -> bool:
    """Return True for an address or a name that is each machine itself: 127.0.0.0/8, ::1, 0.0.0.0, ::, localhost."""
    if not is_address(text):
        return str(text).rstrip(".") == "localhost"
    address = ip_address(str(text))
    return address.is_loopback or address.is_unspecified


def stays_here(text: str) -> bool:
    """Return True for an address that no other host reaches."""
    address = ip_address(text)
    return address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified


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
    """Return the global addresses of a host's own interfaces. network: the host's facts.

    The kernel has the scope that whoever set an address said: a loopback address may be called global.
    """
    return [
        Address(item["address"], interface["name"], item.get("prefix"), interface.get("mtu"), family(item["address"]))
        for interface in _own_interfaces(network)
        for item in interface.get("addresses") or []
        if item.get("scope") == "global" and not stays_here(item["address"])
    ]


def usable(network: Facts) -> list[Address]:
    """Return the addresses of a host that a node can have: they stay, and others can reach them.

    Not those of interfaces that are down, of bridges of container engines, and IPv6 addresses that are temporary or
    deprecated (https://www.rfc-editor.org/rfc/rfc8981).
    """
    off = {row["name"] for row in _own_interfaces(network) if row.get("up") is False or is_engine_bridge(row["name"])}
    off.add(IPVS_INTERFACE)
    unstable = {
        item["address"]
        for interface in _own_interfaces(network)
        for item in interface.get("addresses") or []
        if item.get("unstable")
    }
    return [one for one in of_host(network) if one.interface not in off and one.address not in unstable]


def is_engine_bridge(name: str) -> bool:
    """Return True for an interface that a container engine or a hypervisor made for its guests."""
    return _ENGINE_BRIDGE.fullmatch(name) is not None


def _own_interfaces(network: Facts) -> Iterator[Facts]:
    for interface in network.get("interfaces") or []:
        if not interface["name"].startswith(OWN_INTERFACES):
            yield interface


def interface_of(address: str, network: Facts) -> tuple[str | None, str | None]:
    """Return (interface, its network such as 10.0.0.0/24) of the host that has, or could have, an address.

    The interface that has it comes first, then the smallest network that contains it.
    """
    wanted, found = ip_address(address), []
    for interface in network.get("interfaces") or []:
        for item in interface.get("addresses") or []:
            here = network_of("%s/%s" % (item["address"], item["prefix"]))
            if here is not None and wanted in here:
                found.append((ip_address(item["address"]) == wanted, here.prefixlen, interface["name"], str(here)))
    if not found:
        return None, None
    _has, _prefix, name, text = max(found, key=lambda row: row[:2])
    return name, text


def is_vpn(address: Address, network: Facts) -> bool:
    """Return True if an address is on an interface without link-layer addresses, as those of VPNs are."""
    name = interface_of(address.address, network)[0]
    return any(row["name"] == name and row.get("link") == "none" for row in network.get("interfaces") or [])


def link_network(address: Address, network: Facts) -> str | None:
    """Return the network whose hosts an address reaches without a router, such as 10.0.0.0/24; None if it is unknown.

    On the interface of a VPN that is the address on its own: a VPN forwards only to the addresses that it knows, so no
    host behind it can be the gateway to pods.
    """
    name, text = interface_of(address.address, network)
    here = network_of(text) if text else None
    if here is None or is_vpn(address, network):
        return None if here is None else str(network_of(address.address))
    if here.prefixlen < here.max_prefixlen:
        return text
    # An address of DHCPv6 has no prefix; the network comes by router advertisement.
    for route in network.get("routes") or []:
        there = network_of(route["dst"]) if route.get("dev") == name and not route.get("via") else None
        if there is not None and there.version == here.version and there.prefixlen and here.subnet_of(there):  # type: ignore[arg-type]
            return str(there)
    return text
