# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is there already: which nodes belong to a cluster, whether they are complete, and who can be asked.

State is read from the nodes and from a living control plane; there are no marker files.
"""

from __future__ import annotations

from ..base.distribution import Distribution
from . import distributions

# How each maker's cluster is taken away, by its own documentation.
TAKEN_AWAY_BY = {
    "Kubespray": "Kubespray's reset.yml",
    "kubeadm": "`kubeadm reset`",
    "k3s-ansible": "k3s-ansible's reset playbook",
    "K3s's install script": "k3s-uninstall.sh (k3s-agent-uninstall.sh on agents)",
    "K3s": "k3s-uninstall.sh (k3s-agent-uninstall.sh on agents)",
    "RKE2": "rke2-uninstall.sh",
    "MicroK8s": "`snap remove --purge microk8s`",
    "k0s": "`k0s reset`",
}


def live_of(info: dict) -> dict:
    """What a node's own API server said, or an empty map."""
    return ((info.get("cluster") or {}).get("live")) or {}


def has_data(info: dict) -> bool:
    """Whether a control plane's data or manifests are on the host."""
    cluster = info.get("cluster") or {}
    return bool(cluster.get("etcd_data") or cluster.get("manifests"))


def initialised(live: dict) -> bool:
    """Return True if the start of the cluster ran to its end, by what its API says."""
    return _maker(live).initialised(live)


def _maker(live):
    """The distribution of a cluster that answered. kubeadm's answers carry no kind."""
    return distributions.by_name(live.get("kind") or "kubeadm")


def find(nodes: dict, control_planes: list) -> dict:
    """The cluster as it is.

    nodes: by host {name, info}. control_planes: hosts.
    Returns {leader, initialised, start, live, known (names in the API's list), complete: {host: bool}}:
      leader - the healthy control plane to ask, else the host to start, None where the cluster was made elsewhere;
      start - "init" where a new cluster is to be made or a half-made
      one finished, "wait" where the cluster's members only have to come up, else "".
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
    elif len(with_data) > 1:
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
    }


def _elsewhere(nodes):
    """The cluster is another inventory's: nobody can be asked, and a node that has an identity has joined it."""
    complete = {host: bool((node["info"].get("cluster") or {}).get("kubelet_conf")) for host, node in nodes.items()}
    return {"leader": None, "initialised": True, "start": "", "live": {}, "known": set(), "complete": complete}


def _complete(node, is_control_plane, live):
    cluster = node["info"].get("cluster") or {}
    known = {item["name"]: item for item in live.get("nodes") or []}
    here = known.get(node["name"])
    if not cluster.get("kubelet_conf") or here is None:
        return False
    if not is_control_plane:
        return True
    return _maker(cluster).complete_control_plane(node, here, live)


def problems(nodes: dict, control_planes: list, leader: str | None, distribution: Distribution, outside: bool | None = None) -> list:
    """Hosts that belong to other clusters, to one that others made, or to one of the other distribution.

    outside: with an external datastore, whether the token is given with which servers that are all new open the cluster in it; else None.
    """
    found = []
    authority = (nodes[leader]["info"].get("cluster") or {}).get("ca_sha256") if leader else None
    for host, node in sorted(nodes.items()):
        cluster = node["info"].get("cluster") or {}
        if not (cluster.get("kubelet_conf") or has_data(node["info"]) or cluster.get("kind")):
            continue
        if cluster.get("foreign") or cluster.get("kind") not in (None, distribution.name):
            found.append(_stranger(host, cluster, distribution))
        elif leader and cluster.get("ca_sha256") and authority != cluster.get("ca_sha256"):
            if authority is None and outside is not None:
                found += [] if outside else [_orphan(host)]
                continue
            found.append(
                "%s: belongs to another cluster than %s (their certificate authorities differ); reset it first (kubewright.cluster.reset --limit %s)"
                % (host, leader, host)
            )
        elif (
            cluster.get("role") == "control_plane"
            and host not in control_planes
            and distribution.has_control_plane(cluster)
        ):
            found.append(
                "%s: is a control plane of the cluster and a worker in the inventory; put it into kube_control_plane, or reset it first"
                % host
            )
    return found


def _orphan(host):
    """An agent whose servers were all rebuilt, and whose cluster may still be in the database."""
    text = "%s: belongs to a cluster of which no server is left; if the database holds it, set k3s_token to the token that its servers had, "
    return (text + "else reset it first (kubewright.cluster.reset --limit %s)") % (host, host)


def _stranger(host, cluster, distribution):
    """A node of a cluster that is not to be touched: what it is, and how it is taken away."""
    maker = cluster.get("made_by") or "somebody else"
    role = (cluster.get("role") or "unknown role").replace("_", " ")
    away = TAKEN_AWAY_BY.get(maker, "its maker's own means")
    if distributions.is_known(cluster.get("kind")) and cluster["kind"] != distribution.name:
        text = "%s: %s is installed (%s, made by %s); a running cluster is never turned into %s. "
        text %= (host, distributions.by_name(cluster["kind"]).title, role, maker, distribution.title)
        return text + "Move its work to a cluster on other machines, or take it away first with %s" % away
    return "%s: a node that %s made is here (%s); leave it out, or take it away first with %s" % (
        host,
        maker,
        role,
        away,
    )
