# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node's operating system needs: missing packages, kernel modules, sysctls, swap and the journal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..base.model import Endpoint
from ..base.reference import COMMAND_PACKAGES, MODULES, SYSCTLS, SYSCTLS_IPV6
from . import memory_cgroup

Facts = Mapping[str, Any]


def packages(
    info: Facts,
    role: str,
    place: Endpoint,
    inputs: Mapping[str, Any],
    called: Sequence[str] = tuple(COMMAND_PACKAGES),
    more: Sequence[tuple[str, str]] = (),
) -> list[str]:
    """Return the packages whose programs are missing.

    place: the API endpoint. called: programs that the distribution calls on the node. more: (command, package) that the
    network plugin needs.
    """
    commands = info.get("commands") or {}
    family = info["os"].get("family")
    missing = [COMMAND_PACKAGES[name].get(family, name) for name in called if not commands.get(name)]
    wanted = list(more)
    if role in place["proxied"]:
        wanted.append(("haproxy", "haproxy"))
    if place["mode"] == "vip" and role == "control_plane":
        wanted.append(("keepalived", "keepalived"))
    missing += [package for command, package in wanted if not commands.get(command)]
    if (
        inputs["kube_time_service"] == "chrony"
        and not (info.get("clock") or {}).get("synchronised")
        and not (info.get("virtualization") or {}).get("container")
    ):
        missing.append("chrony")
    return sorted(missing)


def settings(info: Facts, inputs: Mapping[str, Any], pod_networks: Sequence[Any]) -> dict[str, Any]:
    """Return the arguments of the module node_settings."""
    six = any(item.version == 6 for item in pod_networks)
    sysctls = {**(_accept_ra(info) if six else {}), **SYSCTLS, **(SYSCTLS_IPV6 if six else {})}
    in_container = bool((info.get("virtualization") or {}).get("container"))
    made = {
        "modules": list(MODULES),
        "sysctls": sysctls,
        "swap": "keep" if in_container else inputs["kube_swap"],
        "journald": inputs["kube_journald"],
    }
    arguments = memory_cgroup.kernel_arguments(info, inputs["kube_allow_reboot"])
    return {**made, "kernel_arguments": arguments} if arguments else made


def _accept_ra(info: Facts) -> dict[str, str]:
    """Return the sysctls that keep a default route which came by router advertisement.

    A kernel that forwards drops it otherwise. 0 means that another program takes the advertisements.
    https://docs.kernel.org/networking/ip-sysctl.html (accept_ra)
    """
    known = (info["kernel"].get("sysctls") or {}).items()
    return {name: "2" for name, value in known if name.endswith("/accept_ra") and value in ("1", "2")}
