# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API endpoint: where it is, and the configuration of HAProxy and keepalived.

https://github.com/kubernetes/kubeadm/blob/main/docs/ha-considerations.md
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from ..base.distribution import Cluster, File, Node
from ..base.findings import Finding
from ..base.model import Endpoint, Member
from ..base.reference import ENDPOINT_PORT
from ..machine import service_units
from .addresses import (
    family,
    host_port,
    interface_of,
    is_address,
    is_engine_bridge,
    is_own,
    link_network,
    network_of,
    of_host,
    usable,
)

DIRECTORY = "/etc/kubewright/endpoint"
# keepalived.conf includes it, so that the plan has the one and never the other.
PASSWORD_FILE = DIRECTORY + "/keepalived-password.conf"
# The keys of kube_api_endpoint that only a virtual address has.
ONLY_VIRTUAL = ("interface", "virtual_router_id", "password")
VIRTUAL_ADDRESS = "kube-endpoint-vip"
UNITS = ["kube-endpoint", VIRTUAL_ADDRESS]


def choose(
    wanted: Mapping[str, Any],
    api_port: int,
    control_planes: Sequence[str],
    balancer_port: int | None = None,
    others: int = 0,
) -> tuple[Endpoint, list[Finding]]:
    """Return the endpoint of a cluster, and what is wrong with the input.

    wanted: the input kube_api_endpoint. control_planes: their addresses. balancer_port: of a distribution that balances
    itself, as K3s does, otherwise None. others: number of nodes that are not control planes.
    """
    mode = wanted.get("mode") or ("vip" if wanted.get("address") else "local")
    problems = _address_problems(mode, wanted.get("address"), wanted.get("port"), control_planes)
    address = (wanted.get("address") or "").lower()
    problems += _setting_problems(mode, wanted, address)
    port = wanted.get("port") or api_port
    if mode == "external" and is_own(address) and port == api_port and len(control_planes) + others > 1:
        text = (
            "kube_api_endpoint: with mode external and the address %s each node would ask itself at port %d, where "
            "only a control plane has an API server. Set the address of your load balancer, or the port at which one "
            "listens on every node, or use mode local."
        )
        problems.append(Finding("endpoint.own_address", text % (address, port), value=address, limit=port))
    if mode == "local":
        address = "127.0.0.1"
    if mode == "none":
        address = control_planes[0] if control_planes else "127.0.0.1"
    own = balancer_port if balancer_port and mode == "local" else ENDPOINT_PORT
    port = wanted.get("port") or (own if mode in ("local", "vip") else api_port)
    if mode in ("local", "vip") and port == api_port:
        text = "kube_api_endpoint.port %d is the API servers' own port (kube_api_port). Set another one."
        problems.append(Finding("endpoint.port_of_api", text % port, value=port))
    proxied = {"local": [] if balancer_port else ["control_plane", "worker"], "vip": ["control_plane"]}
    address = address or "127.0.0.1"
    return {
        "mode": mode,
        "address": address,
        "port": port,
        "host_port": host_port(address, port),
        "proxied": proxied.get(mode, []),
    }, problems


def _setting_problems(mode: str, wanted: Mapping[str, Any], address: str) -> list[Finding]:
    """Refuse settings that have no effect with the mode, and a password that the address cannot have."""
    problems: list[Finding] = []
    unused = [key for key in ONLY_VIRTUAL if wanted.get(key) and mode != "vip"]
    if unused:
        text = "kube_api_endpoint: %s has no effect with mode %s, only with vip. Remove it, or set the mode to vip."
        listed = " and ".join(unused)
        problems.append(Finding("endpoint.unused_setting", text % (listed, mode), value=listed, limit=mode))
    if mode == "vip" and wanted.get("password") and ":" in str(address):
        text = (
            "kube_api_endpoint.password cannot be used with the IPv6 address %s: VRRP has no passwords there. Remove "
            "it; messages from other addresses than the control planes' are ignored in any case."
        )
        problems.append(Finding("endpoint.password_ipv6", text % address, value=address))
    return problems


def _address_problems(mode: str, address: str | None, port: int | None, control_planes: Sequence[str]) -> list[Finding]:
    found = []
    if mode in ("vip", "external") and not address:
        text = "kube_api_endpoint.mode %s needs an address. Set kube_api_endpoint.address."
        found.append(Finding("endpoint.no_address", text % mode, value=mode))
    if mode == "vip" and address and not is_address(address):
        text = (
            "kube_api_endpoint.address %s is not an IP address. A virtual address (mode vip) must be one; "
            "use mode external for a name."
        )
        found.append(Finding("endpoint.not_an_ip_address", text % address, value=address))
    if mode in ("local", "none") and address:
        text = "kube_api_endpoint.address %s is not used with mode %s. Remove it, or set the mode to vip or external."
        found.append(Finding("endpoint.unused_address", text % (address, mode), value=address, limit=mode))
    if mode == "vip" and address in control_planes:
        text = "kube_api_endpoint.address %s is the address of a node. Choose one that no host has."
        found.append(Finding("endpoint.address_of_node", text % address, value=address))
    if mode == "none" and port:
        text = "kube_api_endpoint.port %s is not used with mode none: clients connect to kube_api_port. Remove it."
        found.append(Finding("endpoint.unused_port", text % port, value=port, limit=mode))
    if mode == "none" and len(control_planes) > 1:
        text = (
            "kube_api_endpoint.mode none works with one control plane, the inventory has %d. Set it to "
            "local, vip or external."
        )
        found.append(
            Finding("endpoint.none_with_several", text % len(control_planes), value=len(control_planes), limit=1)
        )
    return found


def haproxy(endpoint: Endpoint, api_port: int, control_planes: Sequence[Member]) -> str:
    """Return HAProxy's configuration: TCP to the control planes whose /readyz answers.

    Each is checked once a second and is down after two failures or a refused connection, so that a client waits
    seconds, not its own timeout. If all are down, all are tried: a slow answer, or an error that says why, is better
    than a closed connection. For the same reason a single one is not checked. control_planes: sorted by name.
    """
    # A kernel may have no IPv6, so the addresses of that family are bound only where the cluster has some.
    six = any(":" in str(place) for place in (endpoint.get("address"), *(one["address"] for one in control_planes)))
    every = ":::%d v4v6" % endpoint["port"] if six else "*:%d" % endpoint["port"]
    bind = "127.0.0.1:%d" % endpoint["port"] if endpoint["mode"] == "local" else every
    lines = [
        "# Made by kubewright.cluster.",
        "global",
        # As in the packages' own configuration: the process that clients talk to is not root and sees no files.
        "  user haproxy",
        "  group haproxy",
        "  chroot /var/lib/haproxy",
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
    check = (
        "check check-ssl verify none inter 1s fastinter 500ms downinter 1s fall 2 rise 1 on-marked-down "
        "shutdown-sessions"
    )
    lines += ["  option httpchk GET /readyz", "  http-check expect rstatus ^(200|401|403)$", "  option allbackups"]
    lines += ["  server %s %s %s" % (*place, check) for place in places]
    lines += ["  server %s-unchecked %s backup" % place for place in places]
    return "\n".join(lines) + "\n"


def virtual_interface(endpoint: Endpoint, wanted: Mapping[str, Any], network: Mapping[str, Any]) -> str | None:
    """Return the interface of a control plane that gets the virtual address; None if no interface fits.

    network: the node's facts.
    """
    return wanted.get("interface") or _holder(endpoint["address"], network)[0]


def _holder(address: str, network: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return (interface, its network) of a control plane by which others can reach the virtual address.

    An interface that is down now counts: the configuration of a running node must not depend on a cable.
    """
    names = {one.interface for one in of_host(network)}
    rows = [row for row in network.get("interfaces") or [] if row["name"] in names]
    return interface_of(address, {"interfaces": [row for row in rows if not is_engine_bridge(row["name"])]})


def check_virtual_address(
    host: str, endpoint: Endpoint, wanted: Mapping[str, Any], network: Mapping[str, Any], own: str | None = None
) -> list[Finding]:
    """Check that a control plane has an interface for the virtual address, and an address of its family.

    own: the node's address, from which VRRP goes to the others.
    """
    if own and family(own) != family(endpoint["address"]):
        text = (
            "%s: kube_api_endpoint.address %s and the node's address %s have different address families. Choose a "
            "virtual address of the family that kube_pod_cidrs lists first."
        )
        values = (host, endpoint["address"], own)
        return [Finding("endpoint.family", text % values, host, endpoint["address"], own)]
    interface = virtual_interface(endpoint, wanted, network)
    known = [item["name"] for item in network.get("interfaces") or []]
    if not interface:
        return [_no_interface(host, endpoint["address"], network, own)]
    if interface not in known:
        text = "%s: kube_api_endpoint.interface %s does not exist on the host, which has %s."
        return [
            Finding(
                "endpoint.unknown_interface",
                text % (host, interface, ", ".join(known)),
                host,
                interface,
                ", ".join(known),
            )
        ]
    return []


def _no_interface(host: str, address: str, network: Mapping[str, Any], own: str | None) -> Finding:
    """Return the refusal of a virtual address outside of the networks of a control plane. own: the node's address."""
    known = [one for one in usable(network) if one.family == family(address)]
    networks = {str(one.interface): str(link_network(one, network)) for one in known}
    shown = ", ".join("%s on %s" % (text, name) for name, text in networks.items()) or "none of its family"
    text = "%s: the virtual address %s is in none of the host's networks (%s), so other hosts do not find it. %s."
    interface = interface_of(own, network)[0] if own else None
    near = network_of(networks.get(interface or "", ""))
    if near is None or near.num_addresses > 1:
        way_out = "Choose a free address%s. If a router sends it to this network, set kube_api_endpoint.interface%s" % (
            " in %s" % near if near else " in one of them",
            ": %s" % interface if interface else "",
        )
    else:  # clouds and VPNs forward only to the addresses that they gave
        way_out = "Use mode local, or mode external with a load balancer of yours"
    return Finding("endpoint.no_interface", text % (host, address, shown, way_out), host, address, shown)


def keepalived(
    endpoint: Endpoint, wanted: Mapping[str, Any], member: Member, members: Sequence[Member], network: Mapping[str, Any]
) -> str:
    """Return keepalived's configuration on one control plane, empty if it has no interface for the address.

    VRRP goes to the other members by unicast. member: this node. members: all control planes. network: the node's
    facts.
    """
    interface, holds = virtual_interface(endpoint, wanted, network), _holder(endpoint["address"], network)[1]
    if not interface:
        return ""
    address = "%s/%s dev %s" % (endpoint["address"], holds.split("/")[1] if holds else "32", interface)
    if ":" in endpoint["address"]:
        # Deprecated, so that no connection begins at it (RFC 6724, section 5): etcd checks its peers' addresses.
        address = "%s/128 dev %s preferred_lft 0" % (endpoint["address"], interface)
    peers = [peer["address"] for peer in members if peer["address"] != member["address"]]
    router = wanted.get("virtual_router_id") or zlib.crc32(endpoint["address"].encode()) % 255 + 1
    lines = [
        "# Made by kubewright.cluster.",
        "global_defs {",
        # Only the other control planes are believed: keepalived.conf(5).
        *(["  vrrp_check_unicast_src"] if peers else []),
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
        *(["  include %s" % PASSWORD_FILE] if wanted.get("password") else []),
        "  unicast_src_ip %s" % member["address"],
        *(["  unicast_peer {"] + ["    %s" % peer for peer in peers] + ["  }"] if peers else []),
        "  virtual_ipaddress {",
        "    " + address,
        "  }",
        "  track_script {",
        "    proxy",
        "  }",
        "}",
    ]
    return "\n".join(lines) + "\n"


def secret_files(node: Node, cluster: Cluster) -> list[File]:
    """Return the file with the password of VRRP, on a control plane that may hold the virtual address."""
    password = node["inputs"]["kube_api_endpoint"].get("password")
    if not password or node["role"] != "control_plane" or cluster["endpoint"]["mode"] != "vip":
        return []
    content = "authentication {\n  auth_type PASS\n  auth_pass %s\n}\n" % password
    return [{"path": PASSWORD_FILE, "content": content, "mode": "0600", "secret": True}]


def files(node: Node, cluster: Cluster) -> list[File]:
    """Return the files of the endpoint's proxy and virtual address on one node."""
    endpoint = cluster["endpoint"]
    if node["role"] not in endpoint["proxied"]:
        return []
    config = DIRECTORY + "/haproxy.cfg"
    made: list[File] = [
        {"path": config, "content": haproxy(endpoint, cluster["api_port"], cluster["members"]), "mode": "0644"},
        {
            "path": "/etc/systemd/system/kube-endpoint.service",
            "content": service_units.endpoint(config),
            "mode": "0644",
        },
    ]
    if endpoint["mode"] != "vip":
        return made
    here: Member = {"name": node["name"], "address": node["address"]}
    text = keepalived(endpoint, node["inputs"]["kube_api_endpoint"], here, cluster["members"], node["info"]["network"])
    return made + [
        {"path": DIRECTORY + "/keepalived.conf", "content": text, "mode": "0644"},
        {
            "path": "/etc/systemd/system/kube-endpoint-vip.service",
            "content": service_units.virtual_address(DIRECTORY + "/keepalived.conf"),
            "mode": "0644",
        },
    ]
