# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which machines should be control planes, if the inventory does not say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..base import words
from ..base.reference import SLOW_DISKS
from .distributions import ALL

SPREAD = 3  # https://etcd.io/docs/v3.6/faq/#what-is-failure-tolerance: three members survive the loss of one
Facts = Mapping[str, Any]


def proposal(infos: Mapping[str, Facts]) -> dict[str, list[str]]:
    """Return {control_planes, workers} of machines without roles.

    infos: node_info by host. Three control planes if three machines are fit for it, otherwise one: the strongest by
    disk, memory and CPUs. Nothing if no machine is known.
    """
    ranked = sorted(infos, key=lambda host: (*_strength(infos[host]), host))
    fit = [host for host in ranked if _fit(infos[host])]
    chosen = fit[:SPREAD] if len(fit) >= SPREAD else (fit or ranked)[:1]
    return {"control_planes": sorted(chosen), "workers": sorted(host for host in infos if host not in chosen)}


def sentence(infos: Mapping[str, Facts]) -> str:
    """Return the proposal in words, as the way out of an inventory without roles; empty if no machine is known."""
    found = proposal(infos)
    if not found["control_planes"]:
        return ""
    workers = " and %s into kube_node" % words.names(found["workers"]) if found["workers"] else ""
    return "By their resources, put %s into kube_control_plane%s." % (words.names(found["control_planes"]), workers)


def _fit(info: Facts) -> bool:
    least = [distribution.minimum["control_plane"] for distribution in ALL]
    memory, cpus = info["memory"]["usable_bytes"] or 0, info["cpus"]["count"] or 0
    enough = memory >= min(need["memory"] for need in least) and cpus >= min(need["cpus"] for need in least)
    return enough and not _slow(info)


def _slow(info: Facts) -> bool:
    return ((info.get("disks") or {}).get("/var/lib/etcd") or {}).get("kind") in SLOW_DISKS


def _strength(info: Facts) -> tuple[bool, int, float]:
    """Return what machines are sorted by, the strongest first.

    Memory counts in whole GiB: machines that are about equal are sorted by name.
    """
    return (_slow(info), -((info["memory"]["usable_bytes"] or 0) >> 30), -(info["cpus"]["count"] or 0))
