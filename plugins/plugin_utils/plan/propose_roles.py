# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which machines should be control planes, where the inventory does not say."""

from __future__ import annotations

from ..base.reference import SLOW_DISKS
from .distributions import ALL

SPREAD = 3  # https://etcd.io/docs/v3.6/faq/#what-is-failure-tolerance: three members survive the loss of one


def proposal(infos: dict) -> dict:
    """{control_planes, workers} of machines without roles.

    infos: node_info by host. Three control planes where three machines are fit for it and the cluster has more than two, else one:
    the strongest by disk, memory and CPUs. Nothing where no machine is known.
    """
    ranked = sorted(infos, key=lambda host: (*_strength(infos[host]), host))
    fit = [host for host in ranked if _fit(infos[host])]
    chosen = fit[:SPREAD] if len(fit) >= SPREAD else (fit or ranked)[:1]
    return {"control_planes": sorted(chosen), "workers": sorted(host for host in infos if host not in chosen)}


def sentence(infos: dict) -> str:
    """The proposal in words, as the way out of an inventory without roles; empty where no machine is known."""
    found = proposal(infos)
    if not found["control_planes"]:
        return ""
    text = "by what the machines are, put %s into kube_control_plane" % ", ".join(found["control_planes"])
    return text + (" and %s into kube_node" % ", ".join(found["workers"]) if found["workers"] else "")


def _fit(info):
    least = [distribution.minimum["control_plane"] for distribution in ALL]
    memory, cpus = info["memory"]["usable_bytes"] or 0, info["cpus"]["count"] or 0
    return (
        memory >= min(need["memory"] for need in least)
        and cpus >= min(need["cpus"] for need in least)
        and not _slow(info)
    )


def _slow(info):
    return ((info.get("disks") or {}).get("/var/lib/etcd") or {}).get("kind") in SLOW_DISKS


def _strength(info):
    """The stronger, the smaller. Memory in whole GiB: machines that are as good as alike are told apart by their names."""
    return (_slow(info), -((info["memory"]["usable_bytes"] or 0) >> 30), -(info["cpus"]["count"] or 0))
