# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel modules that the container runtime, kube-proxy and network plugins need, and those that a machine has not.

A module that nobody knows of counts as there: only a kernel whose list of modules was read can be without one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Facts = Mapping[str, Any]
# Of several modules one is enough: xt_MASQUERADE was ipt_MASQUERADE before Linux 5.2.
Wanted = Sequence[tuple[str, ...]]
RUNTIME: Wanted = (("overlay",), ("br_netfilter",), ("nf_conntrack",))
# The matches and targets of its rules: pkg/proxy/iptables/proxier.go. Without ip_tables, iptables works on nf_tables by
# nft_compat.
BY_PROXY_MODE: Mapping[str, Wanted] = {
    "iptables": (
        ("xt_comment",),
        ("xt_conntrack",),
        ("xt_addrtype",),
        ("xt_MASQUERADE", "ipt_MASQUERADE"),
        ("xt_mark",),
        ("xt_nat",),
        ("xt_statistic",),
    ),
    "nftables": (("nf_tables",),),
}
# bridge: its masquerading is a table of nftables. kube-router: its firewall keeps addresses in ipsets.
BY_PLUGIN: Mapping[str, Wanted] = {"bridge": (("nf_tables",),), "kube-router": (("ip_set",), ("xt_set",))}


def missing(info: Facts, wanted: Wanted) -> list[str]:
    """Return the wanted modules that a kernel has not, the first of each group."""
    known = info["kernel"].get("modules") or {}
    return [names[0] for names in wanted if all(known.get(name) == "missing" for name in names)]


def for_proxy(info: Facts, mode: str) -> list[str]:
    """Return the modules that kube-proxy needs in a mode, and that a kernel has not."""
    found = missing(info, BY_PROXY_MODE[mode])
    return ["ip_tables", *found] if mode == "iptables" and not has_iptables(info) else found


def has_iptables(info: Facts) -> bool:
    """Return True if iptables can work: by its own modules, or by those of nftables."""
    known = info["kernel"].get("modules") or {}
    return known.get("ip_tables") != "missing" or known.get("nft_compat") in ("loaded", "builtin", "available")


def only_nftables(info: Facts) -> bool:
    """Return True for a kernel without ip_tables, as that of RHEL 10, which has nftables."""
    known = info["kernel"].get("modules") or {}
    return known.get("ip_tables") == "missing" and known.get("nf_tables") != "missing"
