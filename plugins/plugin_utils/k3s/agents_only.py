# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Agents that join a K3s cluster created elsewhere: an inventory without servers, and the address of the cluster.

https://docs.k3s.io/cli/agent (server), https://docs.k3s.io/cli/token
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any
from urllib.parse import SplitResult, urlsplit

from ..base.distribution import Inputs
from ..base.findings import Finding
from ..inputs import network_forms
from . import auto_deploy

# https://docs.k3s.io/cli/token#bootstrap
_BOOTSTRAP = re.compile(r"[a-z0-9]{6}\.[a-z0-9]{16}")
_LOGIN = re.compile(r"//[^/]*@")


def joining_inputs(shared: Inputs) -> dict[str, Any]:
    """Return the cluster's inputs for agents only: K3s, and the server elsewhere as external endpoint."""
    url = _split(shared["k3s_server_url"])
    distribution = "k3s" if shared["kube_distribution"] == "auto" else shared["kube_distribution"]
    found = {**shared, "kube_distribution": distribution}
    if not url:
        return found
    port = url.port or 443
    endpoint = {**shared["kube_api_endpoint"], "mode": "external", "address": url.hostname, "port": port}
    return {**found, "kube_api_endpoint": endpoint, "kube_api_port": port}


def problems(
    values: Inputs, servers: Sequence[str], info: Mapping[str, Any] | None = None, host: str | None = None
) -> list[Finding]:
    """Check the inputs for a cluster elsewhere. No finding shows the token.

    servers: control planes of the inventory. info: the agent's facts, None if they are unknown. host: the agent.
    """
    url, token = values["k3s_server_url"], values["k3s_join_token"]
    if not url:
        text = "k3s_join_token is set, but k3s_server_url is missing. Set k3s_server_url too, or remove k3s_join_token."
        return [Finding("k3s_join_token.no_server_url", text)] if token else []
    shown = _LOGIN.sub("//", url)
    if servers:
        text = (
            "k3s_server_url %s: it needs an inventory with agents only, and this one has the servers %s. "
            "Remove k3s_server_url, or the servers from the inventory."
        ) % (shown, ", ".join(servers))
        return [Finding("k3s_server_url.with_servers", text, value=shown, limit=list(servers))]
    return [
        *_auto_deployed(values, shown),
        *_check_url(url, shown, info, host),
        *_check_token(token),
        *_check_release(values, shown),
    ]


def _auto_deployed(values: Inputs, shown: str) -> list[Finding]:
    """Refuse manifests and charts: K3s deploys them from the servers' disks."""
    text = "%s needs a server, and this inventory has agents only. Apply its items in the cluster at %s instead."
    given = [name for name in auto_deploy.INPUTS if values[name]]
    return [Finding("auto_deploy.no_server", text % (name, shown), value=name) for name in given]


def _check_url(url: str, shown: str, info: Mapping[str, Any] | None, host: str | None) -> list[Finding]:
    """Check the form of the address, and that it is not the agent's own."""
    parts = _split(url)
    if network_forms.url("https", login=True)(url):
        return []  # refused by its format already
    if not parts:
        text = "k3s_server_url: expected https://HOST:PORT without login and path, got %s." % shown
        return [Finding("k3s_server_url.format", text, value=shown)]
    if not _is_own(str(parts.hostname), info):
        return []
    text = "%s: k3s_server_url %s is the agent's own address. Set it to the address of a server of the cluster to join."
    return [Finding("k3s_server_url.own_address", text % (host or "agent", shown), host, shown)]


def _check_token(token: str) -> list[Finding]:
    """Check the form of the token."""
    if not token:
        text = (
            "k3s_server_url is set, but k3s_join_token is missing. Copy it from server/agent-token in the data "
            "directory of a server, or from server/node-token if that file does not exist."
        )
        return [Finding("k3s_join_token.missing", text)]
    if re.search(r"\s", token):
        text = "k3s_join_token contains white space. Copy the single line of server/agent-token."
        return [Finding("k3s_join_token.white_space", text)]
    if not _is_token(token):
        text = (
            "k3s_join_token starts with K10, but is not K10, 64 hexadecimal digits, :: and credentials. "
            "Copy the whole line of server/agent-token."
        )
        return [Finding("k3s_join_token.format", text)]
    return []


def _check_release(values: Inputs, shown: str) -> list[Finding]:
    """Check that the agents run K3s, and that their version is known."""
    found = []
    if values["kube_distribution"] == "kubeadm":
        text = "kube_distribution is kubeadm, but k3s_server_url %s joins a K3s cluster. "
        text += "Set kube_distribution: k3s, or remove k3s_server_url."
        found.append(Finding("k3s_server_url.needs_k3s", text % shown, value="kubeadm", limit="k3s"))
    if not values["kube_version"]:
        text = "kube_version is missing, and an agent must not be newer than the servers at %s. Set their version."
        found.append(Finding("k3s_server_url.no_version", text % shown))
    return found


def _is_token(token: str) -> bool:
    """Return True if K3s can read the token: a short one, one with the hash of the CA, or a bootstrap token.

    parseToken in pkg/clientaccess/token.go; https://docs.k3s.io/cli/token#token-format
    """
    if not token.startswith("K10"):
        return True
    authority, parted, login = token[3:].partition("::")
    if parted and len(authority) not in (0, 64):
        return False
    login = login if parted else authority
    return bool(login.partition(":")[2] or _BOOTSTRAP.fullmatch(login))


def _is_own(host: str, info: Mapping[str, Any] | None) -> bool:
    """Return True if the host of an address is the agent itself."""
    interfaces = ((info or {}).get("network") or {}).get("interfaces") or []
    own = {ip_address(item["address"]) for interface in interfaces for item in interface.get("addresses") or []}
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost"
    return address.is_loopback or address.is_unspecified or address in own


def _split(url: str) -> SplitResult | None:
    """Return the parts of an address https://host:port, None if it has another form."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme == "https" and parts.hostname and parts.path in ("", "/") and parts.port != 0
    except ValueError:
        return None
    return parts if valid and not parts.username else None
