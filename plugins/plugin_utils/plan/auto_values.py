# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the plan chooses where the inventory leaves it open: Kubernetes version, network plugin, kube-proxy's mode.

Each choice is (value, reasons, warnings, refusals). A running cluster keeps what it has: none of the three is switched under its pods.
"""

from __future__ import annotations

from ..base import versions
from ..base.distribution import Distribution
from ..base.findings import reason
from ..base.reference import CGROUP_V1_PAGE, CGROUP_V1_REFUSED_FROM, NFTABLES_KERNEL, PROXY_PAGE, RELEASES_PAGE
from ..network import plugins as network

AUTO = "auto"


def version(wanted: str, running: str, nodes: dict) -> tuple:
    """The full Kubernetes version: the wanted one, the running one, or the newest that every node takes.

    nodes: by host {info, inputs}. Releases of all supported versions exist for the same architectures, and containerd is brought along:
    what holds a node back is cgroup v1 (CGROUP_V1_PAGE).
    """
    if wanted or running:
        chosen, warnings, refusals = versions.choose(wanted, running)
        return chosen, [], warnings, refusals
    newest = versions.newest_known()
    held = sorted(
        host
        for host, node in nodes.items()
        if node["info"]["cgroup"]["version"] != "v2" and not node["inputs"]["kube_allow_cgroup_v1"]
    )
    if not held or versions.parse(newest)[:2] < CGROUP_V1_REFUSED_FROM:
        text = "Kubernetes %s: the newest release that this collection was tried with, and every node takes it" % newest
        return newest, [reason("version", None, newest, None, RELEASES_PAGE, text)], [], []
    older = versions.newest_known(before=CGROUP_V1_REFUSED_FROM)
    limit = "%d.%d" % CGROUP_V1_REFUSED_FROM
    found = nodes[held[0]]["info"]["cgroup"]["version"]
    text = "Kubernetes %s: %s has cgroup %s, which kubelets refuse from %s on" % (older, _some(held), found, limit)
    way_out = (
        "cgroup %s on %s holds the cluster at Kubernetes %s; boot with systemd.unified_cgroup_hierarchy=1, or set kube_allow_cgroup_v1: true (%s)"
        % (found, _some(held), older, CGROUP_V1_PAGE)
    )
    return older, [reason("version", held[0], found, limit, CGROUP_V1_PAGE, text)], [way_out], []


def plugin(
    distribution: Distribution, wish: str, running: str | None, needs: list, pod_networks: list, layer2_networks: dict
) -> tuple:
    """The network plugin: the running cluster's, else the distribution's choice.

    running: the running cluster's, None where there is none. layer2_networks: hosts by the network that holds their addresses.
    """
    if running in distribution.plugins:
        return _kept("kube_network.plugin", wish, running)
    name, reasons, refusals = distribution.plugin(wish, needs, pod_networks, layer2_networks)
    return name, reasons, [], refusals


def proxy_mode(wish: str, running: str | None, needs: list, nodes: dict) -> tuple:
    """kube-proxy's mode: upstream's default iptables; nftables where many nodes are asked for and every kernel has it. Never IPVS."""
    if running:
        return _kept("kube_proxy_mode", wish, running)
    old = sorted(host for host, node in nodes.items() if _kernel(node["info"]) < NFTABLES_KERNEL)
    limit = "%d.%d" % NFTABLES_KERNEL
    if wish == "nftables":
        refusals = [
            "%s: kube_proxy_mode nftables needs Linux %s, the kernel is %s; boot a newer one, or set kube_proxy_mode to iptables (%s)"
            % (host, limit, nodes[host]["info"]["kernel"]["release"], PROXY_PAGE)
            for host in old
        ]
        return wish, [], [], refusals
    if wish != AUTO or "many_nodes" not in needs:
        return "iptables", [], [], []
    if old:
        release = nodes[old[0]]["info"]["kernel"]["release"]
        text = "kube-proxy with iptables: %s has Linux %s, nftables needs %s" % (_some(old), release, limit)
        return "iptables", [reason("proxy_mode", old[0], release, limit, PROXY_PAGE, text)], [], []
    text = "kube-proxy with nftables: kube_needs asks for many_nodes, and its cost does not grow with the number of Services"
    return "nftables", [reason("proxy_mode", None, "many_nodes", None, PROXY_PAGE, text)], [], []


def running_plugin(nodes: dict) -> str | None:
    """The network plugin of the nodes that belong to the cluster, by the CNI configuration that lies there; None where none tells."""
    for _host, node in sorted(nodes.items()):
        cluster = node["info"].get("cluster") or {}
        if cluster.get("kubelet_conf"):
            for name, file in network.CONFIGURATION.items():
                if file in (cluster.get("cni_conf") or []):
                    return name
    return None


def _kept(name, wish, running):
    if wish in (AUTO, running):
        return running, [], [], []
    text = "%s: the running cluster has %s, the inventory says %s, and site does not switch it under running pods; put it back, or make a new cluster"
    return running, [], [], [text % (name, running, wish)]


def _kernel(info):
    """(5, 13) of a kernel's version; one that could not be read is taken for a new one."""
    return tuple(info["kernel"]["version"] or (99, 0))[:2]


def _some(hosts):
    return hosts[0] if len(hosts) == 1 else "%s and %d more" % (hosts[0], len(hosts) - 1)
