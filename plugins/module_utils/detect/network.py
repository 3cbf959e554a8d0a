# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interfaces, addresses, routes, and ports in use."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Dict, Sequence, Tuple

from . import network_proc as netfiles
from .host import Host

PORTS = (80, 443, 179, 2379, 2380, 6443, 6444, 7443, 8472, 10250, 10256, 10257, 10259)
STATES = {"tcp": "0A", "udp": "07"}
FAMILIES = ("-4", "-6")


# Routes of the machine itself and of its links, which lead nowhere else: ip-route(8).
OWN_ROUTES = ("local", "broadcast", "multicast", "anycast")
# Routes that lead nowhere.
DEAD_ROUTES = ("unreachable", "blackhole", "prohibit", "throw")
# What makes an address one that may go away, or that does not work: ip-address(8).
UNSTABLE = ("temporary", "deprecated", "tentative", "dadfailed")


def network(host: Host, probes: Sequence[str], pool: ThreadPoolExecutor) -> dict[str, Any]:
    """Return the `network` part.

    probes: addresses of the nodes. The routes to them show this node's own address in the cluster.
    """
    commands = (["ip", "-j", "addr"], *(["ip", "-j", family, "route", "show", "table", "all"] for family in FAMILIES))
    answers = [pool.submit(host.run, argv) for argv in commands]
    addresses, *ways = [entries(answer.result()) for answer in answers]
    interfaces = interfaces_of(addresses) if addresses else netfiles.interfaces(host)
    if addresses:
        routes = routes_of(ways[0], 4) + routes_of(ways[1], 6)
    else:
        routes = netfiles.routes4(host.read("/proc/net/route")) + netfiles.routes6(host.read("/proc/net/ipv6_route"))
    own = sources(host, probes)
    return {
        "interfaces": interfaces,
        "routes": routes,
        "default_ipv4": _default(routes, interfaces, 4),
        "default_ipv6": _default(routes, interfaces, 6),
        "probe_source": next(iter(own), None),
        "sources": own,
    }


def sources(host: Host, probes: Sequence[str]) -> dict[str, str]:
    """Return {own address: the first probe that is reached from it}; a probe without a route does not count."""
    found: Dict[str, str] = {}
    for probe in probes:
        own = host.source(probe)
        if own:
            found.setdefault(own, probe)
    return found


def entries(text: str | None) -> list[dict[str, Any]]:
    """Return the objects of a JSON list, [] if the text is not one."""
    try:
        found = json.loads(text or "[]")
    except (ValueError, RecursionError):
        return []
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def interfaces_of(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the interfaces in the answer of `ip -j addr`."""
    found = []
    for item in items:
        if not item.get("ifname"):
            continue
        addresses = [
            _address(entry) for entry in item.get("addr_info") or [] if isinstance(entry, dict) and entry.get("local")
        ]
        up = "UP" in (item.get("flags") or []) and item.get("operstate") != "DOWN"
        found.append(
            {
                "name": item["ifname"],
                "mac": item.get("address"),
                "mtu": item.get("mtu"),
                "up": up,
                "link": item.get("link_type"),
                "addresses": addresses,
            }
        )
    return found


def _address(entry: dict[str, Any]) -> dict[str, Any]:
    unstable = [flag for flag in UNSTABLE if entry.get(flag)]
    return {
        "address": entry["local"],
        "prefix": entry.get("prefixlen"),
        "family": 6 if entry.get("family") == "inet6" else 4,
        "scope": entry.get("scope"),
        **({"unstable": unstable[0]} if unstable else {}),
    }


def routes_of(items: list[dict[str, Any]], family: int) -> list[dict[str, Any]]:
    """Return the routes in the answer of `ip -j route`; of several next hops (ECMP) the first. family: 4 or 6.

    Those of all tables: VPNs have routes in tables of their own.
    """
    found = []
    for item in items:
        if not item.get("dst") or item.get("type") in OWN_ROUTES:
            continue
        hop = next((hop for hop in item.get("nexthops") or [] if isinstance(hop, dict)), item)
        found.append(
            {
                "dst": item["dst"],
                "via": hop.get("gateway") or (hop.get("via") or {}).get("host"),
                "dev": hop.get("dev"),
                "src": item.get("prefsrc"),
                "metric": item.get("metric") or 0,
                "family": family,
                "protocol": item.get("protocol"),
                "type": item["type"] if item.get("type") in DEAD_ROUTES else None,
                "table": None if item.get("table") in (None, "main") else str(item["table"]),
            }
        )
    return found


def _default(routes: list[dict[str, Any]], interfaces: list[dict[str, Any]], family: int) -> dict[str, Any] | None:
    ways = sorted(
        (
            route
            for route in routes
            if route["dst"] == "default" and route["family"] == family and not (route["type"] or route["table"])
        ),
        key=lambda route: route["metric"],
    )
    if not ways:
        return None
    way = ways[0]
    addresses = [
        entry["address"]
        for interface in interfaces
        if interface["name"] == way["dev"]
        for entry in interface["addresses"]
        if entry["family"] == family and entry["scope"] == "global" and not entry.get("unstable")
    ]
    return {
        "address": way["src"] or (addresses[0] if addresses else None),
        "interface": way["dev"],
        "gateway": way["via"],
    }


def accept_ra(host: Host, found: dict[str, Any]) -> dict[str, str]:
    """Return {name: value} of the sysctl that decides if the kernel takes the default route from router advertisements.

    Empty if the machine has no such route. found: the `network` part.
    """
    names = {
        route["dev"]
        for route in found["routes"]
        if route["dst"] == "default" and route["protocol"] == "ra" and route["family"] == 6 and not route["table"]
    }
    files = {name: "net/ipv6/conf/%s/accept_ra" % name for name in sorted(filter(None, names))}
    values = {path: host.line("/proc/sys/" + path) for path in files.values()}
    return {path: value for path, value in values.items() if value is not None}


def ports(host: Host) -> list[dict[str, Any]]:
    """Return [{port, protocol, address, process}] of listening sockets.

    The process is looked up only for ports that Kubernetes uses.
    """
    found: Dict[Tuple[int, str], Dict[str, Any]] = {}
    inodes: Dict[str, Tuple[int, str]] = {}
    for name in ("tcp", "tcp6", "udp", "udp6"):
        for port, address, inode in listeners(host.read("/proc/net/" + name, 8 << 20), STATES[name[:3]]):
            key = (port, name[:3])
            if key not in found:
                found[key] = {"port": port, "protocol": name[:3], "address": address, "process": None}
                if port in PORTS and inode != "0":
                    inodes[inode] = key
    for inode, process in host.sockets(sorted(inodes)).items():
        found[inodes[inode]]["process"] = process
    return [found[key] for key in sorted(found)]


def listeners(text: str | None, state: str) -> list[tuple[int, str | None, str]]:
    """Return [(port, address, inode)] of the sockets in a state, from a file like /proc/net/tcp."""
    found = []
    for line in (text or "").splitlines()[1:]:
        words = line.split()
        if len(words) >= 10 and words[3] == state and re.fullmatch(r"(?:[0-9A-F]{8}){1,4}:[0-9A-F]{4}", words[1]):
            address, port = words[1].split(":")
            found.append((int(port, 16), netfiles.address(address), words[9]))
    return found
