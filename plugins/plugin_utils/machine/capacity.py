# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a node is left for pods, by the kubelet's own arithmetic.

https://kubernetes.io/docs/tasks/administer-cluster/reserve-compute-resources/
"""

from __future__ import annotations

from ..base import quantity
from ..base.reference import MAX_PODS, MIB

POD = 128 * MIB  # a small service's request; no rule of anybody's, and so named beside the number


def capacity(info: dict, kubelet: dict) -> dict:
    """What is kept from pods and what is left.

    info: node_info. kubelet: the node's KubeletConfiguration.
    Returns {reserved: {kube, system, eviction}, each as in the configuration; allocatable: {memory_bytes, cpus}, None where the machine's is
    unknown; pods: {limit: the kubelet's maxPods, of_128Mi: how many that request so much fit}}.
    """
    kube, system, eviction = (kubelet.get(name) or {} for name in ("kubeReserved", "systemReserved", "evictionHard"))
    memory, cpus = info["memory"]["usable_bytes"], info["cpus"]["count"]
    limit = int(kubelet.get("maxPods") or MAX_PODS)
    if memory is not None:
        threshold = amount(eviction.get("memory.available"), memory)
        memory = max(
            0, int(memory - amount(kube.get("memory"), memory) - amount(system.get("memory"), memory) - threshold)
        )
    if cpus is not None:
        cpus = max(0.0, round(cpus - amount(kube.get("cpu"), cpus) - amount(system.get("cpu"), cpus), 3))
    return {
        "reserved": {"kube": kube, "system": system, "eviction": eviction},
        "allocatable": {"memory_bytes": memory, "cpus": cpus},
        "pods": {"limit": limit, "of_128Mi": None if memory is None else min(limit, memory // POD)},
    }


def amount(text, whole: float) -> float:
    """A quantity, or a share of the whole such as "5%"; what cannot be read is the kubelet's to refuse."""
    try:
        return whole * float(text[:-1]) / 100 if str(text).endswith("%") else quantity.parse(text or 0)
    except ValueError:
        return 0
