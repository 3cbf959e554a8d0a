# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node's operating system needs: missing packages, kernel modules, sysctls, swap and the journal."""

from __future__ import annotations

from ..base.reference import COMMAND_PACKAGES, MODULES, SYSCTLS, SYSCTLS_IPV6
from . import memory_cgroup as board


def packages(info: dict, role: str, place: dict, inputs: dict) -> list:
    """Names of the packages whose programs are missing. place: the endpoint."""
    commands = info.get("commands") or {}
    family = info["os"].get("family")
    missing = [table.get(family, command) for command, table in COMMAND_PACKAGES.items() if not commands.get(command)]
    if role in place["proxied"] and not commands.get("haproxy"):
        missing.append("haproxy")
    if place["mode"] == "vip" and role == "control_plane" and not commands.get("keepalived"):
        missing.append("keepalived")
    if inputs["kube_network"]["plugin"] == "bridge" and not commands.get("nft"):
        missing.append("nftables")
    if (
        inputs["kube_time_service"] == "chrony"
        and not (info.get("clock") or {}).get("synchronised")
        and not (info.get("virtualization") or {}).get("container")
    ):
        missing.append("chrony")
    return sorted(missing)


def settings(info: dict, inputs: dict, pod_networks: list) -> dict:
    """Arguments of the module node_settings."""
    sysctls = dict(SYSCTLS)
    if any(item.version == 6 for item in pod_networks):
        sysctls.update(SYSCTLS_IPV6)
    in_container = bool((info.get("virtualization") or {}).get("container"))
    made = {
        "modules": list(MODULES),
        "sysctls": sysctls,
        "swap": "keep" if in_container else inputs["kube_swap"],
        "journald": inputs["kube_journald"],
    }
    words = board.kernel_arguments(info, inputs["kube_allow_reboot"])
    return {**made, "kernel_arguments": words} if words else made
