# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interfaces, addresses, routes, and ports in use."""

from __future__ import annotations

import json
import os
import re
import socket

PORTS = (80, 443, 179, 2379, 2380, 6443, 7443, 8472, 10250, 10256, 10257, 10259)


def network(host, probe):
    """The `network` part. probe: address of another node; the address that the route to it uses is the cluster's."""
    interfaces, routes = _interfaces(host), _routes(host, 4) + _routes(host, 6)
    return {
        "interfaces": interfaces,
        "routes": routes,
        "default_ipv4": _default(routes, interfaces, 4),
        "default_ipv6": _default(routes, interfaces, 6),
        "probe_source": probe_source(probe) if probe else None,
    }


def _json(text):
    try:
        found = json.loads(text or "[]")
    except ValueError:
        return []
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _interfaces(host):
    found = []
    for item in _json(host.run(["ip", "-j", "addr"])):
        if not item.get("ifname"):
            continue
        addresses = [
            {"address": entry.get("local"), "prefix": entry.get("prefixlen"), "family": 6 if entry.get("family") == "inet6" else 4, "scope": entry.get("scope")}
            for entry in item.get("addr_info") or []
            if entry.get("local")
        ]
        up = "UP" in (item.get("flags") or []) and item.get("operstate") != "DOWN"
        found.append({"name": item["ifname"], "mac": item.get("address"), "mtu": item.get("mtu"), "up": up, "addresses": addresses})
    return found


def _routes(host, family):
    return [
        {
            "dst": item["dst"], "via": item.get("gateway"), "dev": item.get("dev"), "src": item.get("prefsrc"), "metric": item.get("metric", 0), "family": family,
            "protocol": item.get("protocol"),
        }
        for item in _json(host.run(["ip", "-j", "-%d" % family, "route"]))
        if item.get("dst")
    ]  # fmt: skip


def _default(routes, interfaces, family):
    ways = sorted((route for route in routes if route["dst"] == "default" and route["family"] == family), key=lambda route: route["metric"] or 0)
    if not ways:
        return None
    way = ways[0]
    addresses = [
        entry["address"] for interface in interfaces if interface["name"] == way["dev"] for entry in interface["addresses"] if entry["family"] == family and entry["scope"] == "global"
    ]
    return {"address": way["src"] or (addresses[0] if addresses else None), "interface": way["dev"], "gateway": way["via"]}


def probe_source(address):
    """The own address that packets to this address would carry; nothing is sent."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))
            return probe.getsockname()[0]
    except OSError:
        return None


def ports(host):
    """[{port, protocol, address, process}] of listening sockets; the process only for ports that Kubernetes uses."""
    found, inodes = {}, {}
    for name in ("tcp", "tcp6", "udp", "udp6"):
        for line in (host.read("/proc/net/" + name) or "").splitlines()[1:]:
            words = line.split()
            if len(words) < 10 or not re.fullmatch(r"[0-9A-F]+:[0-9A-F]{4}", words[1]) or words[3] != ("0A" if name.startswith("tcp") else "07"):
                continue
            address, port = words[1].split(":")
            key = (int(port, 16), name[:3])
            found.setdefault(key, {"port": key[0], "protocol": key[1], "address": _address(address), "process": None})
            if key[0] in PORTS:
                inodes["socket:[%s]" % words[9]] = key
    for inode, process in _processes(inodes):
        found[inodes[inode]]["process"] = process
    return [found[key] for key in sorted(found)]


def _address(text):
    data = bytes.fromhex(text)
    words = [data[position : position + 4][::-1] for position in range(0, len(data), 4)]
    try:
        return socket.inet_ntop(socket.AF_INET if len(data) == 4 else socket.AF_INET6, b"".join(words))
    except ValueError:
        return None


def _processes(inodes):
    if not inodes:
        return
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            for handle in os.scandir("/proc/%s/fd" % pid):
                target = os.readlink(handle.path)
                if target in inodes:
                    with open("/proc/%s/comm" % pid, encoding="utf-8", errors="replace") as stream:
                        yield target, stream.read().strip()
        except OSError:
            continue
