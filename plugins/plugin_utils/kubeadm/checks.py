# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What kubeadm needs of a machine, and what it cannot do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..base import quantity
from ..base.distribution import Node, Problems, data_dir_fixed
from ..base.findings import Finding
from ..base.reference import KUBEADM_MINIMUM, KUBERNETES_ARCHITECTURES
from . import node_files

# Arguments that kubeadm and the plan give the kubelet: cmd/kubeadm/app/phases/kubelet/flags.go
OWN_ARGUMENTS = {
    "node-ip",
    "hostname-override",
    "container-runtime-endpoint",
    "pod-infra-container-image",
    "register-with-taints",
    "cgroup-driver",
    "network-plugin",
}


def machine(host: str, node: Node, joined: bool) -> Problems:
    """Check architecture and init system, and the size of a machine that is not a member yet."""
    found = Problems(_kind(host, node), [])
    return found if joined else found + Problems([], _no_route(host, node)) + _size(host, node)


def _no_route(host: str, node: Node) -> list[Finding]:
    """Warn of a machine without a default route: the kernel refuses connections to Services before they are changed."""
    network = node["info"]["network"]
    if network.get("default_ipv4") or network.get("default_ipv6"):
        return []
    text = "%s has no default route, and its own processes need one to reach Services. Add one, for example to a dummy "
    return [Finding("network.no_default_route", (text + "interface.") % host, host)]


def data_moved(host: str, node: Node) -> list[Finding]:
    """Refuse another data directory on a member: containerd would start without its images and containers."""
    cluster = node["info"].get("cluster") or {}
    running, wanted = cluster.get("data_dir"), node_files.runtime_dir(node["inputs"])
    if not cluster.get("kubelet_conf") or not running or running == wanted:
        return []
    return [data_dir_fixed(host, node, "containerd", wanted, running)]


def kept_arguments(host: str, node: Node) -> list[Finding]:
    """Warn of arguments of the kubelet that a member keeps: kubeadm writes them when the node joins."""
    running = (node["info"].get("cluster") or {}).get("kubelet_args") or {}
    if not running:
        return []
    # Which of the two it joined with is not known.
    first = ("kubeadm_init_config",) if node["role"] == "control_plane" else ()
    differing = []
    for name in ("kubeadm_join_config", *first):
        registration = node["inputs"][name].get("nodeRegistration")
        wanted = _by_name(registration.get("kubeletExtraArgs") if isinstance(registration, Mapping) else None)
        names = {key for key, value in wanted.items() if running.get(key) != str(value)}
        differing.append(names | set(running) - set(wanted) - OWN_ARGUMENTS)
    if not all(differing):
        return []
    text = (
        "%s: kubeletExtraArgs differ from the running kubelet's in %s. A member keeps what it joined with. Use "
        "kubelet_config, or replace one node after another (kubewright.cluster.replace)."
    )
    shown = ", ".join(sorted(differing[0]))
    return [Finding("kubelet_args.kept", text % (host, shown), host, shown)]


def _by_name(given: Any) -> dict[str, Any]:
    """Return extra arguments, a list of {name, value} or a map, by name."""
    if isinstance(given, Mapping):
        return dict(given)
    return {item["name"]: item.get("value") for item in given or [] if isinstance(item, Mapping) and "name" in item}


def _kind(host: str, node: Node) -> list[Finding]:
    info, found = node["info"], []
    architecture, init = info["architecture"]["name"], info["init"]
    if architecture not in KUBERNETES_ARCHITECTURES:
        text = "%s: architecture %s, Kubernetes has releases for %s. Take the machine out of the inventory, or try K3s."
        limit = ", ".join(KUBERNETES_ARCHITECTURES)
        raw = info["architecture"]["raw"]
        found.append(
            Finding(
                "architecture.unsupported", text % (host, architecture or raw, limit), host, architecture or raw, limit
            )
        )
    if init != "systemd":
        text = "%s: the init system is %s, kubeadm needs systemd. Set kube_distribution: k3s, which runs on OpenRC too."
        if init == "other":
            text = "%s: the init system is %s than systemd and OpenRC. Boot it with systemd."
        found.append(Finding("init.unsupported", text % (host, init), host, init, "systemd"))
    return found


def _size(host: str, node: Node) -> Problems:
    info, need, small = node["info"], KUBEADM_MINIMUM[node["role"]], node["inputs"]["kube_allow_small_nodes"]
    role = node["role"].replace("_", " ")
    found = []
    memory, cpus = info["memory"]["usable_bytes"], info["cpus"]["count"]
    if memory is not None and memory < need["memory"]:
        text = "%s: %s of memory, kubeadm needs at least %s on a %s."
        text %= (host, quantity.human(memory), quantity.human(need["memory"]), role)
        text += "" if small else " Add memory, set kube_distribution: k3s, or set kube_allow_small_nodes: true."
        found.append(Finding("memory.too_small", text, host, memory, need["memory"]))
    if cpus is not None and cpus < need["cpus"]:
        text = "%s: %g CPU, kubeadm needs at least %d on a %s." % (host, cpus, need["cpus"], role)
        text += "" if small else " Add a CPU, set kube_distribution: k3s, or set kube_allow_small_nodes: true."
        found.append(Finding("cpus.too_few", text, host, cpus, need["cpus"]))
    return Problems([], found) if small else Problems(found, [])
