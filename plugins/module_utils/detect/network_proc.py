# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interfaces and routes from files of the kernel: BusyBox's `ip` cannot print JSON, and some machines have none."""

from __future__ import annotations

import ipaddress
import re
import socket
import sys
from typing import Any, Dict, List

from .host import Host, number

RTF_UP, RTF_GATEWAY, RTF_REJECT = 0x1, 0x2, 0x200
SCOPES = {"00": "global", "10": "host", "20": "link", "40": "site"}
# IFA_F_TEMPORARY, _DADFAILED, _DEPRECATED and _TENTATIVE of include/uapi/linux/if_addr.h
UNSTABLE = ((0x01, "temporary"), (0x20, "deprecated"), (0x40, "tentative"), (0x08, "dadfailed"))
# ARPHRD_ETHER, _LOOPBACK and _NONE of include/uapi/linux/if_arp.h, with the names that `ip` gives them
LINKS = {1: "ether", 772: "loopback", 65534: "none"}


def address(text: str) -> str | None:
    """Return the IP address that the kernel wrote as hexadecimal words in its own byte order; None if it is not one."""
    try:
        data = bytes.fromhex(text)
        if sys.byteorder == "little":
            data = b"".join(data[start : start + 4][::-1] for start in range(0, len(data), 4))
        return socket.inet_ntop(socket.AF_INET if len(data) == 4 else socket.AF_INET6, data)
    except ValueError:
        return None


def interfaces(host: Host) -> list[dict[str, Any]]:
    """Return the interfaces in the form that `ip addr` gives."""
    own = _addresses6(host.read("/proc/net/if_inet6"))
    for name, entry in _addresses4(host.read("/proc/net/fib_trie"), routes4(host.read("/proc/net/route"))):
        own.setdefault(name, []).insert(0, entry)
    found = []
    for name in host.names("/sys/class/net") or []:
        place = "/sys/class/net/%s/" % name
        if host.exists(place + "ifindex"):
            flags = host.line(place + "flags") or "0"
            up = (
                bool(re.fullmatch("0x[0-9a-fA-F]{1,8}", flags) and int(flags, 16) & 1)
                and host.line(place + "operstate") != "down"
            )
            found.append(
                {
                    "name": name,
                    "mac": host.line(place + "address"),
                    "mtu": number(host.line(place + "mtu")),
                    "up": up,
                    "link": LINKS.get(number(host.line(place + "type")) or 0),
                    "addresses": own.get(name, []),
                }
            )
    return found


def _addresses4(trie: str | None, routes: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """Return [(interface, address entry)] of the local addresses, each on the interface whose network contains it."""
    nets = [
        (ipaddress.ip_network(route["dst"]), route["dev"])
        for route in routes
        if route["via"] is None and route["dst"] != "default"
    ]
    found = []
    for text in sorted(set(re.findall(r"\|-- ([0-9.]{7,15})\n\s+/32 host LOCAL", trie or ""))):
        try:
            one = ipaddress.ip_address(text)
        except ValueError:
            continue
        near = max(((net.prefixlen, device) for net, device in nets if one in net), default=None)
        if near:
            found.append((near[1], {"address": text, "prefix": near[0], "family": 4, "scope": "global"}))
        elif one.is_loopback:
            found.append(("lo", {"address": text, "prefix": 8, "family": 4, "scope": "host"}))
    return found


def _addresses6(text: str | None) -> dict[str, list[dict[str, Any]]]:
    """Return {interface: [address entry]} from the text of /proc/net/if_inet6."""
    found: Dict[str, List[Dict[str, Any]]] = {}
    for words in (line.split() for line in (text or "").splitlines()):
        if len(words) == 6 and re.fullmatch("[0-9a-f]{32}", words[0]) and re.fullmatch("[0-9a-f]{2}", words[2]):
            entry = {
                "address": _six(words[0]),
                "prefix": int(words[2], 16),
                "family": 6,
                "scope": SCOPES.get(words[3], "global"),
            }
            flags = int(words[4], 16) if re.fullmatch("[0-9a-f]{1,8}", words[4]) else 0
            unstable = [name for bit, name in UNSTABLE if flags & bit]
            if unstable:
                entry["unstable"] = unstable[0]
            found.setdefault(words[5], []).append(entry)
    return found


def _six(digits: str) -> str:
    return socket.inet_ntop(socket.AF_INET6, bytes.fromhex(digits))


def routes4(text: str | None) -> list[dict[str, Any]]:
    """Return the routes in the text of /proc/net/route."""
    found = []
    for words in (line.split() for line in (text or "").splitlines()[1:]):
        if len(words) < 8 or not all(re.fullmatch("[0-9A-Fa-f]{1,8}", words[place]) for place in (1, 2, 3, 7)):
            continue
        flags = int(words[3], 16)
        mask = address(words[7].zfill(8)) or "0.0.0.0"
        bits = bin(int(ipaddress.ip_address(mask))).count("1")
        target = ipaddress.ip_network("%s/%d" % (address(words[1].zfill(8)), bits), strict=False)
        via = address(words[2].zfill(8)) if flags & RTF_GATEWAY else None
        if flags & RTF_UP and not flags & RTF_REJECT:
            found.append(_route("default" if bits == 0 else str(target), via, words[0], number(words[6]), 4))
    return found


def routes6(text: str | None) -> list[dict[str, Any]]:
    """Return the routes in the text of /proc/net/ipv6_route, without those of local addresses and of multicast."""
    found = []
    for words in (line.split() for line in (text or "").splitlines()):
        if len(words) != 10 or not all(
            re.fullmatch("[0-9a-f]{%d}" % length, words[place])
            for place, length in ((0, 32), (1, 2), (4, 32), (5, 8), (8, 8))
        ):
            continue
        flags, bits = int(words[8], 16), int(words[1], 16)
        if (
            flags & RTF_UP
            and not flags & RTF_REJECT
            and words[9] != "lo"
            and not words[0].startswith("ff")
            and bits < 128
        ):
            target = "default" if bits == 0 else "%s/%d" % (_six(words[0]), bits)
            found.append(
                _route(target, _six(words[4]) if flags & RTF_GATEWAY else None, words[9], int(words[5], 16), 6)
            )
    return found


def _route(target: str, via: str | None, device: str, metric: int | None, family: int) -> dict[str, Any]:
    return {
        "dst": target,
        "via": via,
        "dev": device,
        "src": None,
        "metric": metric or 0,
        "family": family,
        "protocol": None,
        "type": None,
        "table": None,
    }
