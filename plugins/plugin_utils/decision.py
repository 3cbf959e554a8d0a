# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which distribution, and why: each rule says what it decides, on which node's number, against which limit, from which source."""

from __future__ import annotations

from . import quantity
from .catalog import K3S_PAGE, KUBEADM_MINIMUM, KUBERNETES_ARCHITECTURES


def obstacles(nodes: dict) -> list:
    """Reasons against kubeadm on these machines: [{rule, node, value, limit, source, text}]."""
    found = []
    for host, node in sorted(nodes.items()):
        info, need = node["info"], KUBEADM_MINIMUM[node["role"]]
        memory = info["memory"]["usable_bytes"]
        if memory is not None and memory < need["memory"]:
            text = "%s has %s of memory, kubeadm needs %s" % (
                host,
                quantity.human(memory),
                quantity.human(need["memory"]),
            )
            found.append(_reason("memory", host, memory, need["memory"], need["source"], text))
        architecture = info["architecture"]["name"]
        if architecture not in KUBERNETES_ARCHITECTURES:
            text = "%s is %s, for which Kubernetes has no release" % (host, architecture)
            found.append(
                _reason("architecture", host, architecture, ", ".join(KUBERNETES_ARCHITECTURES), need["source"], text)
            )
        if info["init"] != "systemd":
            found.append(
                _reason(
                    "init",
                    host,
                    info["init"],
                    "systemd",
                    need["source"],
                    "%s has %s, kubeadm's nodes need systemd" % (host, info["init"]),
                )
            )
    return found


def reasons(nodes: dict, shared: dict, control_planes: list) -> list:
    """Why the distribution is what it is."""
    if shared["kube_distribution"] == "kubeadm":
        return [_reason("wish", None, "kubeadm", None, None, "kubeadm: kube_distribution asks for it")]
    if obstacles(nodes):
        return []
    smallest = min(nodes, key=lambda host: nodes[host]["info"]["memory"]["usable_bytes"] or 0)
    memory = nodes[smallest]["info"]["memory"]["usable_bytes"] or 0
    need = KUBEADM_MINIMUM[nodes[smallest]["role"]]
    text = "kubeadm: every node has what it needs; the smallest, %s, has %s of memory (limit %s)" % (
        smallest,
        quantity.human(memory),
        quantity.human(need["memory"]),
    )
    count = len(control_planes)
    spread = (
        "one control plane: no loss is survived"
        if count == 1
        else "%d control planes with an etcd member each survive the loss of %d" % (count, (count - 1) // 2)
    )
    return [
        _reason("memory", smallest, memory, need["memory"], need["source"], text),
        _reason("etcd", None, count, None, "https://etcd.io/docs/v3.6/faq/#what-is-failure-tolerance", spread),
    ]


def refusals(nodes: dict, shared: dict) -> list:
    """What this release cannot carry out."""
    if shared["kube_distribution"] == "k3s":
        return [
            "kube_distribution k3s: this release installs kubeadm clusters only; set kube_distribution to kubeadm or auto"
        ]
    if shared["kube_distribution"] == "auto" and obstacles(nodes) and not shared["kube_allow_small_nodes"]:
        texts = "; ".join(reason["text"] for reason in obstacles(nodes))
        return [
            "kube_distribution auto: K3s fits these machines better (%s; %s), and this release installs kubeadm clusters only"
            % (texts, K3S_PAGE)
        ]
    return []


def _reason(rule, node, value, limit, source, text):
    return {"rule": rule, "node": node, "value": value, "limit": limit, "source": source, "text": text}
