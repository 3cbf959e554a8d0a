# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the plan chooses where the inventory does not: Kubernetes version, network plugin, mode of kube-proxy.

A running cluster keeps what it has: none of the three is switched under its pods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..base import versions
from ..base.distribution import Distribution, Nodes, Problems, Reason
from ..base.findings import Finding, reason
from ..base.reference import CGROUP_V1_PAGE, CGROUP_V1_REFUSED_FROM, NFTABLES_KERNEL, PROXY_PAGE, RELEASES_PAGE
from ..machine import kernel_modules
from ..network import plugins as network
from ..network.plugin import IPNetwork

AUTO = "auto"
# Files in the CNI directory that container engines of the host bring: Podman's package and nerdctl
# (https://github.com/containerd/nerdctl/blob/main/docs/cni.md).
HOST_CNI = ("87-podman", "nerdctl-", "docker")


class Choice(NamedTuple):
    """A value that was chosen, and why."""

    value: str
    reasons: list[Reason]
    problems: Problems = Problems([], [])


def version(wanted: str, running: str, nodes: Nodes) -> Choice:
    """Choose the full Kubernetes version: the wanted one, the running one, or the newest that every node can run.

    nodes: by host {info, inputs}. All supported releases exist for the same architectures, and containerd is installed
    too, so only cgroup v1 keeps a node at an older release (CGROUP_V1_PAGE).
    """
    if wanted or running:
        chosen, problems = versions.choose(wanted, running)
        return Choice(chosen, [], problems)
    newest = versions.newest_known()
    held = sorted(
        host
        for host, node in nodes.items()
        if node["info"]["cgroup"]["version"] != "v2" and not node["inputs"]["kube_allow_cgroup_v1"]
    )
    if not held or versions.parse(newest)[:2] < CGROUP_V1_REFUSED_FROM:
        text = (
            "Kubernetes %s: the newest release that this collection was tested with, and every node can run it" % newest
        )
        return Choice(newest, [reason("version", None, newest, None, RELEASES_PAGE, text)])
    older = versions.newest_known(before=CGROUP_V1_REFUSED_FROM)
    limit = "%d.%d" % CGROUP_V1_REFUSED_FROM
    found = nodes[held[0]]["info"]["cgroup"]["version"] or "of an unknown version"
    text = "Kubernetes %s: %s has cgroup %s, which kubelets refuse from %s on" % (older, _some(held), found, limit)
    why = reason("version", held[0], found, limit, CGROUP_V1_PAGE, text)
    text = (
        "%s: has cgroup %s, which keeps the cluster at Kubernetes %s. Boot it with systemd.unified_cgroup_hierarchy=1, "
        "or set kube_allow_cgroup_v1: true (%s)."
    )
    warning = Finding("cgroup.holds_version", text % (_some(held), found, older, CGROUP_V1_PAGE), held[0], found, limit)
    return Choice(older, [why], Problems([], [warning]))


def no_upgrade(wanted: str, running: str, nodes: Nodes, state: Mapping[str, Any]) -> list[Finding]:
    """Refuse another version than the running cluster's, and nodes that an upgrade has not reached yet.

    running: of the API server that is asked, empty without one. state: membership.find().
    """
    if running and wanted != running:
        text = (
            "kube_version %s: the running cluster has %s, and site does not change that. To upgrade it, run "
            "kubewright.cluster.upgrade; otherwise set kube_version: %s, or leave it out."
        )
        return [Finding("version.differs", text % (wanted, running, running), None, wanted, running)]
    kubelets = {row["name"]: row.get("kubelet_version") for row in state["live"].get("nodes") or []}
    found = []
    for host, node in sorted(nodes.items()):
        live = (node["info"].get("cluster") or {}).get("live") or {}
        member = state["complete"].get(host)
        parts = {"API server": live.get("version"), "kubelet": kubelets.get(node["name"]) if member else None}
        for part, version in parts.items():
            there = str(version or "").lstrip("v").partition("+")[0]
            if running and there and there != running:
                text = (
                    "%s: its %s has version %s, the cluster %s. An upgrade was not finished: run "
                    "kubewright.cluster.upgrade."
                )
                found.append(Finding("version.unfinished", text % (host, part, there, running), host, there, running))
                break
    return found


def plugin(
    distribution: Distribution,
    wanted: str,
    running: str | None,
    needs: Sequence[str],
    pod_networks: Sequence[IPNetwork],
    layer2_networks: Mapping[str | None, Sequence[str]],
) -> Choice:
    """Choose the network plugin: the running cluster's, otherwise the distribution's choice.

    running: the running cluster's, None where there is none. layer2_networks: hosts by the network that holds their
    addresses.
    """
    if running in distribution.plugins:
        return _kept("kube_network.plugin", wanted, str(running))
    name, reasons, refusals = distribution.plugin(wanted, needs, pod_networks, layer2_networks)
    return Choice(name, reasons, Problems(refusals, []))


def proxy_mode(wanted: str, running: str | None, needs: Sequence[str], nodes: Nodes) -> Choice:
    """Choose kube-proxy's mode: upstream's default iptables; nftables for many nodes if every kernel has it.

    Never IPVS.
    """
    if running:
        return _kept("kube_proxy_mode", wanted, running)
    old = sorted(host for host, node in nodes.items() if _kernel(node["info"]) < NFTABLES_KERNEL)
    limit = "%d.%d" % NFTABLES_KERNEL
    if wanted == "nftables":
        text = (
            "%s: kube_proxy_mode nftables needs Linux %s, the kernel is %s. Boot a newer one, or set "
            "kube_proxy_mode: iptables (%s)."
        )
        kernels = {host: nodes[host]["info"]["kernel"]["release"] for host in old}
        refusals = [
            Finding("proxy_mode.old_kernel", text % (host, limit, release, PROXY_PAGE), host, release, limit)
            for host, release in kernels.items()
        ]
        return Choice(wanted, [], Problems(refusals, []))
    bare = sorted(host for host, node in nodes.items() if kernel_modules.only_nftables(node["info"]))
    if wanted == AUTO and bare and not old:
        text = "kube-proxy with nftables: the kernel of %s has no ip_tables" % _some(bare)
        return Choice("nftables", [reason("proxy_mode", bare[0], "ip_tables", None, PROXY_PAGE, text)])
    if wanted != AUTO or "many_nodes" not in needs:
        return Choice("iptables", [])
    if old:
        release = nodes[old[0]]["info"]["kernel"]["release"]
        text = "kube-proxy with iptables: %s has Linux %s, nftables needs %s" % (_some(old), release, limit)
        return Choice("iptables", [reason("proxy_mode", old[0], release, limit, PROXY_PAGE, text)])
    text = "kube-proxy with nftables: kube_needs has many_nodes, and its cost does not grow with the number of Services"
    return Choice("nftables", [reason("proxy_mode", None, "many_nodes", None, PROXY_PAGE, text)])


def running_plugin(nodes: Nodes, distribution: Distribution) -> str | None:
    """Return the network plugin of the cluster's nodes, by their CNI configuration; None if none shows it."""
    members = [node["info"].get("cluster") or {} for _host, node in sorted(nodes.items())]
    names = [cluster.get("cni_conf") or [] for cluster in members if cluster.get("kubelet_conf")]
    known = (network.running(found) for found in names)
    others = distribution.uses_host_cni and any(map(_of_others, names))
    return next((plugin for plugin in known if plugin), network.USER if others else None)


def _of_others(names: Sequence[str]) -> bool:
    """Return True if a network plugin of the cluster's wrote one of these files, and not an engine on the host."""
    return any(not name.startswith(HOST_CNI) for name in names)


def running_proxy_mode(nodes: Nodes, state: Mapping[str, Any]) -> str | None:
    """Return the running cluster's mode of kube-proxy, None where there is none. state: membership.find()."""
    found = state["live"].get("proxy_mode")
    if found or not state["initialised"] or state["leader"] is None:
        return str(found) if found else None
    own = (nodes[state["leader"]]["info"].get("cluster") or {}).get("proxy_mode")
    return str(own) if own else None


def _kept(name: str, wanted: str, running: str) -> Choice:
    if wanted in (AUTO, running):
        return Choice(running, [])
    text = (
        "%s: the running cluster has %s, the inventory has %s. It is not switched under running pods: "
        "set it back, or create a new cluster."
    )
    return Choice(
        running, [], Problems([Finding("inputs.fixed", text % (name, running, wanted), None, wanted, running)], [])
    )


def _kernel(info: Mapping[str, Any]) -> tuple[int, ...]:
    """Return (5, 13) of a kernel's version; one that could not be read counts as new."""
    return tuple((info["kernel"].get("version") or (99, 0))[:2])


def _some(hosts: Sequence[str]) -> str:
    return hosts[0] if len(hosts) == 1 else "%s and %d more" % (hosts[0], len(hosts) - 1)
