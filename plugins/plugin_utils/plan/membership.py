# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What exists already: which nodes belong to a cluster, whether they are complete, and which control plane can be
asked.

State is read from the nodes and from a running control plane; there are no marker files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..base import words
from ..base.distribution import Distribution, Node, Nodes
from ..base.findings import Finding, Problems
from . import distributions

# What removes each maker's cluster, by its own documentation.
REMOVED_BY = {
    "Kubespray": "Kubespray's reset.yml",
    "kubeadm": "`kubeadm reset`",
    "k3s-ansible": "k3s-ansible's reset playbook",
    "K3s's install script": "k3s-uninstall.sh (k3s-agent-uninstall.sh on agents)",
    "K3s": "k3s-uninstall.sh (k3s-agent-uninstall.sh on agents)",
    "RKE2": "rke2-uninstall.sh",
    "MicroK8s": "`snap remove --purge microk8s`",
    "k0s": "`k0s reset`",
}


def live_of(info: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a node's own API server said, or an empty map."""
    return ((info.get("cluster") or {}).get("live")) or {}


def has_data(info: Mapping[str, Any]) -> bool:
    """Return True if a control plane's data or manifests are on the host."""
    cluster = info.get("cluster") or {}
    return bool(cluster.get("etcd_data") or cluster.get("manifests"))


def is_finished(info: Mapping[str, Any]) -> bool:
    """Return True if the host's files say that the start or join of its control plane ran to its end."""
    return bool((info.get("cluster") or {}).get("finished"))


def initialised(live: Mapping[str, Any]) -> bool:
    """Return True if the start of the cluster ran to its end, by what its API says."""
    return _maker(live).initialised(live)


def _maker(live: Mapping[str, Any]) -> Distribution:
    """Return the distribution of a cluster that answered. kubeadm's answers carry no kind."""
    return distributions.by_name(live.get("kind") or "kubeadm")


def find(nodes: Nodes, control_planes: Sequence[str]) -> dict[str, Any]:
    """Return the cluster as it is.

    nodes: by host {name, info}. control_planes: hosts.
    Returns {leader, initialised, start, live, known (names in the API's list), complete: {host: bool}, errors: {host:
    why its API is silent}}:
      leader - the healthy control plane to ask, otherwise the host to start; None where the cluster was made elsewhere;
      start - "init" for a new cluster or one whose start was interrupted, "wait" if it exists and its API is silent,
      otherwise "".
    """
    if not control_planes:
        return _elsewhere(nodes)
    healthy = [host for host in control_planes if live_of(nodes[host]["info"]).get("healthy")]
    complete = [host for host in healthy if initialised(live_of(nodes[host]["info"]))]
    with_data = [host for host in control_planes if has_data(nodes[host]["info"])]
    if complete:
        leader, start = complete[0], ""
    elif healthy:
        leader, start = healthy[0], "init"
    elif len(with_data) > 1 or any(is_finished(nodes[host]["info"]) for host in with_data):
        leader, start = with_data[0], "wait"
    else:
        leader, start = (with_data or control_planes)[0], "init"
    live = live_of(nodes[leader]["info"]) if healthy else {}
    return {
        "leader": leader,
        "initialised": bool(complete) or start == "wait",
        "start": start,
        "live": live,
        "known": {item["name"] for item in live.get("nodes") or []},
        "complete": {host: _complete(node, host in control_planes, live) for host, node in nodes.items()},
        "errors": {host: live_of(nodes[host]["info"]).get("error") for host in control_planes},
    }


def _elsewhere(nodes: Nodes) -> dict[str, Any]:
    """Return the state of nodes whose cluster is in another inventory: a node with an identity has joined it."""
    complete = {host: bool((node["info"].get("cluster") or {}).get("kubelet_conf")) for host, node in nodes.items()}
    return {
        "leader": None,
        "initialised": True,
        "start": "",
        "live": {},
        "known": set(),
        "complete": complete,
        "errors": {},
    }


def _complete(node: Node, is_control_plane: bool, live: Mapping[str, Any]) -> bool:
    cluster = node["info"].get("cluster") or {}
    known = {item["name"]: item for item in live.get("nodes") or []}
    here = known.get(node["name"])
    if not cluster.get("kubelet_conf") or here is None:
        return False
    if not is_control_plane:
        return True
    return _maker(cluster).complete_control_plane(node, here, live)


def refusals(
    nodes: Nodes,
    control_planes: Sequence[str],
    leader: str | None,
    distribution: Distribution,
    outside: bool | None = None,
) -> list[Finding]:
    """Refuse hosts that belong to other clusters, to one that others made, or to one of the other distribution.

    outside: with an external datastore, True if the token is given with which servers that are all new open the cluster
    in it; otherwise None.
    """
    found = []
    demoted = []
    authority = (nodes[leader]["info"].get("cluster") or {}).get("ca_sha256") if leader else None
    for host, node in sorted(nodes.items()):
        cluster = node["info"].get("cluster") or {}
        if not (cluster.get("kubelet_conf") or has_data(node["info"]) or cluster.get("kind")):
            continue
        if cluster.get("foreign") or cluster.get("kind") not in (None, distribution.name):
            found.append(_foreign(host, cluster, distribution))
        elif leader and cluster.get("ca_sha256") and authority != cluster.get("ca_sha256"):
            if authority is None and outside is not None:
                found += [] if outside else [_orphan(host)]
            else:
                found.append(_of_another_cluster(host, leader))
        elif (
            cluster.get("role") == "control_plane"
            and host not in control_planes
            and distribution.has_control_plane(cluster)
        ):
            demoted.append(host)
    text = "%s: runs as a control plane and is a worker in the inventory. Move it to kube_control_plane%s"
    for host in demoted:
        values = (host, or_reset(nodes, host, demoted))
        found.append(Finding("member.wrong_role", text % values, host, "control_plane", "worker"))
    return found


def reset_of(host: str) -> str:
    """Return the playbook that resets one host, as messages name it."""
    return "kubewright.cluster.reset --limit %s" % host


def is_replaceable(nodes: Nodes, host: str) -> bool:
    """Return True if another control plane of the host's cluster serves its data."""
    own = (nodes[host]["info"].get("cluster") or {}).get("ca_sha256")
    others = [node["info"] for other, node in nodes.items() if other != host and live_of(node["info"]).get("healthy")]
    return any((info.get("cluster") or {}).get("ca_sha256") == own for info in others)


def or_reset(nodes: Nodes, host: str, concerned: Sequence[str]) -> str:
    """Return the end of a message whose other way out is a reset; where that would cost the data, that it would.

    concerned: all hosts that the message is said of. Who takes the way out takes it on each of them.
    """
    planes = [name for name in concerned if _is_plane(nodes[name]) and name != host]
    if not _is_plane(nodes[host]):
        return ", or reset it first (%s)." % reset_of(host)
    if planes:
        text = ". Do not reset it: the same is said of %s, and together they have the cluster's data."
        return text % words.together(planes)
    if is_replaceable(nodes, host):
        return ", or reset it first (%s)." % reset_of(host)
    return ". Do not reset it: no other control plane serves the cluster's data."


def _is_plane(node: Node) -> bool:
    return node["role"] == "control_plane" or (node["info"].get("cluster") or {}).get("role") == "control_plane"


def _of_another_cluster(host: str, leader: str) -> Finding:
    text = (
        "%s: belongs to another cluster than %s (their certificate authorities differ). If nobody needs "
        "that cluster any more, reset the host first (%s)."
    )
    return Finding("member.other_cluster", text % (host, leader, reset_of(host)), host)


def _orphan(host: str) -> Finding:
    """Return the refusal of an agent whose servers were all rebuilt, and whose cluster may still be in the database."""
    text = (
        "%s: belongs to a cluster of which no server is left. If the database has it, set k3s_token to "
        "the token of its servers; "
        "otherwise reset the node first (%s)."
    )
    return Finding("member.no_server_left", text % (host, reset_of(host)), host)


def _foreign(host: str, cluster: Mapping[str, Any], distribution: Distribution) -> Finding:
    """Return the refusal of a node that is not ours to change: what it is, and what removes it."""
    maker = cluster.get("made_by") or "another tool"
    role = (cluster.get("role") or "unknown role").replace("_", " ")
    removal = REMOVED_BY.get(maker, "the tool that made it")
    kind = cluster.get("kind")
    if kind and distributions.is_known(kind) and kind != distribution.name:
        text = (
            "%s: %s is installed (%s, made by %s), and a running cluster is never converted to %s. "
            "Move its workloads to a cluster on other machines, or remove it first with %s."
        )
        values = (host, distributions.by_name(kind).title, role, maker, distribution.title, removal)
        return Finding("member.other_distribution", text % values, host, kind, distribution.name)
    text = "%s: has a node that %s made (%s). Remove the host from the inventory, or remove that node first with %s."
    return Finding("member.foreign", text % (host, maker, role, removal), host, maker)


def not_in_inventory(
    hosts: Mapping[str, Mapping[str, Any]], named: Mapping[str, Mapping[str, Any]], known: set[str]
) -> list[Finding]:
    """Warn of nodes that the cluster has and the inventory does not.

    hosts: all hosts of the inventory {info}. named: the plan's nodes {name}. known: names in the API's list. A host
    that was not looked at (--limit) may be any of them, so nothing is said then.
    """
    if not all(row.get("info") for row in hosts.values()):
        return []
    found = sorted(known - {node["name"] for node in named.values()})
    if not found:
        return []
    one = len(found) == 1
    text = (
        "%s %s in the cluster and not in the inventory. Put %s back, or remove %s: "
        "ansible-playbook kubewright.cluster.remove -e remove_nodes=%s"
    )
    it = ("it", "it") if one else ("them", "them")
    text = text % (", ".join(found), "is" if one else "are", *it, ",".join(found))
    return [Finding("node.not_in_inventory", text, None, found)]


def is_silent(info: Mapping[str, Any]) -> bool:
    """Return True if a host has a complete control plane whose API server does not answer."""
    made = has_data(info) and is_finished(info)
    return made and not live_of(info).get("healthy")


def silent_members(nodes: Nodes, control_planes: Sequence[str], state: Mapping[str, Any]) -> Problems:
    """Name control planes that are silent while others serve, and refuse changes of others meanwhile.

    nodes: planned nodes by host. state: find(). A cluster that is silent as a whole is another matter.
    """
    here = [host for host in control_planes if host in nodes]
    silent = [host for host in here if is_silent(nodes[host]["info"])]
    if not silent or state["start"] or len(silent) == len(here):
        return Problems([], [])
    warnings = [_named(host, state) for host in silent]
    # A silent one that this run changes goes first, and its gate ends the run if it stays silent.
    left = [host for host in silent if not _changes(nodes[host])]
    changed = [host for host in here if _changes(nodes[host]) and host not in silent]
    refusals = [_refused(changed, left)] if left and changed else []
    return Problems(refusals, warnings)


def _changes(node: Node) -> bool:
    return "change" in (node.get("stages") or ())


def _named(host: str, state: Mapping[str, Any]) -> Finding:
    why = (state["errors"] or {}).get(host) or "it does not run"
    text = "%s: its API server does not answer (%s), and others do. Look at its kubelet and its API server's log."
    return Finding("member.api_silent", text % (host, why), host, why)


def _refused(changed: Sequence[str], silent: Sequence[str]) -> Finding:
    text = (
        "%s would be changed while the API server of %s does not answer. With two control planes down etcd may lose "
        "its majority. Start %s first, or remove it (kubewright.cluster.remove)."
    )
    shown = ", ".join(silent)
    return Finding("member.change_waits", text % (", ".join(changed), shown, shown), None, list(changed), list(silent))
