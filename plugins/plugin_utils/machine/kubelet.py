# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kubelet's configuration: one drop-in for both distributions.

Fields: https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/
Drop-in directory: https://kubernetes.io/docs/tasks/administer-cluster/kubelet-config-file/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..base import quantity
from ..base.findings import Finding
from ..base.reference import CGROUP_V1_REFUSED_FROM, GIB, MIB, RESERVED_CPU_STEPS, RESERVED_MEMORY_STEPS
from ..base.yaml_documents import merge, owned_keys

# Keys that the plan sets, and the input to use instead; empty where there is none.
OWNED = {
    "apiVersion": "",
    "kind": "",
    "clusterDomain": "kube_cluster_domain",
    "cgroupDriver": "",  # containerd and kubelet must agree
    "kubeReserved": "kube_reserved",
    "systemReserved": "kube_reserved",
    # A changed node is asked there whether it is healthy, and `verify` asks there too.
    "healthzPort": "",
    "containerRuntimeEndpoint": "",
    "registerNode": "",
    "staticPodPath": "",
    "healthzBindAddress": "",
}


def reserved(memory_bytes: float | None, cpus: float | None, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is kept from pods on a node of this size: kubeReserved, systemReserved and the eviction thresholds.

    memory_bytes, cpus: None if unknown; then the least is reserved. wanted: the input kube_reserved. Half of the
    computed memory is for the operating system.
    """
    memory_bytes, cpus = memory_bytes or 0, cpus or 0
    memory = min(_share(memory_bytes, RESERVED_MEMORY_STEPS), memory_bytes * 0.25)
    cpu = max(_share(cpus, RESERVED_CPU_STEPS), 0.06)
    kube_memory = max(memory / 2, 100 * MIB)
    return {
        "kubeReserved": {
            "memory": wanted.get("kube_memory") or quantity.memory(kube_memory),
            "cpu": wanted.get("kube_cpu") or quantity.cpu(cpu / 2),
        },
        "systemReserved": {
            "memory": wanted.get("system_memory") or quantity.memory(kube_memory),
            "cpu": wanted.get("system_cpu") or quantity.cpu(cpu / 2),
        },
        "evictionHard": {
            "memory.available": "%dMi" % (100 if memory_bytes >= 2 * GIB else 50),
            "nodefs.available": "10%",
            "nodefs.inodesFree": "5%",
            "imagefs.available": "15%",
        },
    }


def _share(amount: float, steps: Sequence[tuple[float | None, float]]) -> float:
    total = 0.0
    for size, share in steps:
        part = amount if size is None else min(amount, size)
        total += part * share
        amount -= part
        if amount <= 0:
            break
    return total


def config(node: Mapping[str, Any], inputs: Mapping[str, Any], version: tuple[int, int, int | None]) -> dict[str, Any]:
    """Return the KubeletConfiguration of one node.

    node: its node_info. inputs: its inputs. version: (major, minor, patch).
    """
    driver = cgroup_driver(node)
    computed: dict[str, Any] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "cgroupDriver": driver,
        "clusterDomain": inputs["kube_cluster_domain"],
        "containerLogMaxSize": "10Mi",
        "containerLogMaxFiles": 5,
        "serializeImagePulls": False,
        "maxParallelImagePulls": 4,
    }
    if driver == "systemd":
        # logind delays a shutdown for the kubelet. In a container there is no logind.
        computed.update({"shutdownGracePeriod": "60s", "shutdownGracePeriodCriticalPods": "20s"})
    resolv = (node.get("dns") or {}).get("resolv_conf")
    if resolv:
        computed["resolvConf"] = resolv
    if inputs["kube_swap"] == "keep" or (node.get("virtualization") or {}).get("container"):
        computed["failSwapOn"] = False
    if node["cgroup"]["version"] != "v2" and version[:2] >= CGROUP_V1_REFUSED_FROM:
        computed["failCgroupV1"] = False
    computed.update(reserved(node["memory"]["usable_bytes"], node["cpus"]["count"], inputs["kube_reserved"]))
    given = inputs["kubelet_config"]
    if given.get("serializeImagePulls"):
        computed.pop("maxParallelImagePulls")
    if "shutdownGracePeriod" in given or "shutdownGracePeriodByPodPriority" in given:
        # The kubelet refuses a part that is longer than the whole, and both ways at the same time.
        computed.pop("shutdownGracePeriodCriticalPods", None)
    if "shutdownGracePeriodByPodPriority" in given:
        computed.pop("shutdownGracePeriod", None)
    return merge(computed, given)


def cgroup_driver(node: Mapping[str, Any]) -> str:
    """Return systemd if systemd owns a cgroup v2 tree, otherwise cgroupfs; containerd and kubelet get the same.

    In a container on a host with cgroup v1 the inner systemd has no tree that it could delegate from.
    https://kubernetes.io/docs/setup/production-environment/container-runtimes/#cgroup-drivers
    """
    return "systemd" if node["init"] == "systemd" and node["cgroup"]["version"] == "v2" else "cgroupfs"


def refusals(given: Mapping[str, Any]) -> list[Finding]:
    """Refuse keys of kubelet_config that the plan sets."""
    return owned_keys(given, OWNED, "kubelet_config")
