# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is who: machines by their machine ID and their kubelet's certificate, clusters by what no two of them share.

A machine that is not what its name says, and a cluster that is not one, are refused before anything is changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...base import words
from ...base.distribution import Distribution, Node, Nodes
from ...base.findings import Finding
from .. import membership


def _cluster(node: Node) -> Mapping[str, Any]:
    return node["info"].get("cluster") or {}


def _is_fresh(node: Node) -> bool:
    """Return True if the host has nothing of a cluster: neither an identity nor data."""
    return not (_cluster(node).get("kubelet_conf") or membership.has_data(node["info"]))


def renamed(nodes: Nodes, live: Mapping[str, Any]) -> list[Finding]:
    """Refuse members whose Node has another name: kubeadm would take the new name for a node that has to join.

    live: what the running cluster's API says. The kubelet's certificate names the Node. If it cannot be read, a Node
    with the machine's ID is the machine's.
    """
    known = {row["machine_id"]: row["name"] for row in live.get("nodes") or [] if row.get("machine_id")}
    text = "%s: is the node %s of the cluster, and its name is now %s. A node keeps its name: set kube_node_name: %s%s"
    names = {}
    for host, node in sorted(nodes.items()):
        cluster = _cluster(node)
        name = cluster.get("node_name") or known.get(node["info"].get("machine_id") or "")
        member = cluster.get("kubelet_conf") or cluster.get("node_name")
        if name and name != node["name"] and member and not cluster.get("foreign"):
            names[host] = name
    found = []
    for host, name in names.items():
        own = nodes[host]["name"]
        values = (host, name, own, name, membership.or_reset(nodes, host, list(names)))
        found.append(Finding("member.renamed", text % values, host, own, name))
    return found


def copied(nodes: Nodes, live: Mapping[str, Any]) -> list[Finding]:
    """Refuse members whose Node is Ready on another machine: one of the two is a copy of the other's disk."""
    known = {row["name"]: row for row in live.get("nodes") or []}
    text = (
        "%s: has the identity of the node %s, which is Ready on the machine with the ID %s, and its own ID is %s. "
        "If it is a copy of that machine's disk, take it out of the inventory and install it again. If its ID was "
        "changed, restart its kubelet."
    )
    found = []
    for host, node in sorted(nodes.items()):
        row, own = known.get(node["name"]) or {}, node["info"].get("machine_id")
        other = row.get("machine_id")
        if _cluster(node).get("kubelet_conf") and row.get("ready") and own and other and own != other:
            values = (host, node["name"], other, own)
            found.append(Finding("member.copied", text % values, host, own, other))
    return found


def name_taken(nodes: Nodes, live: Mapping[str, Any], distribution: Distribution) -> list[Finding]:
    """Refuse newcomers with the name of another machine's Node: it would lose its place to them.

    live: what the running cluster's API says. A Node that is not Ready may be taken over, except where the cluster has
    a password of it that would have to be deleted: then it must be this machine's.
    """
    known = {row["name"]: row for row in live.get("nodes") or []}
    text = (
        "%s: the cluster has a %s node %s, which is another machine (%s). Give the host another name "
        "with kube_node_name. If it replaces that machine, run kubectl delete node %s first."
    )
    found = []
    for host, node in sorted(nodes.items()):
        row = known.get(node["name"])
        if row is None or not _is_fresh(node) or is_same_machine(row, node):
            continue
        if row.get("ready") or distribution.remembers_nodes:
            state = "Ready" if row.get("ready") else "lost"
            seen = "machine ID %s" % (row.get("machine_id") or "unknown")
            values = (host, state, node["name"], seen, node["name"])
            found.append(Finding("member.name_taken", text % values, host, node["name"], row.get("machine_id")))
    return found


def is_same_machine(row: Mapping[str, Any], node: Node) -> bool:
    """Return True if a Node is this machine's: by its machine ID, or by its address where that is new.

    row: the Node. A system that was installed again has another machine ID, and its Node is not Ready.
    """
    own, other = node["info"].get("machine_id"), row.get("machine_id")
    if own and own == other:
        return True
    return not row.get("ready") and node.get("address") in ((row.get("addresses") or {}).get("InternalIP") or [])


def address_taken(nodes: Nodes, control_planes: Sequence[str], live: Mapping[str, Any]) -> list[Finding]:
    """Refuse new control planes whose address is another etcd member's: etcd has each address once."""
    text = (
        "%s: its address %s is that of the etcd member %s. If that machine is gone or was renamed, remove its member "
        "first (`etcdctl member remove`), and run kubectl delete node %s."
    )
    found = []
    for host in control_planes:
        node = nodes[host]
        for member in live.get("etcd_members") or []:
            hosts = [url.rpartition(":")[0].rpartition("/")[2].strip("[]") for url in member.get("peer_urls") or []]
            if _is_fresh(node) and node["address"] in hosts and member["name"] not in ("", node["name"]):
                values = (host, node["address"], member["name"], member["name"])
                found.append(Finding("member.address_taken", text % values, host, node["address"], member["name"]))
    return found


def several_clusters(nodes: Nodes, control_planes: Sequence[str]) -> list[Finding]:
    """Refuse control planes that belong to different clusters, though their certificate authority is one.

    A member that lost its data may have begun a second cluster with the same keys.
    """
    found = []
    for key, what in (("uid", "namespaces kube-system"), ("etcd_cluster", "etcd clusters")):
        groups: dict[str, list[str]] = {}
        for host in control_planes:
            known = membership.live_of(nodes[host]["info"]).get(key)
            if known:
                groups.setdefault(str(known), []).append(host)
        if len(groups) > 1:
            parts = "; ".join("%s on %s" % (known, words.names(hosts)) for known, hosts in sorted(groups.items()))
            text = (
                "The control planes are of %d clusters: they have different %s (%s). Find out which one has your data, "
                "reset the others (kubewright.cluster.reset --limit HOST), and run again."
            )
            values = (len(groups), what, parts)
            found.append(Finding("member.several_clusters", text % values, None, sorted(groups)))
    return found[:1]


def lost_data(
    nodes: Nodes, control_planes: Sequence[str], state: Mapping[str, Any], distribution: Distribution
) -> list[Finding]:
    """Refuse to start a cluster where one was that lost its data: a disk may not be mounted.

    state: membership.find().
    """
    text = (
        "%s: a control plane ran here, and its data are gone (%s). The run would start a new, empty cluster. If a disk "
        "is not mounted, mount it. If the data are lost, restore them, or reset the node first (%s)."
    )
    found = []
    for host in control_planes if state["start"] in ("init", "wait") else ():
        missing = distribution.lost_data(_cluster(nodes[host]))
        if missing:
            values = (host, missing, membership.reset_of(host))
            found.append(Finding("member.lost_data", text % values, host, missing))
    return found
