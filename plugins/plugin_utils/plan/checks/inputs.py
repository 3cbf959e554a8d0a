# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of inputs against each other and the machines: each has the right form, but together they cannot work."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ...base import quantity, versions
from ...base.distribution import Node, Problems
from ...base.findings import Finding
from ...base.reference import CONTROL_PLANE_PORTS
from ...inputs import components, fields, schema
from ...machine import capacity, kubelet
from ...network import addresses, cidrs, plugins
from ..distributions import other
from ..draft import Case


def without_effect(case: Case) -> Problems:
    """Warn of inputs, and keys of inputs, that only the other distribution reads."""
    defaults, prefix = schema.validate({})[0], other(case.distribution.name).name + "_"
    found: dict[str, list[str]] = {}
    for host, node in sorted(case.nodes.items()):
        for name, value in node["inputs"].items():
            if name.startswith(prefix) and value != defaults.get(name):
                found.setdefault(name, []).append(host)
            for key in case.distribution.unread_keys.get(name, ()):
                if value.get(key):
                    found.setdefault("%s.%s" % (name, key), []).append(host)
    text = "%s has no effect: the plan is %s. Remove it."
    return Problems(
        [], [Finding("inputs.no_effect", text % (name, case.distribution.title), value=name) for name in sorted(found)]
    )


def manifests(case: Case) -> Problems:
    """Refuse two manifests of one name: the second would replace the first."""
    names = [row.get("name") for row in case.shared["kube_manifests"]]
    text = "kube_manifests: %s is listed twice. Give each manifest its own name."
    double = sorted({str(name) for name in names if name and names.count(name) > 1})
    return Problems([Finding("manifests.same_name", text % name, value=name) for name in double], [])


def public_networks(case: Case) -> Problems:
    """Warn of a new cluster's networks that the internet has too: pods cannot reach the hosts there."""
    found = []
    if not case.state["initialised"]:
        for name in ("kube_pod_cidrs", "kube_service_cidrs"):
            for text in case.shared[name]:
                if ipaddress.ip_network(text).is_global:
                    sentence = "%s %s is a public network, whose hosts pods cannot reach. Choose a private one."
                    found.append(Finding("cidrs.public", sentence % (name, text), value=text))
    return Problems([], found)


def ports(case: Case) -> Problems:
    """Refuse a port for the API server or the endpoint that the cluster uses for something else."""
    place = case.cluster["endpoint"]
    own = [("kube_api_port", case.cluster["api_port"], "kube-apiserver")]
    own += [("kube_api_endpoint.port", place["port"], "API endpoint")] if place["proxied"] else []
    used = list(_used(case))
    found = []
    for name, port, purpose in own:
        for low, high, theirs in used:
            if low <= port <= high and theirs != purpose:
                text = "%s %d is a port of %s (%s). Set another one."
                limit = str(low) if low == high else "%d-%d" % (low, high)
                found.append(Finding("port.of_the_cluster", text % (name, port, theirs, limit), None, port, limit))
                break
    return Problems(found, [])


def _used(case: Case) -> Iterator[tuple[int, int, str]]:
    """Yield (first port, last port, purpose) of the TCP ports of the cluster other than the API's."""
    for port, purpose in CONTROL_PLANE_PORTS:
        yield port, port, purpose
    for row in case.distribution.ports(case.cluster):
        low, _dash, high = str(row["port"]).partition("-")
        if low.isdigit() and "tcp" in row["protocol"] and row["port"] != case.cluster["api_port"]:
            yield int(low), int(high or low), row["purpose"]


def virtual_address(case: Case) -> Problems:
    """Refuse a virtual address that is a node's, a gateway's, a name server's, or not for a host in its network."""
    place = case.cluster["endpoint"]
    if place["mode"] != "vip" or not addresses.is_address(place["address"]):
        return Problems([], [])
    wanted = ipaddress.ip_address(place["address"])
    if case.shared["kube_api_endpoint"].get("address") and (wanted.is_loopback or wanted.is_link_local):
        text = (
            "kube_api_endpoint.address %s can be reached by the machine itself or its neighbours only. Choose one of "
        )
        text += "the nodes' network."
        return Problems([Finding("endpoint.not_routed", text % wanted, value=str(wanted))], [])
    for host, node in sorted(case.nodes.items()):
        text = "kube_api_endpoint.address %s is %s. Choose one that no host has."
        what = _holder(host, node, str(wanted))
        if what:
            return Problems([Finding("endpoint.address_taken", text % (wanted, what), host, str(wanted))], [])
        _interface, network = addresses.interface_of(str(wanted), node["info"]["network"])
        net = ipaddress.ip_network(network, strict=False) if network else None
        if net and wanted.version == 4 and net.prefixlen < 31 and wanted in (net[0], net[-1]):
            text = "kube_api_endpoint.address %s is the address of the network %s itself or of all its hosts. "
            text += "Choose another."
            found = Finding("endpoint.address_of_network", text % (wanted, net), host, str(wanted), str(net))
            return Problems([found], [])
    return Problems([], [])


def _holder(host: str, node: Node, wanted: str) -> str:
    """Return what else has an address, by the facts of one node; empty if nothing has it."""
    info = node["info"]
    gateways = [(info["network"].get(name) or {}).get("gateway") for name in ("default_ipv4", "default_ipv6")]
    if node["role"] == "worker" and wanted in [address.address for address in node["addresses"]]:
        return "the address of %s" % host
    if wanted in gateways:
        return "the default gateway of %s" % host
    return "a name server of %s" % host if wanted in ((info.get("dns") or {}).get("nameservers") or []) else ""


def reserved(case: Case, host: str, node: Node) -> Problems:
    """Refuse reservations that leave nothing to pods: the kubelet would not start.

    pkg/kubelet/cm/node_container_manager_linux.go, validateNodeAllocatable.
    """
    info, found = node["info"], []
    wanted = kubelet.config(info, node["inputs"], versions.parse(case.cluster["version"]))
    left = capacity.capacity(info, wanted)["allocatable"]
    kube, system, eviction = (wanted.get(name) or {} for name in ("kubeReserved", "systemReserved", "evictionHard"))
    text = "%s: nothing of its %s (%s) is left to pods: %s for the kubelet, %s for the system%s. Reserve less%s."
    memory, cpus = info["memory"]["usable_bytes"], info["cpus"]["count"]
    if memory is not None and left["memory_bytes"] is not None and left["memory_bytes"] <= 0:
        more = ", and eviction below %s" % eviction.get("memory.available", "0")
        way_out = " in kube_reserved, or lower kubelet_config.evictionHard"
        shown = (host, "memory", quantity.human(memory), kube.get("memory"), system.get("memory"), more, way_out)
        found.append(Finding("reserved.too_much", text % shown, host, memory))
    if cpus is not None and left["cpus"] is not None and left["cpus"] <= 0:
        shown = (
            host,
            "CPU",
            "%g" % cpus,
            kube.get("cpu"),
            system.get("cpu"),
            "",
            ", such as kube_reserved: {kube_cpu: 100m}",
        )
        found.append(Finding("reserved.too_much", text % shown, host, cpus))
    return Problems(found, [])


# Addresses of a node's pod network that pods cannot have: the network's own, the gateway's and the broadcast.
_NOT_FOR_PODS = 3


def pods(case: Case, host: str, node: Node) -> Problems:
    """Check how many pods kubelet_config allows, against the size of the node's pod network."""
    most = node["inputs"]["kubelet_config"].get("maxPods")
    if most == 0:
        text = "%s: kubelet_config.maxPods 0 lets no pod run, not even the cluster's own. Set at least 20."
        return Problems([Finding("kubelet_config.no_pods", text % host, host, 0)], [])
    if not most or case.distribution.sets_node_mask(case.shared) or case.cluster["plugin"] == plugins.USER:
        return Problems([], [])
    room = 2 ** (32 - cidrs.NODE_PREFIX[4]) - _NOT_FOR_PODS
    if most <= room or not any(network.version == 4 for network in case.cluster["pod_networks"]):
        return Problems([], [])
    text = "%s: kubelet_config.maxPods is %d, and its pod network, a /%d, has %d addresses for pods. Set at most %d."
    values = (host, most, cidrs.NODE_PREFIX[4], room, room)
    return Problems([], [Finding("kubelet_config.more_pods_than_addresses", text % values, host, most, room)])


def feature_gates(case: Case, host: str, node: Node) -> Problems:
    """Refuse feature gates that this release of Kubernetes does not know: the component would not start."""
    if case.cluster["any_version"]:
        return Problems([], [])  # an upgrade says what the releases on its way do not know
    minor, found = versions.parse(case.cluster["version"])[1], []
    text = "%s: %s has the feature gate %s, %s; the cluster is Kubernetes 1.%d. Remove it."
    for name, value in node["inputs"].items():
        for where, gate, why in components.gates_of_another_release(name, value, minor):
            values = (host, where, gate, why, minor)
            found.append(Finding("inputs.feature_gate", text % values, host, gate, "1.%d" % minor))
    return Problems(found, [])


def kubelet_limits(case: Case, host: str, node: Node) -> Problems:
    """Refuse values of kubelet_config that contradict each other: the kubelet would not start."""
    wanted = kubelet.config(node["info"], node["inputs"], versions.parse(case.cluster["version"]))
    if not node["inputs"]["kubelet_config"]:
        return Problems([], [])
    return Problems([*_contradictions(host, wanted), *_of_the_machine(host, wanted, node["info"])], [])


def _of_the_machine(host: str, config: Mapping[str, Any], info: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield what the machine does not have, or uses already."""
    cpus = [int(number) for number in re.findall("[0-9]+", str(config.get("reservedSystemCPUs") or ""))]
    count = (info.get("cpus") or {}).get("host_count")
    if cpus and count and max(cpus) >= count:
        text = "%s: kubelet_config.reservedSystemCPUs %s: the machine has the CPUs 0 to %d. Choose of these."
        shown = config["reservedSystemCPUs"]
        yield Finding("kubelet_config.no_such_cpu", text % (host, shown, count - 1), host, shown, count - 1)
    own = config.get("port") or 10250
    taken = {10248: "the kubelet's healthz", 10249: "kube-proxy", 10256: "kube-proxy"}
    for name, port, holder in (
        ("port", own, taken.get(own)),
        (
            "readOnlyPort",
            config.get("readOnlyPort"),
            {**taken, own: "the kubelet itself"}.get(config.get("readOnlyPort")),
        ),
    ):
        if holder:
            text = "%s: kubelet_config.%s %d is a port of %s. Set another one, or leave it out."
            yield Finding("kubelet_config.port", text % (host, name, port, holder), host, port)


def _contradictions(host: str, config: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield what pkg/kubelet/apis/config/validation/validation.go refuses of fields that are right on their own."""
    text = "%s: kubelet_config: %s. Change one of them."
    low, high = config.get("imageGCLowThresholdPercent", 80), config.get("imageGCHighThresholdPercent", 85)
    if low >= high:
        what = "imageGCLowThresholdPercent %s must be less than imageGCHighThresholdPercent %s" % (low, high)
        yield Finding("kubelet_config.contradiction", text % (host, what), host, low, high)
    soft, periods = config.get("evictionSoft") or {}, config.get("evictionSoftGracePeriod") or {}
    for name in sorted(set(soft) ^ set(periods)):
        what = "evictionSoft and evictionSoftGracePeriod need the same signals, and %s is only in one" % name
        yield Finding("kubelet_config.contradiction", text % (host, what), host, name)
    if config.get("memoryManagerPolicy") == "Static" and not config.get("reservedMemory"):
        what = "memoryManagerPolicy Static needs reservedMemory"
        yield Finding("kubelet_config.contradiction", text % (host, what), host, "Static", "reservedMemory")
    whole, part = (config.get(name) or "0s" for name in ("shutdownGracePeriod", "shutdownGracePeriodCriticalPods"))
    if fields.seconds(part) > fields.seconds(whole):
        what = "shutdownGracePeriodCriticalPods must not be longer than shutdownGracePeriod"
        yield Finding("kubelet_config.contradiction", text % (host, what), host, part, whole)
    if config.get("serializeImagePulls") and config.get("maxParallelImagePulls", 1) > 1:
        what = "maxParallelImagePulls %s needs serializeImagePulls: false" % config["maxParallelImagePulls"]
        yield Finding("kubelet_config.contradiction", text % (host, what), host, config["maxParallelImagePulls"], 1)
    for name, needed in (("system-reserved", "systemReservedCgroup"), ("kube-reserved", "kubeReservedCgroup")):
        if name in (config.get("enforceNodeAllocatable") or []) and not config.get(needed):
            what = "enforceNodeAllocatable has %s, which needs %s" % (name, needed)
            yield Finding("kubelet_config.contradiction", text % (host, what), host, name, needed)
