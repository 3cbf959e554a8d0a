# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""flannel, which K3s brings with it, and what each of its backends needs of the nodes.

https://docs.k3s.io/networking/basic-network-options#flannel-options
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...module_utils.node import network_traces
from ..base.findings import Finding
from ..base.model import Address
from .addresses import Facts, of_host
from .plugin import NetworkPlugin, Options, Situation, between_nodes, one_network

PAGE = "https://docs.k3s.io/networking/basic-network-options#flannel-options"
# Kernel module, and port between the nodes: https://docs.k3s.io/installation/requirements#inbound-rules-for-k3s-nodes
BACKENDS: dict[str, dict[str, Any]] = {
    "vxlan": {"module": "vxlan", "port": (8472, "udp", "flannel (VXLAN)"), "annotation": "vxlan"},
    "host-gw": {"module": None, "port": None, "annotation": "host-gw"},
    "wireguard-native": {
        "module": "wireguard",
        "port": ("51820-51821", "udp", "flannel (WireGuard)"),
        "annotation": "wireguard",
    },
}
# Backends that K3s has removed, and the release that did it.
REMOVED = {"ipsec": "1.27", "wireguard": "1.26"}
HINTS = {
    "vxlan": "Install the kernel's extra modules (linux-modules-extra-raspi with Ubuntu on a Raspberry Pi) and reboot",
    "wireguard": "Install it (https://www.wireguard.com/install/)",
}
# flannel writes it on each Node.
ANNOTATION = network_traces.FLANNEL.node_annotations[0]


class Flannel(NetworkPlugin):
    """flannel inside of K3s, with K3s's own controller for NetworkPolicy."""

    name = "flannel"
    distributions = ("k3s",)
    traces = network_traces.FLANNEL
    options = ("backend",)

    def check(self, situation: Situation) -> list[Finding]:
        """Check the backend as well: that it exists, suits the machines and is the running cluster's."""
        found = super().check(situation)
        name = backend(situation.options)
        if name not in BACKENDS:
            return [*found, _unknown(name)]
        running = running_backends(situation.running)
        if running and running != [BACKENDS[name]["annotation"]]:
            return [*found, switched("kube_network.options.backend", name, running)]
        if name == "host-gw":
            found += one_network(
                "kube_network.options.backend: host-gw", "vxlan or wireguard-native", situation.layer2_networks
            )
        return [*found, *_missing_modules(name, situation.newcomers)]

    def ports(self, options: Options) -> list[dict[str, Any]]:
        """See NetworkPlugin."""
        port = BACKENDS.get(backend(options), BACKENDS["vxlan"])["port"]
        return [between_nodes(*port)] if port else []


def backend(options: Options | None) -> str:
    """Return the backend that is asked for."""
    return str((options or {}).get("backend") or "vxlan")


def interface(addresses: Sequence[Address], facts: Facts) -> str:
    """Return the value of K3s's flannel-iface; empty where flannel finds the node's address by itself.

    Without it flannel takes the interface of the default route: LookupExtInterface in pkg/agent/flannel/flannel.go of
    k3s-io/k3s. facts: the network part of the host's.
    """
    own = addresses[0].interface if addresses else None
    version = 4 if any(address.family == 4 for address in addresses) else 6
    default = facts.get("default_ipv%d" % version) or {}
    return own if own and own != default.get("interface") else ""


def check_addresses(host: str, addresses: Sequence[Address], facts: Facts) -> list[Finding]:
    """Check that flannel uses the node's addresses: it takes one interface, and the first IPv4 address there."""
    found = []
    names = [address.interface for address in addresses]
    if len({name for name in names if name}) > 1:
        text = (
            "%s: its addresses are on %s, and flannel uses one interface for both families. Set kube_node_ip to "
            "addresses of one interface, or set kube_network.plugin: none and install another network plugin."
        )
        shown = " and ".join(str(name) for name in names)
        found.append(Finding("flannel.two_interfaces", text % (host, shown), host, names))
    for address in addresses:
        first = next((one for one in of_host(facts) if (one.interface, one.family) == (address.interface, 4)), None)
        if address.family == 4 and first and first.address != address.address:
            text = (
                "%s: flannel uses the first address of %s, %s, and the node's is %s. Set kube_node_ip: %s, or remove "
                "the first address from the interface."
            )
            values = (host, address.interface, first.address, address.address, first.address)
            found.append(Finding("flannel.other_address", text % values, host, address.address, first.address))
    return found


def running_backends(nodes: Any) -> list[str]:
    """Return the backends of a running cluster's Nodes. nodes: as its API has them."""
    found = {(node.get("annotations") or {}).get(ANNOTATION) for node in nodes}
    return sorted(text for text in found if text)


def _missing_modules(name: str, newcomers: Mapping[str, Mapping[str, Any]]) -> list[Finding]:
    module = BACKENDS[name]["module"]
    text = (
        "%s: kernel %s has no module %s, which kube_network.options.backend %s needs. %s, or choose "
        "another backend (%s)."
    )
    found = []
    for host, info in sorted(newcomers.items()):
        kernel = info["kernel"]
        if module and kernel["modules"].get(module) == "missing":
            values = (host, kernel["release"], module, name, HINTS[module], PAGE)
            found.append(Finding("kernel.module_missing", text % values, host, module))
    return found


def _unknown(name: str) -> Finding:
    known = ", ".join(BACKENDS)
    text = "kube_network.options.backend %s: expected one of %s (%s)." % (name, known, PAGE)
    if name == "none":
        text = "kube_network.options.backend none: set kube_network.plugin: none instead."
    elif name in REMOVED:
        text = "kube_network.options.backend %s: K3s removed it in %s. Use wireguard-native (%s)." % (
            name,
            REMOVED[name],
            PAGE,
        )
    return Finding("network.unknown_backend", text, value=name, limit=known)


def switched(setting: str, wanted: str, running: list[str]) -> Finding:
    """Return the refusal of another backend, or of another plugin, in a running cluster."""
    there = ", ".join(running)
    text = (
        "%s %s: the running cluster has flannel with %s, and a switch would need a reboot of all nodes "
        "together. Set it back, or create a new cluster (%s)."
    )
    return Finding("network.backend_fixed", text % (setting, wanted, there, PAGE), value=wanted, limit=there)
