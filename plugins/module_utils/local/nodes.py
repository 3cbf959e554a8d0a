# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a local cluster consists of: its nodes, their addresses, what has to be done, and its inventory. Pure."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re

CLUSTER_LABEL = "kubewright.cluster"
GROUPS_LABEL = "kubewright.groups"
ADDRESS_LABEL = "kubewright.address"
SPEC_LABEL = "kubewright.spec"

CONTROL_PLANE, WORKER = "kube_control_plane", "kube_node"
LAB_CLUSTER, LAB_CONTAINER = "lab", "kubewright-lab"
# .1 is the gateway, .2 the lab's registry; from .200 on addresses are free for virtual IPs of clusters.
FIRST_HOST, LAST_HOST = 10, 199
NAME = re.compile(r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$")
PORT = re.compile(
    r"^(?:(?P<address>\d+\.\d+\.\d+\.\d+|\[[0-9a-f:]+\]):)?(?P<host>\d+):(?P<node>\d+)(?:/(?P<protocol>tcp|udp|sctp))?$"
)
SSH_ARGS = "-o ControlMaster=auto -o ControlPersist=600s"
# Node containers come and go behind the same addresses: their host keys say nothing. A node that dies is noticed.
SSH_COMMON_ARGS = (
    "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o IdentitiesOnly=yes"
    " -o ServerAliveInterval=5 -o ServerAliveCountMax=6"
)


class LocalError(Exception):
    """What stands in the way, as sentences for the user."""

    def __init__(self, *problems):
        super().__init__(" ".join(problems))
        self.problems = list(problems)


def natural(text):
    """Sort key that puts node 2 before node 10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", text) if part]


def wanted_nodes(cluster, control_planes=1, workers=0, explicit=None, ports=None, limits=None):
    """The nodes of a cluster: the explicit ones, or so many control planes and workers."""
    named = explicit or (
        [{"name": f"{cluster}-cp{number}", "groups": [CONTROL_PLANE]} for number in range(1, control_planes + 1)]
        + [{"name": f"{cluster}-w{number}", "groups": [WORKER]} for number in range(1, workers + 1)]
    )
    nodes = []
    for number, given in enumerate(named):
        node = {"cpus": None, "memory": None, "ports": [], "env": {}, "groups": [WORKER]}
        node.update(limits or {})
        node.update({key: value for key, value in given.items() if value is not None})
        if number == 0:
            node["ports"] = list(node["ports"]) + list(ports or [])
        nodes.append(node)
    return nodes


def problems_of(cluster, nodes):
    """Everything that is wrong with the input, at once."""
    problems = []
    if not NAME.match(cluster):
        problems.append(f"The cluster's name {cluster!r} must be lower-case letters, digits and dashes, at most 40.")
    if cluster == LAB_CLUSTER:
        problems.append(f"The cluster's name {cluster!r} is taken: the lab's registry carries it.")
    names = [node["name"] for node in nodes]
    for name in sorted({name for name in names if names.count(name) > 1}):
        problems.append(f"Two nodes are called {name}.")
    taken = {}
    for node in nodes:
        if not NAME.match(node["name"]):
            problems.append(f"The node's name {node['name']!r} is no host name that Kubernetes takes.")
        for port in node["ports"]:
            problems += _port_problems(node["name"], port, taken)
    return problems


def _port_problems(name, port, taken):
    match = PORT.match(str(port))
    if not match or not all(0 < int(match[side]) < 65536 for side in ("host", "node")):
        return [f"The port {port!r} of {name} is not [ADDRESS:]HOST_PORT:NODE_PORT[/PROTOCOL]."]
    key = (match["host"], match["protocol"] or "tcp")
    other = taken.setdefault(key, name)
    return [] if other == name else [f"The host's port {key[0]}/{key[1]} is given to {other} and to {name}."]


def port_argument(port):
    """A port mapping for the engine; without an address it is open to this host alone."""
    match = PORT.match(str(port))
    address, protocol = match["address"] or "127.0.0.1", match["protocol"] or "tcp"
    return f"{address}:{match['host']}:{match['node']}/{protocol}"


def spec_of(node):
    """Digest of what is fixed when a container is made."""
    fixed = {key: node.get(key) for key in ("cpus", "memory", "env")}
    fixed["ports"] = sorted(port_argument(port) for port in node.get("ports") or [])
    return hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()[:12]


def decide(state, cluster, nodes, containers):
    """What to do: names by action, refusals and warnings. Containers that are not the cluster's are never in it."""
    ours = {box["name"]: box for box in containers if box["cluster"] == cluster}
    todo = {"create": [], "start": [], "stop": [], "remove": [], "refusals": [], "warnings": []}
    if state == "absent":
        todo["remove"] = sorted(ours, key=natural)
    elif state == "stopped":
        todo["stop"] = sorted((name for name, box in ours.items() if box["running"]), key=natural)
    elif state == "started":
        todo["start"] = sorted((name for name, box in ours.items() if not box["running"]), key=natural)
        if not ours:
            todo["refusals"].append(f"There is no cluster {cluster} to start: make it with state present.")
    elif state == "present":
        _decide_present(cluster, nodes, containers, ours, todo)
    lost = sorted((name for name, box in ours.items() if box.get("lost")), key=natural)
    if lost and state in ("present", "started"):
        todo["refusals"].append(
            f"{', '.join(lost)}: Podman calls it running, but its processes are gone (killed together with Podman's own"
            f" watcher), and Podman cannot start it again. Remove the cluster {cluster} with state absent, then make it anew."
        )
    return todo


def _decide_present(cluster, nodes, containers, ours, todo):
    others = {box["name"]: box for box in containers if box["cluster"] != cluster}
    for node in nodes:
        name = node["name"]
        if name in others:
            owner = others[name]["cluster"]
            whose = f"belongs to the cluster {owner}" if owner else "was not made by this collection"
            todo["refusals"].append(f"A container {name} is there that {whose}; it is left alone: choose another name.")
        elif name not in ours:
            todo["create"].append(name)
        elif ours[name]["spec"] and ours[name]["spec"] != spec_of(node):
            todo["warnings"].append(
                f"{name} was made with other ports, limits or environment: remove it and make it anew for them to apply."
            )
    todo["start"] = sorted((name for name, box in ours.items() if not box["running"]), key=natural)
    surplus = sorted(set(ours) - {node["name"] for node in nodes}, key=natural)
    if surplus:
        todo["warnings"].append(f"Kept, though no longer asked for: {', '.join(surplus)}.")


def allocate(subnet, taken, names):
    """The lowest free addresses of the subnet for these nodes: {name: address}."""
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


def choose_subnet(wanted, occupied):
    """The wanted subnet, or without one the first free 10.131-10.199.0.0/24, clear of the host's routes."""
    routes = [ipaddress.ip_network(route) for route in occupied]
    if wanted:
        network = ipaddress.ip_network(wanted)
        hit = [str(route) for route in routes if route.version == network.version and route.overlaps(network)]
        if hit:
            raise LocalError(f"The subnet {wanted} overlaps {', '.join(hit)}, which this host uses already.")
        return str(network)
    for second in range(131, 200):  # clear of Kubernetes' own default for Services, 10.96.0.0/12
        network = ipaddress.ip_network(f"10.{second}.0.0/24")
        if not any(route.version == 4 and route.overlaps(network) for route in routes):
            return str(network)
    raise LocalError("No free subnet between 10.131.0.0/24 and 10.199.0.0/24: name one.")


def mac_of(address):
    """A node that comes back keeps its hardware address: neighbours' caches stay right."""
    return ":".join(f"{byte:02x}" for byte in b"\x02\x42" + ipaddress.ip_address(address).packed[-4:])


def inventory(nodes, variables, key_file):
    """The inventory of a cluster: {all: {vars, children}}."""
    groups = {CONTROL_PLANE: {}, WORKER: {}}
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


def cluster_variables(cluster, host, lab_address, extra):
    """What the playbooks have to know about the place where these nodes live; the user's own come last."""
    variables = {"kube_cluster_name": cluster}
    if host["cgroup"] != "v2":
        variables["kube_allow_cgroup_v1"] = True
    if lab_address:
        registry = {"endpoints": [f"http://{lab_address}:5000"]}
        variables["kube_artifacts"] = {"source": f"http://{lab_address}:8080"}
        variables["kube_registries"] = {"mirrors": {"registry.k8s.io": registry, "docker.io": dict(registry)}}
    return dict(variables, **(extra or {}))


def summary(clusters, actions):
    """What was done and what there is, a line each."""
    lines = [f"{action[0].upper()}{action[1:]}." for action in actions]
    if not lines and not clusters:
        return ["There is no such cluster, and nothing to do."]
    for cluster, nodes in sorted(clusters.items()):
        up = sum(1 for node in nodes if node["running"])
        lines.append(f"{cluster}: {up} of {len(nodes)} nodes running")
        lines += [
            f"  {node['name']}  {node['address']}  {','.join(node['groups'])}  {node['status']}" for node in nodes
        ]
    return lines
