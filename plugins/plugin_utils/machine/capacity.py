# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node has left for pods, computed as the kubelet does.

https://kubernetes.io/docs/tasks/administer-cluster/reserve-compute-resources/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..base import quantity
from ..base.reference import MAX_PODS, MIB

POD = 128 * MIB  # the request of a small service; our own example, so the plan shows the size with the number


def capacity(info: Mapping[str, Any], kubelet: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is kept from pods and what is left.

    info: node_info. kubelet: the node's KubeletConfiguration.
    Returns {reserved: {kube, system, eviction}, each as in the configuration; allocatable: {memory_bytes, cpus}, None
    if the machine's is unknown; pods: {limit: the kubelet's maxPods, of_128Mi: how many pods of that size fit}}.
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


def amount(text: Any, whole: float) -> float:
    """Return a quantity, or a share of the whole such as "5%"; 0 for what cannot be read, which the kubelet refuses."""
    try:
        return whole * float(text[:-1]) / 100 if str(text).endswith("%") else quantity.parse(text or 0)
    except ValueError:
        return 0
