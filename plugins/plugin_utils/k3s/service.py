# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""K3s's service on a node, under systemd or OpenRC, its environment and its ports.

Names and files are those of upstream's script: https://github.com/k3s-io/k3s/blob/main/install.sh
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ..base.distribution import Cluster, File, Inputs, Node, port_row as row
from ..base.model import Datastore
from ..base.reference import K3S_BALANCER_PORT
from ..machine import proxy, service_units as units
from ..network import plugins as network

# Actions of the first server after which others can join.
STARTS = ("init", "convert")


def unit(role: str) -> str:
    """Return the name of the service of a node of this role."""
    return "k3s" if role == "control_plane" else "k3s-agent"


def unit_path(node: Node) -> str:
    """Return the path of the file that describes the service."""
    path = "/etc/init.d/%s" if _openrc(node) else "/etc/systemd/system/%s.service"
    return path % unit(node["role"])


def environment_path(node: Node) -> str:
    """Return the path of the file with the service's environment."""
    return "/etc/rancher/k3s/%s.env" % unit(node["role"]) if _openrc(node) else unit_path(node) + ".env"


def files(node: Node) -> list[File]:
    """Return the files of the service: [{path, content, mode}]."""
    role, binary = node["role"], node["inputs"]["k3s_binary"]
    if _openrc(node):
        rotation = {
            "path": "/etc/logrotate.d/" + unit(role),
            "content": units.k3s_logrotate(unit(role)),
            "mode": "0644",
        }
        return [{"path": unit_path(node), "content": units.k3s_openrc(role, binary), "mode": "0755"}, rotation]
    in_container = bool((node["info"].get("virtualization") or {}).get("container"))
    return [{"path": unit_path(node), "content": units.k3s(role, in_container, binary), "mode": "0644"}]


def proxy_files(node: Node, http_proxy: Inputs, no_proxy: Sequence[str]) -> list[File]:
    """Return the service's environment with the HTTP proxy, which may hold a login.

    https://docs.k3s.io/advanced#configuring-an-http-proxy
    """
    settings = proxy.environment(http_proxy, no_proxy)
    if not settings:
        return []
    path = node.get("environment") or environment_path(node)
    # A shell reads OpenRC's file.
    quoted = shlex.quote if path.startswith("/etc/rancher/") else str
    lines = ["# Made by kubewright.cluster.", *("%s=%s" % (name, quoted(value)) for name, value in settings.items())]
    return [{"path": path, "content": "\n".join(lines) + "\n", "mode": "0600", "secret": True}]


def _openrc(node: Node) -> bool:
    return bool(node["info"]["init"] == "openrc")


def ports(cluster: Cluster) -> list[dict[str, Any]]:
    """Return who must reach whom: {port, protocol, to, from, purpose}.

    https://docs.k3s.io/installation/requirements#networking
    """
    shared = cluster["shared"]
    rows = [row(cluster["api_port"], "tcp", "control planes", "all nodes, administrators", "K3s supervisor and API")]
    if Datastore.parse(cluster["datastore"]).is_embedded_etcd:
        rows.append(row("2379-2380", "tcp", "control planes", "control planes", "etcd"))
    rows.append(row(10250, "tcp", "all nodes", "all nodes", "kubelet"))
    rows += network.by_name(cluster["plugin"]).ports(shared["kube_network"]["options"])
    if shared["k3s_embedded_registry"]:
        rows.append(row(5001, "tcp", "all nodes", "all nodes", "images from node to node"))
        rows.append(row(cluster["api_port"], "tcp", "all nodes", "all nodes", "images from node to node"))
    rows.append(row("30000-32767", "tcp, udp", "all nodes", "clients of NodePort Services", "Services"))
    if cluster["endpoint"]["mode"] == "vip":
        port = cluster["endpoint"]["port"]
        rows.append(row(port, "tcp", "control planes", "all nodes, administrators", "API endpoint"))
        rows.append(row("-", "vrrp (112)", "control planes", "control planes", "virtual address"))
    return [*rows, row("-", "all", "all nodes", "pod networks %s" % ", ".join(cluster["pod_cidrs"]), "pods")]


def ports_held(endpoint: Mapping[str, Any]) -> list[tuple[int, str]]:
    """Return the port of K3s's own balancer, or of its API server beside it."""
    port = endpoint["port"] if endpoint["mode"] == "local" else K3S_BALANCER_PORT
    return [(port, "K3s's own API server or balancer")]


def actions(
    node: Node, plan: Mapping[str, Any], values: Inputs, info: Mapping[str, Any], part: Collection[str]
) -> dict[str, Any]:
    """Return who starts, who joins, what is restarted and how long is waited, for the role's tasks."""
    role = "server" if node["role"] == "control_plane" else "agent"
    emulated = (info.get("virtualization") or {}).get("vm") == "qemu"
    return {
        "role": role,
        "program": values["k3s_binary"] or None,
        "start": _start(node, plan, part),
        "join": node["action"] == "join",
        "join_until": ("started" if role == "agent" else "voting") if node["action"] == "join" else "ready",
        "restart": node["services"].get(unit(node["role"])) == "restarted",
        "timeout": values["k3s_timeout"] or (900 if emulated else 300),
    }


def _start(node: Node, plan: Mapping[str, Any], part: Collection[str]) -> dict[str, Any] | None:
    """Return what a node does while the first server starts: start too, unpack K3s to join at once, or nothing."""
    action = node["action"]
    if action in ("init", "wait", "convert"):
        return {
            "state": "started",
            "init": action == "init",
            "convert": action == "convert",
            "until": "serving" if "join" in node["stages"] else "ready",
        }
    leader = plan["leader"]
    first = plan["nodes"][leader]["action"] if leader else ""
    if action != "join" or first not in STARTS:
        return None
    joining = [
        plan["nodes"][host]["name"]
        for host in plan["control_planes"]
        if host in part and plan["nodes"][host]["action"] == "join"
    ]
    if joining and node["name"] != joining[0]:
        return None
    return {"state": "unpacked", "init": False, "convert": False, "until": "ready"}
