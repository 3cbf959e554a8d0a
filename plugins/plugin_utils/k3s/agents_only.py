# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Agents that join a K3s cluster made elsewhere: an inventory without servers, and where the cluster is.

https://docs.k3s.io/cli/agent (server), https://docs.k3s.io/cli/token
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from . import auto_deploy as k3s_addons

# https://docs.k3s.io/cli/token#bootstrap
_BOOTSTRAP = re.compile(r"[a-z0-9]{6}\.[a-z0-9]{16}")


def settled(shared: dict) -> dict:
    """The cluster's inputs for agents alone: K3s, whose endpoint is the server elsewhere."""
    place = _split(shared["k3s_server_url"])
    wish = "k3s" if shared["kube_distribution"] == "auto" else shared["kube_distribution"]
    found = {**shared, "kube_distribution": wish}
    if not place:
        return found
    outside = {**shared["kube_api_endpoint"], "mode": "external", "address": place.hostname, "port": place.port or 443}
    return {**found, "kube_api_endpoint": outside, "kube_api_port": outside["port"]}


def problems(values: dict, servers: list, info: dict | None = None) -> list:
    """Sentences on the inputs of a cluster elsewhere. The token is never shown.

    servers: control planes of the inventory. info: the agent's facts, None where it was not looked at.
    """
    url, token = values["k3s_server_url"], values["k3s_join_token"]
    if not url:
        return ["k3s_join_token is set without k3s_server_url; set that too, or drop it"] if token else []
    if servers:
        return [
            "k3s_server_url %s is for an inventory of agents alone, and %s would be servers of a cluster here; drop one of the two"
            % (url, ", ".join(servers))
        ]
    found = [
        "%s: these are files of servers, and this inventory has none; apply them in the cluster at %s" % (name, url)
        for name in k3s_addons.INPUTS
        if values[name]
    ]
    if not _split(url):
        found.append("k3s_server_url %r is no address; write it as https://server.example:6443" % url)
    elif _leads_back(_split(url).hostname, info):
        found.append("k3s_server_url %s leads an agent back to itself; name a server of the cluster that is joined" % url)
    if not token:
        found.append(
            "k3s_server_url is set without k3s_join_token; it is in server/agent-token of a server's data directory, "
            "or in server/node-token where there is none"
        )
    elif re.search(r"\s", token):
        found.append("k3s_join_token has white space in it; give the one line of server/agent-token")
    elif not _whole(token):
        found.append("k3s_join_token begins with K10, but is not K10, 64 digits, :: and a login; give the whole line of server/agent-token")
    if values["kube_distribution"] == "kubeadm":
        found.append("kube_distribution kubeadm: k3s_server_url leads to a K3s cluster; set kube_distribution to k3s, or drop it")
    if not values["kube_version"]:
        found.append("kube_version is missing; an agent may not be newer than the servers at k3s_server_url: name their version")
    return found


def _whole(token):
    """Whether K3s can read the token: a short one, one that names the authority too, or a bootstrap token.

    parseToken in pkg/clientaccess/token.go; https://docs.k3s.io/cli/token#token-format
    """
    if not token.startswith("K10"):
        return True
    authority, parted, login = token[3:].partition("::")
    if parted and len(authority) not in (0, 64):
        return False
    login = login if parted else authority
    return bool(login.partition(":")[2] or _BOOTSTRAP.fullmatch(login))


def _leads_back(host, info):
    """Whether a host of an address is the agent itself."""
    interfaces = ((info or {}).get("network") or {}).get("interfaces") or []
    own = {ip_address(item["address"]) for interface in interfaces for item in interface.get("addresses") or []}
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost"
    return address.is_loopback or address.is_unspecified or address in own


def _split(url):
    """The parts of an address https://host:port, None where it is none."""
    try:
        parts = urlsplit(url)
        good = parts.scheme == "https" and parts.hostname and parts.path in ("", "/") and not parts.username and parts.port != 0
    except ValueError:
        return None
    return parts if good else None
