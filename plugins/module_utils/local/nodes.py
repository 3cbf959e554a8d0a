# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A local cluster as data: its nodes, their addresses, the actions to take, and its inventory. No side effects."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from typing import Any, Dict, Iterable, List

Node = Dict[str, Any]
# A container as engine.described returns it.
Box = Dict[str, Any]

CLUSTER_LABEL = "kubewright.cluster"
GROUPS_LABEL = "kubewright.groups"
ADDRESS_LABEL = "kubewright.address"
SPEC_LABEL = "kubewright.spec"
# Networks that we made, and may remove.
NETWORK_LABEL = "kubewright.network"

CONTROL_PLANE, WORKER = "kube_control_plane", "kube_node"
# .1 is the gateway, .2 to .9 are free for the user's own servers, and .200 and above for virtual IPs of clusters.
FIRST_HOST, LAST_HOST = 10, 199
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
# As Podman and Docker take it: https://docs.podman.io/en/latest/markdown/podman-run.1.html (--memory)
MEMORY = re.compile(r"[1-9]\d*[bkmgBKMG]?")
PORT = re.compile(
    r"(?:(?P<address>\d+\.\d+\.\d+\.\d+|\[[0-9a-f:]+\]):)?(?P<host>\d+):(?P<node>\d+)(?:/(?P<protocol>tcp|udp|sctp))?"
)
SSH_ARGS = "-o ControlMaster=auto -o ControlPersist=600s"
# Nodes are replaced at the same addresses, so their host keys prove nothing. Keep-alives notice a node that dies.
SSH_COMMON_ARGS = (
    "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o IdentitiesOnly=yes"
    " -o ServerAliveInterval=5 -o ServerAliveCountMax=6"
)


class LocalError(Exception):
    """The wanted state cannot be reached. `problems` has a sentence for the user for each reason."""

    def __init__(self, *problems: str) -> None:
        super().__init__(" ".join(problems))
        self.problems = list(problems)


def natural(text: str) -> list[tuple[Any, ...]]:
    """Return a sort key that puts node 2 before node 10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", text) if part]


def wanted_nodes(
    cluster: str,
    control_planes: int = 1,
    workers: int = 0,
    explicit: list[Node] | None = None,
    ports: list[str] | None = None,
    limits: dict[str, Any] | None = None,
) -> list[Node]:
    """Return the nodes of a cluster: the explicit ones, or these numbers of control planes and workers."""
    named = explicit or (
        [{"name": f"{cluster}-cp{number}", "groups": [CONTROL_PLANE]} for number in range(1, control_planes + 1)]
        + [{"name": f"{cluster}-w{number}", "groups": [WORKER]} for number in range(1, workers + 1)]
    )
    nodes = []
    for number, given in enumerate(named):
        node: Node = {"cpus": None, "memory": None, "ports": [], "env": {}, "groups": [WORKER]}
        node.update(limits or {})
        node.update({key: value for key, value in given.items() if value is not None})
        if number == 0:
            node["ports"] = list(node["ports"]) + list(ports or [])
        nodes.append(node)
    return nodes


def count_problems(control_planes: int, workers: int) -> list[str]:
    """Return what is wrong with the numbers of nodes, if the nodes are not given one by one."""
    problems = []
    if control_planes < 1:
        problems.append(f"local_control_planes is {control_planes}, a cluster needs at least 1.")
    if workers < 0:
        problems.append(f"local_workers is {workers}, it must be 0 or more.")
    count, most = control_planes + workers, LAST_HOST - FIRST_HOST + 1
    if count > most:
        problems.append(f"{count} nodes are wanted, a network has addresses for {most}.")
    return problems


def problems_of(cluster: str, nodes: list[Node]) -> list[str]:
    """Return everything that is wrong with the input."""
    problems = []
    if not NAME.fullmatch(cluster):
        problems.append(f"The cluster's name {cluster!r} must be lower-case letters, digits and dashes, at most 40.")
    names = [node["name"] for node in nodes]
    for name in sorted({name for name in names if names.count(name) > 1}):
        problems.append(f"Two nodes are called {name}.")
    taken: Dict[Any, str] = {}
    for node in nodes:
        name = node["name"]
        if not NAME.fullmatch(name):
            problems.append(f"The node's name {name!r} must be lower-case letters, digits and dashes, at most 40.")
        if node["memory"] and not MEMORY.fullmatch(str(node["memory"])):
            problems.append(f"The memory {node['memory']!r} of {node['name']} is not a size such as 2g or 1500m.")
        if node["cpus"] is not None and not node["cpus"] > 0:
            problems.append(f"The CPUs {node['cpus']} of {node['name']} must be more than 0.")
        for port in node["ports"]:
            problems += _port_problems(node["name"], port, taken)
    return problems


def _port_problems(name: str, port: str, taken: dict[Any, str]) -> list[str]:
    match = PORT.fullmatch(str(port))
    if not match or not all(0 < int(match[side]) < 65536 for side in ("host", "node")):
        return [f"The port {port!r} of {name} is not [ADDRESS:]HOST_PORT:NODE_PORT[/PROTOCOL]."]
    key = (match["host"], match["protocol"] or "tcp")
    other = taken.setdefault(key, name)
    return [] if other == name else [f"The host's port {key[0]}/{key[1]} is given to {other} and to {name}."]


def port_argument(port: str) -> str:
    """Return a port mapping for the engine; without an address it is open to this host only."""
    match = PORT.fullmatch(str(port))
    if not match:  # problems_of refuses it before
        raise ValueError(f"{port!r} is not a port mapping")
    address, protocol = match["address"] or "127.0.0.1", match["protocol"] or "tcp"
    return f"{address}:{match['host']}:{match['node']}/{protocol}"


def spec_of(node: Node) -> str:
    """Return a digest of the settings that are fixed when a container is created."""
    fixed = {key: node.get(key) for key in ("cpus", "memory", "env")}
    fixed["ports"] = sorted(port_argument(port) for port in node.get("ports") or [])
    return hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()[:12]


def decide(state: str, cluster: str, nodes: list[Node], containers: list[Box]) -> dict[str, list[str]]:
    """Return names by action, refusals and warnings. The names never include containers outside of the cluster."""
    ours = {box["name"]: box for box in containers if box["cluster"] == cluster}
    todo: Dict[str, List[str]] = {"create": [], "start": [], "stop": [], "remove": [], "refusals": [], "warnings": []}
    if state == "absent":
        todo["remove"] = sorted(ours, key=natural)
    elif state == "stopped":
        todo["stop"] = sorted((name for name, box in ours.items() if box["running"]), key=natural)
    elif state == "started":
        todo["start"] = sorted((name for name, box in ours.items() if not box["running"]), key=natural)
        if not ours:
            todo["refusals"].append(f"The cluster {cluster} does not exist: create it with state present.")
    elif state == "present":
        _decide_present(cluster, nodes, containers, ours, todo)
    lost = sorted((name for name, box in ours.items() if box.get("lost")), key=natural)
    if lost and state in ("present", "started"):
        todo["refusals"].append(
            f"{', '.join(lost)}: Podman reports it as running, but its processes were killed together with Podman's own"
            f" monitor, and Podman cannot start it again. Remove the cluster {cluster} with state absent, then create"
            " it again."
        )
    return todo


def _decide_present(
    cluster: str, nodes: list[Node], containers: list[Box], ours: dict[str, Box], todo: dict[str, list[str]]
) -> None:
    others = {box["name"]: box for box in containers if box["cluster"] != cluster}
    for node in nodes:
        name = node["name"]
        if name in others:
            owner = others[name]["cluster"]
            whose = f"belongs to the cluster {owner}" if owner else "was not made by this collection"
            todo["refusals"].append(f"The container {name} exists and {whose}; choose another name.")
        elif name not in ours:
            todo["create"].append(name)
        elif ours[name]["spec"] and ours[name]["spec"] != spec_of(node):
            todo["warnings"].append(
                f"{name} was created with other ports, limits or environment: they apply once it is removed and created"
                " again."
            )
    todo["start"] = sorted((name for name, box in ours.items() if not box["running"]), key=natural)
    surplus = sorted(set(ours) - {node["name"] for node in nodes}, key=natural)
    if surplus:
        todo["warnings"].append(f"These nodes are no longer wanted and were kept: {', '.join(surplus)}.")


def allocate(subnet: str, taken: set[str], names: list[str]) -> dict[str, str]:
    """Return the lowest free addresses of the subnet by node name."""
    network = ipaddress.ip_network(subnet)
    free = (
        str(network.network_address + offset)
        for offset in range(FIRST_HOST, min(LAST_HOST, network.num_addresses - 2) + 1)
        if str(network.network_address + offset) not in taken
    )
    addresses = dict(zip(names, free))
    if len(addresses) < len(names):
        raise LocalError(f"The network {subnet} has no address left for {len(names) - len(addresses)} of the nodes.")
    return addresses


def choose_subnet(wanted: str | None, occupied: Iterable[str]) -> str:
    """Return the wanted subnet, or the first of 10.131.0.0/24 to 10.199.0.0/24 that no route of the host overlaps."""
    routes = [ipaddress.ip_network(route) for route in occupied]
    if wanted:
        network = ipaddress.ip_network(wanted)
        hit = [str(route) for route in routes if route.version == network.version and route.overlaps(network)]
        if hit:
            used = ", ".join(hit)
            raise LocalError(f"The subnet {wanted} overlaps {used}, which this host already uses; choose another.")
        return str(network)
    for second in range(131, 200):  # clear of Kubernetes' own default for Services, 10.96.0.0/12
        network = ipaddress.ip_network(f"10.{second}.0.0/24")
        if not any(route.version == 4 and route.overlaps(network) for route in routes):
            return str(network)
    raise LocalError("No free subnet between 10.131.0.0/24 and 10.199.0.0/24: name one.")


def mac_of(address: str) -> str:
    """Return the MAC address of a node. A node that is created again keeps it, so that ARP caches stay right."""
    return ":".join(f"{byte:02x}" for byte in b"\x02\x42" + ipaddress.ip_address(address).packed[-4:])


def inventory(nodes: list[Node], variables: dict[str, Any], key_file: str) -> dict[str, Any]:
    """Return the inventory of a cluster: {all: {vars, children}}."""
    groups: Dict[str, Dict[str, Any]] = {CONTROL_PLANE: {}, WORKER: {}}
    for node in sorted(nodes, key=lambda node: natural(node["name"])):
        for group in node["groups"]:
            groups.setdefault(group, {})[node["name"]] = {"ansible_host": node["address"]}
    connection = {
        "ansible_user": "root",
        "ansible_ssh_private_key_file": key_file,
        "ansible_ssh_args": SSH_ARGS,
        "ansible_ssh_common_args": SSH_COMMON_ARGS,
        "ansible_ssh_pipelining": True,
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    return {
        "all": {
            "vars": dict(connection, **variables),
            "children": {name: {"hosts": hosts} for name, hosts in groups.items()},
        }
    }


def cluster_variables(cluster: str, host: dict[str, Any], extra: dict[str, Any] | None) -> dict[str, Any]:
    """Return the inputs that nodes on this host need. The user's own win."""
    variables: Dict[str, Any] = {"kube_cluster_name": cluster}
    if host["cgroup"] != "v2":
        variables["kube_allow_cgroup_v1"] = True
    return dict(variables, **(extra or {}))


def summary(clusters: dict[str, list[Node]], actions: list[str], name: str | None) -> list[str]:
    """Return what was done and what exists, a line each. name: of the cluster concerned, None for all."""
    lines = [f"{action[0].upper()}{action[1:]}." for action in actions]
    if not lines and not clusters:
        return [f"The cluster {name} does not exist; nothing was done." if name else "There are no local clusters."]
    for cluster, nodes in sorted(clusters.items()):
        up = sum(1 for node in nodes if node["running"])
        lines.append(f"{cluster}: {up} of {len(nodes)} nodes running")
        lines += [
            f"  {node['name']}  {node['address']}  {','.join(node['groups'])}  {node['status']}" for node in nodes
        ]
    return lines
