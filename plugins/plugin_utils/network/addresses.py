# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses and networks: which address a node has in the cluster, and which networks collide."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface

from ...module_utils.node import network_traces

try:
    import netaddr
except ImportError:  # what is refused is refused without it; only the proposal of another network is lacking
    netaddr = None

PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")  # https://www.rfc-editor.org/rfc/rfc1918

# Interfaces that the cluster itself makes; their networks are no networks of the host.
OWN_INTERFACES = network_traces.INTERFACE_PREFIXES


def is_address(text) -> bool:
    """Whether the text is one IP address."""
    try:
        ip_address(str(text))
    except ValueError:
        return False
    return True


def family(text) -> int:
    """4 or 6, of an address or a network."""
    return ip_interface(str(text)).version


def networks(name: str, texts: list) -> tuple:
    """(list of networks, problems) of an input with one network for each address family."""
    found, problems = [], []
    for text in texts:
        try:
            given = ip_interface(str(text))
        except ValueError:
            problems.append("%s: %r is no network: write it as 10.244.0.0/16" % (name, text))
            continue
        if "/" not in str(text):
            problems.append("%s: %s has no prefix length" % (name, text))
        elif given.ip != given.network.network_address:
            problems.append("%s: %s has host bits set; the network is %s" % (name, text, given.network))
        found.append(given.network)
    if not texts:
        problems.append("%s is empty; give one network" % name)
    if len(found) > 2 or len({network.version for network in found}) < len(found):
        problems.append("%s: give at most one IPv4 and one IPv6 network, not %s" % (name, ", ".join(map(str, found))))
    return found, problems


def collisions(pods: list, services: list, nodes: dict) -> list:
    """Sentences on networks that overlap: pods with Services, and either with a host's addresses and routes.

    nodes: by host name, the `network` part of its node_info.
    """
    problems = []
    wanted = [("kube_pod_cidrs", network) for network in pods] + [
        ("kube_service_cidrs", network) for network in services
    ]
    there = {
        version: list(_host_networks(nodes, version)) for version in {network.version for _label, network in wanted}
    }
    taken = {network for rows in there.values() for _host, _source, network in rows} | {*pods, *services}
    for pod in pods:
        for service in services:
            if _overlap(pod, service):
                text = "kube_pod_cidrs %s and kube_service_cidrs %s overlap; choose separate networks" % (pod, service)
                problems.append(text + _such_as(pod, taken))
    for label, network in wanted:
        for host, source, other in there[network.version]:
            if _overlap(network, other):
                text = "%s %s holds %s of %s, %s; choose a network that no host uses" % (
                    label,
                    network,
                    other,
                    host,
                    source,
                )
                problems.append(text + _such_as(network, taken))
    return problems


def _such_as(network, taken):
    """The way out by name."""
    found = free(network.prefixlen, sorted(taken, key=str)) if network.version == 4 else None
    return ", such as %s" % found if found else ""


def free(prefix: int, taken: list) -> str | None:
    """The first private IPv4 network of this prefix length that touches none of the taken ones; None where there is none."""
    if netaddr is None:
        return None
    left = netaddr.IPSet(PRIVATE) - netaddr.IPSet(str(network) for network in taken if network.version == 4)
    found = next((block for block in left.iter_cidrs() if block.prefixlen <= prefix), None)
    return None if found is None else str(next(found.subnet(prefix)))


def _host_networks(nodes, version):
    seen = set()
    for host, network in nodes.items():
        for route in network.get("routes") or []:
            if route.get("dst") in (None, "default") or (route.get("dev") or "").startswith(OWN_INTERFACES):
                continue
            found = _network(route["dst"])
            if (
                found is not None
                and found.version == version
                and found.prefixlen
                and not _ours(route)
                and (host, found) not in seen
            ):
                seen.add((host, found))
                yield host, "a route over %s" % route.get("dev"), found
        for resolver in network.get("nameservers") or []:
            found = _network(resolver)
            if found is not None and found.version == version:
                yield host, "its name server", found


def _ours(route):
    """The bridge network's own routes, marked by their protocol number (kube-bridge.service)."""
    return str(route.get("protocol")) == "107"


def _network(text):
    try:
        return ip_interface(str(text)).network
    except ValueError:
        return None


def _overlap(one, other):
    return one.version == other.version and one.overlaps(other)


def node_address(wanted: str, network: dict) -> tuple:
    """(address, problem) of a node in the cluster.

    wanted: the input kube_node_ip, an address, an interface, a CIDR or empty.
    network: the node's facts; without a wish the address that the route to the other nodes uses counts.
    """
    addresses = [
        (item["address"], interface["name"])
        for interface in network.get("interfaces") or []
        for item in interface.get("addresses") or []
        if item.get("scope") == "global" and not interface["name"].startswith(OWN_INTERFACES)
    ]
    known = [address for address, _name in addresses]
    if not wanted:
        default = network.get("default_ipv4") or network.get("default_ipv6") or {}
        address = network.get("probe_source") or default.get("address") or (known[0] if known else None)
        return address, None if address else "has no address but loopback; set kube_node_ip"
    if is_address(wanted):
        return wanted, None if wanted in known else "kube_node_ip %s is no address of the host (it has %s)" % (
            wanted,
            ", ".join(known),
        )
    if "/" in wanted:
        wish = _network(wanted)
        fits = [address for address in known if wish is not None and ip_address(address) in wish]
        return (
            (fits[0], None)
            if fits
            else (None, "kube_node_ip %s holds no address of the host (it has %s)" % (wanted, ", ".join(known)))
        )
    fits = [address for address, name in addresses if name == wanted]
    return (fits[0], None) if fits else (None, "kube_node_ip: the host has no interface %s with an address" % wanted)


def both_addresses(wanted: str, network: dict, families: list) -> tuple:
    """(addresses in the order of the families, problem) of a node whose pods have both of them.

    wanted: the input kube_node_ip; two addresses with a comma between, or as for node_address, whose interface then counts.
    families: 4 and 6 in the order of kube_pod_cidrs. https://docs.k3s.io/networking/basic-network-options#dual-stack-ipv4--ipv6-networking
    """
    found = {}
    for part in wanted.split(",") if wanted else [""]:
        address, problem = node_address(part.strip(), network)
        if problem:
            return [], problem
        found.setdefault(family(address), address)
    here = next(iter(found.values()))
    for version in set(families) - set(found):
        address = _other_family(here, network, version)
        if not address:
            text = "has no IPv%d address beside %s, and kube_pod_cidrs has networks of both families; give it one, or set kube_node_ip to both"
            return [], text % (version, here)
        found[version] = address
    return [found[version] for version in families], None


def _other_family(address, network, version):
    """The address of the other family on the same interface, else on any other of the host's."""
    rows = [row for row in network.get("interfaces") or [] if not row["name"].startswith(OWN_INTERFACES)]
    rows.sort(key=lambda row: address not in [item["address"] for item in row.get("addresses") or []])
    there = [item for row in rows for item in row.get("addresses") or [] if item.get("scope") == "global"]
    return next((item["address"] for item in there if family(item["address"]) == version), None)


def interface_of(address: str, network: dict) -> tuple:
    """(interface name, its network such as 10.0.0.0/24) that carries, or could carry, an address of the host's networks."""
    for interface in network.get("interfaces") or []:
        for item in interface.get("addresses") or []:
            here = _network("%s/%s" % (item["address"], item["prefix"]))
            if here is not None and ip_address(address) in here:
                return interface["name"], str(here)
    return None, None


def host_port(address: str, port: int) -> str:
    """ "10.0.0.1:6443" or "[fd00::1]:6443"."""
    return ("[%s]:%d" if ":" in address else "%s:%d") % (address, port)
