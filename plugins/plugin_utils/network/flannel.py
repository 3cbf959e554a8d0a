# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""K3s's own network: what each backend of flannel needs of the nodes.

https://docs.k3s.io/networking/basic-network-options#flannel-options
"""

from __future__ import annotations

PAGE = "https://docs.k3s.io/networking/basic-network-options#flannel-options"
# Kernel module, and port between the nodes: https://docs.k3s.io/installation/requirements#inbound-rules-for-k3s-nodes
BACKENDS = {
    "vxlan": {"module": "vxlan", "port": (8472, "udp", "flannel (VXLAN)"), "annotation": "vxlan"},
    "host-gw": {"module": None, "port": None, "annotation": "host-gw"},
    "wireguard-native": {"module": "wireguard", "port": ("51820-51821", "udp", "flannel (WireGuard)"), "annotation": "wireguard"},
}
GONE = {"ipsec": "1.27", "wireguard": "1.26"}
HINTS = {
    "vxlan": "install the kernel's extra modules (linux-modules-extra-raspi with Ubuntu on a Raspberry Pi) and boot it",
    "wireguard": "install it (https://www.wireguard.com/install/)",
}
# What flannel writes on each Node: https://github.com/flannel-io/flannel/blob/master/Documentation/kubernetes.md#annotations
ANNOTATION = "flannel.alpha.coreos.com/backend-type"


def backend(options: dict) -> str:
    """The wanted backend."""
    return (options or {}).get("backend") or "vxlan"


def problems(plugin: str, options: dict, nodes: dict, homes: dict, live: dict) -> list:
    """Sentences on the backend.

    nodes: by host {info} of those that are no members yet. homes: network.homes(). live: what the running cluster's API says.
    """
    running = sorted({(node.get("annotations") or {}).get(ANNOTATION) for node in live.get("nodes") or []} - {None})
    if plugin != "flannel":
        return [_switched("plugin none", ", ".join(running))] if running else []
    name = backend(options)
    if name not in BACKENDS:
        return [_unknown(name)]
    row = BACKENDS[name]
    if running and running != [row["annotation"]]:
        return [_switched("options.backend %s" % name, ", ".join(running))]
    found = []
    if name == "host-gw" and len(homes) > 1:
        parts = "; ".join("%s: %s" % (holds, ", ".join(hosts)) for holds, hosts in sorted(homes.items(), key=str))
        text = "kube_network.options.backend host-gw needs all nodes in one network, they are in %d (%s); choose vxlan or wireguard-native (%s)"
        found.append(text % (len(homes), parts, PAGE))
    for host, node in sorted(nodes.items()):
        if row["module"] and node["info"]["kernel"]["modules"].get(row["module"]) == "missing":
            text = "%s: the kernel %s has no module %s, which kube_network.options.backend %s needs; %s, or choose another backend (%s)"
            found.append(text % (host, node["info"]["kernel"]["release"], row["module"], name, HINTS[row["module"]], PAGE))
    return found


def _unknown(name):
    here = "kube_network.options.backend: "
    if name == "none":
        return here + "none is kube_network: {plugin: none}; write that"
    if name in GONE:
        return here + "%s was taken out of K3s in %s; use wireguard-native (%s)" % (name, GONE[name], PAGE)
    return here + "%r is none of %s" % (name, ", ".join(BACKENDS))


def _switched(wish, running):
    text = "kube_network.%s: the running cluster has flannel with %s, and to switch it all nodes are rebooted together; put it back, or make a new cluster (%s)"
    return text % (wish, running, PAGE)


def port(options: dict) -> tuple:
    """(port, protocol, purpose) that is let through between the nodes, or None."""
    return BACKENDS.get(backend(options), BACKENDS["vxlan"])["port"]
