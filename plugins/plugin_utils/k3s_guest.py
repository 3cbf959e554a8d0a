# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Agents that join a K3s cluster made elsewhere: an inventory without servers, and where the cluster is.

https://docs.k3s.io/cli/agent (server), https://docs.k3s.io/cli/token
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from . import k3s_addons

DATASTORE = "of the cluster that is joined"
# A short token, one that names the authority too, or a bootstrap token: https://docs.k3s.io/cli/token#token-format
_TOKEN = re.compile(r"\S+")


def settled(shared: dict) -> dict:
    """The cluster's inputs for agents alone: K3s, whose endpoint is the server elsewhere."""
    place = _split(shared["k3s_server_url"])
    wish = "k3s" if shared["kube_distribution"] == "auto" else shared["kube_distribution"]
    found = {**shared, "kube_distribution": wish}
    if not place:
        return found
    outside = {**shared["kube_api_endpoint"], "mode": "external", "address": place.hostname, "port": place.port or 443}
    return {**found, "kube_api_endpoint": outside, "kube_api_port": outside["port"]}


def problems(values: dict, servers: list) -> list:
    """Sentences on the inputs of a cluster elsewhere. servers: control planes of the inventory. The token is never shown."""
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
    if not token:
        found.append("k3s_server_url is set without k3s_join_token; it is in server/node-token of a server's data directory")
    elif not _TOKEN.fullmatch(token):
        found.append("k3s_join_token has white space in it; give the one line of server/node-token")
    if values["kube_distribution"] == "kubeadm":
        found.append("kube_distribution kubeadm: k3s_server_url leads to a K3s cluster; set kube_distribution to k3s, or drop it")
    if not values["kube_version"]:
        found.append("kube_version is missing; an agent may not be newer than the servers at k3s_server_url: name their version")
    return found


def _split(url):
    """The parts of an address https://host:port, None where it is none."""
    try:
        parts = urlsplit(url)
        good = parts.scheme == "https" and parts.hostname and parts.path in ("", "/") and not parts.username and parts.port != 0
    except ValueError:
        return None
    return parts if good else None
