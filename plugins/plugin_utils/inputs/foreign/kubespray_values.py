# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What values of Kubespray's variables are in this collection's inputs, for the rows of from_kubespray.py."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from .dialect import (
    FROM_FACTS,
    Context,
    Kind,
    Outcome,
    Row,
    as_list,
    ask,
    is_empty,
    is_true,
    left,
    nothing,
    translated,
)

NETWORK = "Set kube_network: {plugin: auto} for the bridge or kube-router, or {plugin: none} and install it yourself"


def _is_address(value: Any) -> bool:
    try:
        ipaddress.ip_address(str(value))
    except ValueError:
        return False
    return True


def whole(value: Any) -> Any:
    """Return a number that is written as text as a number: Kubespray's templates do not tell them apart."""
    text = str(value).strip()
    return int(text) if isinstance(value, str) and text.lstrip("-").isdecimal() else value


_NO_ADDRESS = "not an IP address. Write one of the host's, or set kube_node_ip to an address or a network."


def node_address(value: Any, context: Context) -> Outcome:
    if is_empty(value):
        return nothing("not set")
    if FROM_FACTS in str(value):
        return nothing("a fact; the plan chooses the address")
    return _addresses(value, context) if _is_address(value) else ask(_NO_ADDRESS)


def access_address(value: Any, context: Context) -> Outcome:
    own = context.get("ip")
    if is_empty(value) or str(value) == str(own) or FROM_FACTS in str(value):
        return nothing("the same as ip")
    if is_empty(own):
        return _addresses(value, context) if _is_address(value) else ask(_NO_ADDRESS)
    text = "access_ip %s differs from ip %s, and nodes reach each other at one address. Set kube_node_ip to that one."
    return ask(text % (value, own))


def _addresses(first: Any, context: Context) -> Outcome:
    """Return the node's address, and the IPv6 address beside it if the cluster has both families."""
    other = next((text for text in map(context.get, ("ip6", "access_ip6")) if _is_address(text) and ":" in text), None)
    both = _has_both(context) and other and ":" not in str(first)
    return translated({"kube_node_ip": "%s,%s" % (first, other) if both else str(first)})


def second_address(value: Any, context: Context) -> Outcome:
    """Read ip6 or access_ip6, which _addresses() takes."""
    if is_empty(value) or FROM_FACTS in str(value):
        return nothing("the plan chooses the address")
    if not _is_address(value) or ":" not in str(value):
        return ask("not an IPv6 address. Correct or remove it: the plan finds the IPv6 address beside the other one.")
    other = context.get("ip6")
    if not is_empty(other) and str(other) != str(value):
        return ask("differs from ip6 %s, and nodes reach each other at one address. Remove one of them." % other)
    return Outcome(Kind.UNDERSTOOD) if _has_both(context) else nothing("the cluster has one address family")


def _has_both(context: Context) -> bool:
    second = any(is_true(context.get(name)) for name in ("enable_dual_stack_networks", "ipv6_stack"))
    return second and (is_empty(context.get("ipv4_stack")) or is_true(context.get("ipv4_stack")))


def plugin(value: Any, _context: Context) -> Outcome:
    name = str(value).strip().lower()
    known = {"kube-router": "kube-router", "cni": "none", "none": "none", "custom_cni": "none"}
    if name in known:
        return translated({"kube_network": {"plugin": known[name]}})
    return ask("kube_network_plugin: this collection does not install %s. %s." % (value, NETWORK))


def proxy_mode(value: Any, _context: Context) -> Outcome:
    if str(value).strip().lower() != "ipvs":
        return Outcome(Kind.UNDERSTOOD, {"kube_proxy_mode": value})
    return translated({"kube_proxy_mode": "auto"}, "ipvs is deprecated upstream")


def subnet(name: str, sixth: str) -> Any:
    """Return the reader of a network that has a second one for IPv6."""

    def read(value: Any, context: Context) -> Outcome:
        both = is_true(context.get("enable_dual_stack_networks")) or is_true(context.get("ipv6_stack"))
        first = is_empty(context.get("ipv4_stack")) or is_true(context.get("ipv4_stack"))
        other = context.get(sixth)
        networks = as_list(value) if first else []
        return translated({name: networks + (as_list(other) if both and not is_empty(other) else [])})

    return read


def both_families(name: str) -> Row:
    """A switch for IPv4 and IPv6. Kubespray has defaults for the IPv6 networks, this collection has none."""

    def read(value: Any, context: Context) -> Outcome:
        names = ["kube_pods_subnet_ipv6", "kube_service_addresses_ipv6"]
        if is_empty(context.get("ipv4_stack")) or is_true(context.get("ipv4_stack")):
            names = ["kube_pods_subnet", "kube_service_addresses", *names]
        missing = [each for each in names if is_empty(context.get(each))]
        again = name == "ipv6_stack" and is_true(context.get("enable_dual_stack_networks"))
        if not is_true(value) or again or not missing:
            return nothing("read with kube_pods_subnet")
        text = "%s: not set: %s. Set %s, or kube_pod_cidrs and kube_service_cidrs with a network of each family."
        return ask(text % (name, ", ".join(missing), "it" if len(missing) == 1 else "them"))

    return Row("kube_pod_cidrs", read, "read with kube_pods_subnet", asks=True)


def balancer(value: Any, context: Context) -> Outcome:
    if is_true(context.get("kube_vip_enabled")) and is_true(context.get("kube_vip_controlplane_enabled")):
        return nothing("kube_vip_address is the endpoint")
    if not isinstance(value, Mapping) or is_empty(value.get("address")):
        return ask("loadbalancer_apiserver has no address. Set kube_api_endpoint.")
    place: dict[str, Any] = {"mode": "external", "address": str(value["address"])}
    if not is_empty(value.get("port")):
        place["port"] = value["port"]
    return translated({"kube_api_endpoint": place})


def balancer_here(value: Any, context: Context) -> Outcome:
    if not is_empty(context.get("loadbalancer_apiserver")):
        return nothing("nodes use the load balancer")
    return translated({"kube_api_endpoint": {"mode": "local"}}) if is_true(value) else nothing("the plan chooses")


def balancer_name(value: Any, _context: Context) -> Outcome:
    return nothing("this host") if str(value) == "localhost" else translated({"kube_api_sans": [str(value)]})


def kube_vip(value: Any, context: Context) -> Outcome:
    if not is_true(value):
        return nothing("off")
    if not is_true(context.get("kube_vip_controlplane_enabled")):
        return left("kube-vip is not installed, so Services of type LoadBalancer need another way")
    if is_true(context.get("kube_vip_bgp_enabled")):
        return ask("kube_vip_bgp_enabled: the virtual address is announced by VRRP only. Set kube_api_endpoint.")
    place = {"mode": "vip", "address": str(context.get("kube_vip_address") or "")}
    interface = context.get("kube_vip_interface")
    return translated({"kube_api_endpoint": {**place, **({"interface": str(interface)} if interface else {})}})


def reserved(value: Any, _context: Context) -> Outcome:
    if isinstance(value, Mapping):
        return Outcome(Kind.UNDERSTOOD, {"kube_reserved": dict(value)})
    return nothing("amounts are in kube_memory_reserved and kube_cpu_reserved")


def amount(switch: str, key: str) -> Row:
    """An amount that Kubespray reserves where its switch is on."""

    def read(value: Any, context: Context) -> Outcome:
        on = switch == "system_reserved" and is_empty(context.get(switch)) or is_true(context.get(switch))
        return translated({"kube_reserved": {key: str(value)}}) if on else nothing("%s is off" % switch)

    return Row("kube_reserved." + key, read, "if %s is true" % switch)


def mirrors(value: Any, _context: Context) -> Outcome:
    mirrors: dict[str, Any] = {}
    configs: dict[str, Any] = {}
    for row in value if isinstance(value, list) else []:
        hosts = [item for item in row.get("mirrors") or [] if item.get("host")]
        mirror: dict[str, Any] = {"endpoints": [str(item["host"]) for item in hosts]}
        if any(is_true(item.get("override_path")) for item in hosts):
            mirror["override_path"] = True
        mirrors[str(row.get("prefix"))] = mirror
        for item in hosts:
            if is_true(item.get("skip_verify")):
                name = str(item["host"]).rpartition("://")[2].partition("/")[0]
                configs[name] = {"insecure_skip_verify": True}
    return _registries({"mirrors": mirrors, "configs": configs})


def old_mirrors(value: Any, _context: Context) -> Outcome:
    rows = value.items() if isinstance(value, Mapping) else ()
    return _registries({"mirrors": {str(key): {"endpoints": as_list(urls)} for key, urls in rows}})


def logins(value: Any, _context: Context) -> Outcome:
    rows = [row for row in value if row.get("registry")] if isinstance(value, list) else []
    logins = {str(row["registry"]): {key: row[key] for key in ("username", "password") if row.get(key)} for row in rows}
    return _registries({"configs": logins})


def _registries(parts: Mapping[str, Any]) -> Outcome:
    found = {key: rows for key, rows in parts.items() if rows}
    return translated({"kube_registries": found}) if found else nothing("empty")


def image_source(*registries: str) -> Row:
    """A registry that Kubespray takes images from instead of the public one: a mirror of it."""

    def read(value: Any, _context: Context) -> Outcome:
        host, _slash, path = str(value).rpartition("://")[2].strip("/").partition("/")
        if host in registries:
            return nothing("upstream")
        mirror: dict[str, Any] = {"endpoints": ["https://%s%s" % (host, "/v2/" + path if path else "")]}
        mirror.update({"override_path": True} if path else {})
        return _registries({"mirrors": {registries[0]: mirror}})

    return Row("kube_registries.mirrors", read, "a mirror of %s, by HTTPS" % registries[0])


def arguments(component: str) -> Row:
    def read(value: Any, _context: Context) -> Outcome:
        if is_empty(value) or not isinstance(value, Mapping):
            return nothing("not set")
        rows = [{"name": str(key), "value": str(item)} for key, item in value.items()]
        return translated({"kubeadm_cluster_config": {component: {"extraArgs": rows}}})

    return Row("kubeadm_cluster_config.%s.extraArgs" % component, read)


def dns_domain(value: Any, context: Context) -> Outcome:
    return translated({"kube_cluster_domain": str(value)})


def cluster_name(value: Any, context: Context) -> Outcome:
    # Kubespray's cluster_name is the DNS domain too, unless dns_domain says otherwise.
    return translated({"kube_cluster_domain": str(value)}) if is_empty(context.get("dns_domain")) else nothing("")


def without_proxy(value: Any, _context: Context) -> Outcome:
    return translated({"kube_http_proxy": {"no_proxy": as_list(value)}}) if not is_empty(value) else nothing("not set")


def fetch(value: Any, _context: Context) -> Outcome:
    return translated({"kube_kubeconfig": {"fetch": is_true(value)}}, "kubeconfig beside the inventory")
