# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of the decision as data: the code applies them in this order, and the decision guide shows them."""

from __future__ import annotations

from typing import Any

from ..base.distribution import Distribution
from ..base.reference import (
    CGROUP_V1_PAGE,
    CGROUP_V1_REFUSED_FROM,
    ETCD_PAGE,
    K3S_DATASTORE_PAGE,
    K3S_PAGE,
    MIB,
    NFTABLES_KERNEL,
    PROXY_PAGE,
    SLOW_DISKS,
    WINDOWS_PAGE,
)
from . import distributions

# Our own rules, which follow no page of another project.
OURS = "docs/decision.md"

# Needs that only one distribution meets (hard), or that it meets better.
NEEDS: dict[str, dict[str, Any]] = {
    "external_database": {
        "for": "k3s",
        "hard": True,
        "text": "can use PostgreSQL or MySQL as its datastore, kubeadm only etcd",
        "source": K3S_DATASTORE_PAGE,
    },
    "windows_workers": {
        "for": "kubeadm",
        "hard": True,
        "text": "supports Windows workers, K3s runs on Linux only",
        "source": WINDOWS_PAGE,
    },
    "low_footprint": {
        "for": "k3s",
        "hard": False,
        "text": "is one process, and its agent needs a quarter of the memory",
        "source": K3S_PAGE,
    },
}

# Rules about machines. With a rule of HARD against it a distribution does not run; with another it runs badly.
MACHINE_RULES = ("architecture", "init", "memory", "cpus", "etcd_disk")
HARD = ("architecture", "init")


def _memory(distribution: Distribution) -> str:
    need = {role: row["memory"] // MIB for role, row in distribution.minimum.items()}
    return "%d MiB on a control plane and %d MiB on a worker" % (need["control_plane"], need["worker"])


def table() -> list[tuple[str, str, str, str]]:
    """Return the rows of the decision guide, in the rules' order: (rule, what it looks at, what it does, source)."""
    rows = [
        (
            "installed",
            "a cluster that exists",
            "its distribution is kept; another `kube_distribution` is refused",
            OURS,
        ),
        (
            "requested",
            "`kube_distribution`",
            "wins; a machine that cannot run it is refused, a weak one gets a warning",
            OURS,
        ),
    ]
    for name, need in NEEDS.items():
        rows.append(
            (
                "need",
                "`kube_needs: [%s]`" % name,
                "%s: it %s" % (distributions.by_name(need["for"]).title, need["text"]),
                need["source"],
            )
        )
    kubeadm, k3s = distributions.by_name("kubeadm"), distributions.by_name("k3s")
    rows += [
        (
            "architecture",
            "each node's architecture",
            "kubeadm on %s; else K3s, on %s; else refused"
            % (", ".join(kubeadm.architectures), ", ".join(k3s.architectures)),
            kubeadm.source,
        ),
        ("init", "each node's init system", "kubeadm with systemd; K3s with OpenRC too; else refused", k3s.source),
        (
            "memory",
            "memory that each node's cluster may use (limits of container or slice count)",
            "kubeadm needs %s; else K3s, which needs %s" % (_memory(kubeadm), _memory(k3s)),
            kubeadm.source,
        ),
        (
            "cpus",
            "CPUs of each control plane",
            "kubeadm from %d on; else K3s" % kubeadm.minimum["control_plane"]["cpus"],
            kubeadm.source,
        ),
        (
            "etcd_disk",
            "disk under /var/lib/etcd of each control plane",
            "%s: K3s, whose single server stores in SQLite; with three servers a warning"
            % " or ".join(_DISKS[kind] for kind in SLOW_DISKS),
            K3S_PAGE,
        ),
        (
            "etcd",
            "number of control planes",
            "two are refused, a larger even number gets a warning; one survives no loss",
            ETCD_PAGE,
        ),
        ("default", "none of the above", "kubeadm: every node has the resources", kubeadm.source),
        (
            "version",
            "each node's cgroup version, where `kube_version` is empty",
            "the newest tested release; one older than %d.%d if a node has cgroup v1 and `kube_allow_cgroup_v1` is off"
            % CGROUP_V1_REFUSED_FROM,
            CGROUP_V1_PAGE,
        ),
        (
            "network",
            "`kube_network.plugin: auto`: needs, address families, networks of the nodes",
            (
                "bridge; kube-router for NetworkPolicy, IPv6 pods or nodes in several networks; a running "
                "cluster keeps its own"
            ),
            "docs/networks.md",
        ),
        (
            "parts",
            "K3s: charts in `k3s_helm_charts`, `kube_needs: [low_footprint]`, less `k3s_keep`",
            (
                "servicelb off where a chart balances Services, traefik where one is an ingress controller; "
                "low_footprint: both and metrics-server"
            ),
            "https://docs.k3s.io/installation/packaged-components",
        ),
        (
            "proxy_mode",
            "`kube_proxy_mode: auto`: needs, each node's kernel",
            (
                "iptables; nftables for `many_nodes` where every kernel is Linux %d.%d or newer; a running "
                "cluster keeps its own"
            )
            % NFTABLES_KERNEL,
            PROXY_PAGE,
        ),
    ]
    return rows


_DISKS = {"sd": "SD card", "emmc": "eMMC"}
