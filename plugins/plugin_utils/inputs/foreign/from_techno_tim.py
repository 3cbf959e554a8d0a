# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An inventory of techno-tim/k3s-ansible: what its variables are in this collection's inputs.

Names: https://github.com/techno-tim/k3s-ansible at 422621c, inventory/sample/group_vars/all.yml and
roles/*/defaults/main.yml.
"""

from __future__ import annotations

from typing import Any

from . import k3s_values as values
from .dialect import (
    FROM_FACTS,
    Context,
    Dialect,
    Outcome,
    Row,
    as_list,
    ask,
    is_empty,
    is_true,
    not_taken,
    nothing,
    part_of,
    question,
    to,
    translated,
    unused,
)
from .from_k3s_ansible import EXTRA


def _virtual_address(value: Any, context: Context) -> Outcome:
    if is_true(context.get("kube_vip_bgp")):
        return ask("kube_vip_bgp: the virtual address is announced by VRRP only. Set kube_api_endpoint.")
    return translated({"kube_api_endpoint": {"mode": "vip", "address": str(value)}})


def _interface(value: Any, context: Context) -> Outcome:
    chosen = context.get("k3s_node_ip")
    if not is_empty(chosen) and FROM_FACTS not in str(chosen):
        return nothing("k3s_node_ip is the address")
    return translated({"kube_node_ip": str(value)})


def _node_ip(value: Any, context: Context) -> Outcome:
    if FROM_FACTS in str(value):
        return nothing("a fact; kube_node_ip takes an interface such as eth0")
    return translated({"kube_node_ip": str(value)})


def _registries(value: Any, context: Context) -> list[Outcome] | Outcome:
    if not is_true(context.get("custom_registries")):
        return nothing("custom_registries is off")
    return values.registries("custom_registries_yaml")(value, context)


_NETWORK = "belongs to a network plugin that is not installed"
ROWS: dict[str, Row] = {
    **EXTRA,
    "apiserver_endpoint": Row("kube_api_endpoint", _virtual_address, "mode vip, with keepalived", asks=True),
    "flannel_iface": Row("kube_node_ip", _interface, "an interface"),
    "k3s_node_ip": Row("kube_node_ip", _node_ip, "unless it is made of facts"),
    "cluster_cidr": to("kube_pod_cidrs", as_list),
    "k3s_token": Row("k3s_token", values.token, "with an external database only"),
    "k3s_master_taint": part_of("extra_server_args"),
    "extra_args": part_of("extra_server_args"),
    "proxy_env": Row("kube_http_proxy", values.proxies, "proxies"),
    "custom_registries": part_of("custom_registries_yaml"),
    "custom_registries_yaml": Row("kube_registries", _registries, "if custom_registries is true", asks=True),
    "disable_swap": to("kube_swap", lambda value: "off" if is_true(value) else "keep"),
    "system_timezone": unused("the time zone is the host's own"),
    "custom_reboot_command": unused("nodes are rebooted by Ansible, if kube_allow_reboot is true"),
    "log_destination": unused("logs are in the journal"),
    "use_external_database": Row("kube_needs", values.database, "external_database", asks=True),
    "calico_iface": not_taken("Calico is not installed; see k3s_helm_charts"),
    "cilium_iface": not_taken("Cilium is not installed; see k3s_helm_charts"),
    "metal_lb_ip_range": not_taken("MetalLB is not installed; K3s's servicelb serves LoadBalancers unless disabled"),
    "kube_vip_lb_ip_range": not_taken("kube-vip for Services is not installed"),
    "kube_vip_bgp": part_of("apiserver_endpoint"),
    "kube_vip_*": unused("the endpoint is keepalived's"),
    "metal_lb_*": unused("belongs to something that is not installed"),
    "calico_*": unused(_NETWORK),
    "cilium_*": unused(_NETWORK),
    "proxmox_lxc_configure": question(
        "Containers are not configured. Prepare them on the Proxmox host, and remove this.",
        False,
    ),
    "proxmox_*": unused("see proxmox_lxc_configure"),
}
DIALECT = Dialect(
    name="techno-tim/k3s-ansible",
    page="https://github.com/techno-tim/k3s-ansible",
    rows=ROWS,
    distribution="k3s",
    generic=frozenset(
        {"k3s_version", "extra_server_args", "extra_agent_args", "systemd_dir", "k3s_token", "extra_args", "proxy_env"}
        | {"disable_swap", "system_timezone", "custom_reboot_command", "log_destination", "use_external_database"}
        | {"cluster_cidr", "k3s_node_ip", "calico_iface", "cilium_iface"}
    ),
)
