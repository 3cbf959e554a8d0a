# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API's one address: where it is, and the proxy's and keepalived's configuration.

https://github.com/kubernetes/kubeadm/blob/main/docs/ha-considerations.md
"""

from __future__ import annotations

import zlib

from ..base.reference import ENDPOINT_PORT
from ..machine import service_units
from .addresses import host_port, interface_of, is_address

DIRECTORY = "/etc/kubewright/endpoint"
UNITS = ["kube-endpoint", "kube-endpoint-vip"]


def choose(wish: dict, api_port: int, control_planes: list, balancer_port: int | None = None) -> tuple:
    """The endpoint of a cluster and what is wrong with the wish.

    wish: the input kube_api_endpoint. control_planes: their addresses. balancer_port: of the distribution that balances on its own, as K3s does, else None.
    Returns ({mode, address, port, host_port, proxied}, problems); proxied are the roles of the nodes that run our proxy.
    """
    mode = wish.get("mode") or ("vip" if wish.get("address") else "local")
    problems = []
    address = wish.get("address")
    if mode in ("vip", "external") and not address:
        problems.append("kube_api_endpoint.mode %s needs kube_api_endpoint.address" % mode)
    if mode == "vip" and address and not is_address(address):
        problems.append("kube_api_endpoint.address %r is no IP address, which a virtual address must be" % address)
    if mode in ("local", "none") and address:
        problems.append(
            "kube_api_endpoint.address has no meaning with mode %s; drop it or choose vip or external" % mode
        )
    if mode == "vip" and address in control_planes:
        problems.append("kube_api_endpoint.address %s is a node's own address; choose one that no host has" % address)
    if mode == "none" and len(control_planes) > 1:
        problems.append(
            "kube_api_endpoint.mode none fits one control plane, the inventory has %d; choose local, vip or external"
            % len(control_planes)
        )
    if mode == "local":
        address = "127.0.0.1"
    if mode == "none":
        address = control_planes[0] if control_planes else "127.0.0.1"
    own = balancer_port if balancer_port and mode == "local" else ENDPOINT_PORT
    port = wish.get("port") or (own if mode in ("local", "vip") else api_port)
    if mode in ("local", "vip") and port == api_port:
        problems.append(
            "kube_api_endpoint.port %d is the API servers' own port (kube_api_port); the proxy needs another" % port
        )
    return {
        "mode": mode,
        "address": address or "127.0.0.1",
        "port": port,
        "host_port": host_port(address or "127.0.0.1", port),
        "proxied": {"local": [] if balancer_port else ["control_plane", "worker"], "vip": ["control_plane"]}.get(mode, []),
    }, problems


def haproxy(endpoint: dict, api_port: int, control_planes: list) -> str:
    """HAProxy's configuration: TCP to the control planes whose /readyz answers.

    Checked once a second and down after two failures or a refused connection, so that a client waits seconds, not its own time limit.
    Where all are down, all are tried: slow answers, and words of why, are better than a closed connection. For the same reason a single one is not checked.
    control_planes: [{name, address}] sorted by name.
    """
    bind = "127.0.0.1:%d" % endpoint["port"] if endpoint["mode"] == "local" else ":::%d v4v6" % endpoint["port"]
    lines = [
        "# Made by kubewright.cluster.",
        "global",
        "  maxconn 4000",
        "  stats socket /run/kube-endpoint/haproxy.sock mode 600 level admin",
        "defaults",
        "  mode tcp",
        "  option redispatch 1",
        "  retries 3",
        "  timeout connect 2s",
        "  timeout check 1s",
        # Watches are quiet for long; the API server ends them by itself within the hour.
        "  timeout client 2h",
        "  timeout server 2h",
        "frontend kube-api",
        "  bind %s" % bind,
        "  default_backend control-planes",
        "backend control-planes",
        "  balance leastconn",
    ]
    places = [(member["name"], host_port(member["address"], api_port)) for member in control_planes]
    if len(places) == 1:
        return "\n".join([*lines, "  server %s %s" % places[0]]) + "\n"
    check = "check check-ssl verify none inter 1s fastinter 500ms downinter 1s fall 2 rise 1 on-marked-down shutdown-sessions"
    lines += ["  option httpchk GET /readyz", "  http-check expect rstatus ^(200|401|403)$", "  option allbackups"]
    lines += ["  server %s %s %s" % (*place, check) for place in places]
    lines += ["  server %s-unchecked %s backup" % place for place in places]
    return "\n".join(lines) + "\n"


def keepalived(endpoint: dict, wish: dict, member: dict, members: list, network: dict) -> tuple:
    """keepalived's configuration on one control plane, and what is wrong. VRRP goes to the other members by unicast.

    member: {name, address} of this node. members: all control planes. network: the node's facts.
    """
    interface, holds = interface_of(endpoint["address"], network)
    interface = wish.get("interface") or interface
    if not interface:
        return "", [
            "no interface's network holds the virtual address %s; set kube_api_endpoint.interface" % endpoint["address"]
        ]
    if interface not in [item["name"] for item in network.get("interfaces") or []]:
        return "", ["kube_api_endpoint.interface %s does not exist" % interface]
    prefix = holds.split("/")[1] if holds else ("128" if ":" in endpoint["address"] else "32")
    peers = [peer["address"] for peer in members if peer["address"] != member["address"]]
    router = wish.get("virtual_router_id") or zlib.crc32(endpoint["address"].encode()) % 255 + 1
    lines = [
        "# Made by kubewright.cluster.",
        "global_defs {",
        "  enable_script_security",
        "  script_user root",
        "}",
        "vrrp_script proxy {",
        '  script "/bin/systemctl is-active --quiet kube-endpoint"',
        "  interval 1",
        "  fall 2",
        "  rise 1",
        "}",
        "vrrp_instance kube_api {",
        "  state BACKUP",
        "  nopreempt",
        "  interface %s" % interface,
        "  virtual_router_id %d" % router,
        "  priority %d" % (100 + len(members) - [peer["address"] for peer in members].index(member["address"])),
        "  advert_int 1",
        "  unicast_src_ip %s" % member["address"],
        *(["  unicast_peer {"] + ["    %s" % peer for peer in peers] + ["  }"] if peers else []),
        "  virtual_ipaddress {",
        "    %s/%s dev %s" % (endpoint["address"], prefix, interface),
        "  }",
        "  track_script {",
        "    proxy",
        "  }",
        "}",
    ]
    return "\n".join(lines) + "\n", []


def files(node: dict, cluster: dict) -> list:
    """Files of the endpoint's proxy and virtual address on one node."""
    endpoint = cluster["endpoint"]
    if node["role"] not in endpoint["proxied"]:
        return []
    config = DIRECTORY + "/haproxy.cfg"
    made = [
        {"path": config, "content": haproxy(endpoint, cluster["api_port"], cluster["members"]), "mode": "0644"},
        {"path": "/etc/systemd/system/kube-endpoint.service", "content": service_units.endpoint(config), "mode": "0644"},
    ]
    if endpoint["mode"] != "vip":
        return made
    here = {"name": node["name"], "address": node["address"]}
    text, _problems = keepalived(
        endpoint, node["inputs"]["kube_api_endpoint"], here, cluster["members"], node["info"]["network"]
    )
    return made + [
        {"path": DIRECTORY + "/keepalived.conf", "content": text, "mode": "0644"},
        {
            "path": "/etc/systemd/system/kube-endpoint-vip.service",
            "content": service_units.virtual_address(DIRECTORY + "/keepalived.conf"),
            "mode": "0644",
        },
    ]
