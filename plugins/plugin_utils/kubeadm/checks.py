# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What kubeadm needs of a machine."""

from __future__ import annotations

from ..base import quantity
from ..base.distribution import Node, Problems
from ..base.findings import Finding
from ..base.reference import KUBEADM_MINIMUM, KUBERNETES_ARCHITECTURES


def machine(host: str, node: Node, joined: bool) -> Problems:
    """Check architecture and init system, and the size of a machine that is not a member yet."""
    found = Problems(_kind(host, node), [])
    return found if joined else found + _size(host, node)


def _kind(host: str, node: Node) -> list[Finding]:
    info, found = node["info"], []
    architecture, init = info["architecture"]["name"], info["init"]
    if architecture not in KUBERNETES_ARCHITECTURES:
        text = "%s: Kubernetes has no release for the architecture %s (%s); use K3s there, or another machine"
        text %= (host, architecture, info["architecture"]["raw"])
        limit = ", ".join(KUBERNETES_ARCHITECTURES)
        found.append(Finding("architecture.unsupported", text, host, architecture, limit))
    if init != "systemd":
        text = "%s: kubeadm nodes need systemd, the init system is %s; use K3s there" % (host, init)
        found.append(Finding("init.unsupported", text, host, init, "systemd"))
    return found


def _size(host: str, node: Node) -> Problems:
    info, need = node["info"], KUBEADM_MINIMUM[node["role"]]
    role = node["role"].replace("_", " ")
    found = []
    memory, cpus = info["memory"]["usable_bytes"], info["cpus"]["count"]
    if memory is not None and memory < need["memory"]:
        text = "%s: %s of memory, a %s needs %s (%s)"
        text %= (host, quantity.human(memory), role, quantity.human(need["memory"]), need["source"])
        found.append(("memory.too_small", text, memory, need["memory"]))
    if cpus is not None and cpus < need["cpus"]:
        text = "%s: %d CPU, a %s needs %d (%s)" % (host, cpus, role, need["cpus"], need["source"])
        found.append(("cpus.too_few", text, cpus, need["cpus"]))
    if node["inputs"]["kube_allow_small_nodes"]:
        return Problems([], [Finding(name, text, host, value, limit) for name, text, value, limit in found])
    way_out = "; use a larger machine, K3s, or set kube_allow_small_nodes: true"
    return Problems([Finding(name, text + way_out, host, value, limit) for name, text, value, limit in found], [])
