# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bridge: a Linux bridge on each node, and a route to every other node's pods. It pulls no image."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache

from ...module_utils.node import network_traces
from ..base import resources
from ..base.distribution import Cluster, File
from ..base.model import Address
from ..base.reference import CNI_TEMPLATE
from ..base.yaml_documents import dump
from .plugin import NetworkPlugin, Options

DIRECTORY = "/etc/kubewright/bridge"
# A range and a default route for each network of the node's pods, as containerd's template has them:
# https://github.com/containerd/containerd/blob/main/docs/cri/config.md#cni-config-template
_RANGES = '[{{range $i, $range := .PodCIDRRanges}}{{if $i}}, {{end}}[{"subnet": "{{$range}}"}]{{end}}]'
_ROUTES = '[{{range $i, $route := .Routes}}{{if $i}}, {{end}}{"dst": "{{$route}}"}{{end}}]'
ETHERNET_MTU = 1500


class Bridge(NetworkPlugin):
    """The reference plugin `bridge`, with a small service that keeps the routes."""

    name = "bridge"
    distributions = ("kubeadm",)
    traces = network_traces.BRIDGE
    options = ("mtu",)
    enforces_policy = False
    one_network = True
    commands = (("nft", "nftables"),)
    renders_template = True

    def node_files(
        self, pod_cidrs: Sequence[str], addresses: Sequence[Address], python: str, options: Options
    ) -> list[File]:
        """Return the files on one node.

        containerd fills the CNI template with the node's pod network. A small service follows the API's list of nodes
        and keeps a route to each other node's pods, so no file on a node lists the others.
        """
        own = ",".join(address.address for address in addresses)
        unit = _UNIT % {"python": python, "addresses": own, "directory": DIRECTORY, "pods": ",".join(pod_cidrs)}
        mtu = min((address.mtu for address in addresses if address.mtu), default=None)
        tables = "".join(_TABLE % {"family": "ip6" if ":" in cidr else "ip", "pods": cidr} for cidr in pod_cidrs)
        return [
            {"path": CNI_TEMPLATE, "content": _template(options, mtu), "mode": "0644"},
            {"path": DIRECTORY + "/routes.py", "content": _routes_program(), "mode": "0644"},
            {
                "path": DIRECTORY + "/masquerade.nft",
                "content": "# Made by kubewright.cluster.\n" + tables,
                "mode": "0644",
            },
            {"path": "/etc/systemd/system/kube-bridge.service", "content": unit, "mode": "0644"},
        ]

    def manifest(self, options: Options, cluster: Cluster) -> str:
        """Return the right of kubelets to list the nodes, which kube-bridge.service needs.

        Without it a kubelet sees its own Node only: https://kubernetes.io/docs/reference/access-authn-authz/node/
        """
        meta = {"name": "kubewright:bridge"}
        role = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": meta,
            "rules": [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]}],
        }
        binding = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": meta,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": meta["name"]},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:nodes"}],
        }
        return dump(role, binding)


def _template(options: Options, mtu: int | None) -> str:
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "hairpinMode": True,
        "ipMasq": False,
        "ipam": {"type": "host-local", "ranges": "@ranges@", "routes": "@routes@"},
    }
    if options.get("mtu"):
        bridge["mtu"] = int(options["mtu"])
    elif mtu and mtu < ETHERNET_MTU:
        # Larger packets of pods would be lost where the network does not say that it drops them.
        bridge["mtu"] = mtu
    plugins = [bridge, {"type": "portmap", "capabilities": {"portMappings": True}}]
    text = json.dumps({"cniVersion": "1.0.0", "name": "kube-bridge", "plugins": plugins}, indent=2) + "\n"
    return text.replace('"@ranges@"', _RANGES).replace('"@routes@"', _ROUTES)


@lru_cache(maxsize=1)
def _routes_program() -> str:
    return resources.read_text("roles", "network", "files", "routes.py")


_UNIT = """# Made by kubewright.cluster.
[Unit]
Description=Routes between the nodes of the Kubernetes bridge network
After=network-online.target kube-endpoint.service
Wants=network-online.target
Before=kubelet.service

[Service]
ExecStartPre=/usr/sbin/nft -f %(directory)s/masquerade.nft
ExecStart=%(python)s %(directory)s/routes.py %(addresses)s %(pods)s
Restart=always
RestartSec=2

[Install]
WantedBy=multi-user.target
"""

# Pods leave the cluster with the node's address; between pods nothing is translated.
# Pods leave the cluster with the node's address; between pods nothing is translated.
_TABLE = """table %(family)s kubewright
delete table %(family)s kubewright
table %(family)s kubewright {
    chain postrouting {
        type nat hook postrouting priority srcnat; policy accept;
        %(family)s saddr %(pods)s %(family)s daddr != %(pods)s oifname != "cni0" masquerade
    }
}
"""
