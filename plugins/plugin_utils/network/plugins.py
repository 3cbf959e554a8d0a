# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pod network: for each plugin the files on a node, the manifest in the cluster, and what it cannot do.

A further plugin is one more entry of PLUGINS.
"""

from __future__ import annotations

import json
from functools import lru_cache

from ...module_utils.node import network_traces
from ..base import resources
from ..base.findings import Finding
from ..base.reference import CNI_TEMPLATE, KUBE_ROUTER
from ..base.yaml_documents import dump
from .addresses import interface_of

PAGE = "docs/networks.md"
DIRECTORY = "/etc/kubewright/bridge"
# The file in /etc/cni/net.d that each plugin leaves: containerd's rendering of the template, and what kube-router writes.
CONFIGURATION = {traces.plugin: traces.cni_files[0] for traces in network_traces.ALL if traces.cni_files}


def needs_problems(plugin: str, needs: list) -> list[Finding]:
    """Return the needs that the plugin does not meet."""
    if "network_policy" in needs and plugin == "bridge":
        text = (
            "kube_needs asks for network_policy, which the bridge does not enforce; "
            "set kube_network.plugin to kube-router, or to none and install one that does"
        )
        return [Finding("network.policy_not_enforced", text, value=plugin)]
    return []


def options_problems(plugin: str, options: dict, pod_networks: list) -> list[Finding]:
    """Return the options that the plugin does not know, and the pod networks that it cannot carry."""
    known = {"bridge": {"mtu"}, "kube-router": {"image", "args"}, "flannel": {"backend"}, "none": set()}[plugin]
    found = [
        Finding(
            "network.unknown_option",
            "kube_network.options has no key %s for the plugin %s (it knows %s)"
            % (key, plugin, ", ".join(sorted(known)) or "none"),
            value=key,
        )
        for key in sorted(set(options) - known)
    ]
    if plugin == "bridge" and any(network.version == 6 for network in pod_networks):
        text = "kube_network.plugin bridge carries IPv4 only; choose kube-router for IPv6 pods"
        found.append(Finding("network.family_unsupported", text, value=6, limit=4))
    return found


def homes(nodes: list) -> dict:
    """Hosts by the layer 2 network that holds their addresses. nodes: [{host, address, network (facts)}]."""
    found = {}
    for node in nodes:
        _name, holds = interface_of(node["address"], node["network"])
        found.setdefault(holds, []).append(node["host"])
    return found


def layer2_problems(plugin: str, places: dict) -> list[Finding]:
    """Check that the nodes of a bridge share one layer 2 network. places: hosts by network."""
    if plugin != "bridge" or len(places) < 2:
        return []
    parts = "; ".join("%s: %s" % (holds, ", ".join(hosts)) for holds, hosts in sorted(places.items(), key=str))
    text = "kube_network.plugin bridge needs all nodes in one network, they are in %d (%s); choose kube-router"
    return [Finding("network.several_layer2_networks", text % (len(places), parts), value=len(places), limit=1)]


def bridge_files(pod_cidr: str, address: str, python: str, options: dict) -> list:
    """Files of the bridge on one node.

    containerd renders the CNI template with the pod network that the control plane gave this node. A small service follows the
    API's list of nodes and keeps a route to each other node's pods: no file on a node holds a list of the others.
    """
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "hairpinMode": True,
        "ipMasq": False,
        "ipam": {"type": "host-local", "ranges": [[{"subnet": "{{.PodCIDR}}"}]], "routes": [{"dst": "0.0.0.0/0"}]},
    }
    if options.get("mtu"):
        bridge["mtu"] = int(options["mtu"])
    template = {
        "cniVersion": "1.0.0",
        "name": "kube-bridge",
        "plugins": [bridge, {"type": "portmap", "capabilities": {"portMappings": True}}],
    }
    return [
        {"path": CNI_TEMPLATE, "content": json.dumps(template, indent=2) + "\n", "mode": "0644"},
        {"path": DIRECTORY + "/routes.py", "content": _routes_program(), "mode": "0644"},
        {"path": DIRECTORY + "/masquerade.nft", "content": _MASQUERADE % {"pods": pod_cidr}, "mode": "0644"},
        {
            "path": "/etc/systemd/system/kube-bridge.service",
            "content": _BRIDGE_UNIT % {"python": python, "address": address, "directory": DIRECTORY},
            "mode": "0644",
        },
    ]


@lru_cache(maxsize=1)
def _routes_program():
    return resources.read_text("roles", "network", "files", "routes.py")


_BRIDGE_UNIT = """# Made by kubewright.cluster.
[Unit]
Description=Routes between the nodes of the Kubernetes bridge network
After=network-online.target kube-endpoint.service
Wants=network-online.target
Before=kubelet.service

[Service]
ExecStartPre=/usr/sbin/nft -f %(directory)s/masquerade.nft
ExecStart=%(python)s %(directory)s/routes.py %(address)s
Restart=always
RestartSec=2

[Install]
WantedBy=multi-user.target
"""

# Pods leave the cluster with the node's address; between pods nothing is translated.
_MASQUERADE = """# Made by kubewright.cluster.
table ip kubewright
delete table ip kubewright
table ip kubewright {
    chain postrouting {
        type nat hook postrouting priority srcnat; policy accept;
        ip saddr %(pods)s ip daddr != %(pods)s oifname != "cni0" masquerade
    }
}
"""


def bridge_rights() -> str:
    """Leave for kubelets to list the nodes, which kube-bridge.service needs. Their own authorizer shows each kubelet its own Node alone.

    https://kubernetes.io/docs/reference/access-authn-authz/node/
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


def manifest(plugin: str, options: dict) -> str:
    """The manifest of the plugin, or an empty text."""
    made = {"bridge": bridge_rights, "kube-router": lambda: kube_router(options)}
    return made[plugin]() if plugin in made else ""


def kube_router(options: dict) -> str:
    """kube-router's objects: pods' routes by BGP between the nodes, NetworkPolicy by its firewall; Services stay with kube-proxy.

    https://www.kube-router.io/docs/kubeadm/
    """
    image = options.get("image") or "docker.io/cloudnativelabs/kube-router:" + KUBE_ROUTER
    labels = {"k8s-app": "kube-router", "tier": "node"}
    conflist = {
        "cniVersion": "1.0.0",
        "name": "kube-router",
        "plugins": [
            {
                "name": "kubernetes",
                "type": "bridge",
                "bridge": "kube-bridge",
                "isDefaultGateway": True,
                "hairpinMode": True,
                "ipam": {"type": "host-local"},
            },
            {"type": "portmap", "capabilities": {"portMappings": True, "snat": True}},
        ],
    }
    account = {"name": "kube-router", "namespace": "kube-system"}
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "kube-router"},
        "rules": _KUBE_ROUTER_RULES,
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "kube-router"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "kube-router"},
        "subjects": [{"kind": "ServiceAccount", **account}],
    }
    return dump(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account},
        role,
        binding,
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "kube-router-cfg", "namespace": "kube-system", "labels": labels},
            "data": {"cni-conf.json": json.dumps(conflist, indent=2)},
        },
        _kube_router_daemonset(image, labels, options.get("args") or []),
    )


_KUBE_ROUTER_RULES = [
    {
        "apiGroups": [""],
        "resources": ["namespaces", "pods", "services", "nodes", "endpoints"],
        "verbs": ["list", "get", "watch"],
    },
    {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": ["list", "get", "watch"]},
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "get", "watch"]},
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update"]},
    {"apiGroups": [""], "resources": ["services/status"], "verbs": ["update"]},
]
_CNI_FILE = "/etc/cni/net.d/" + CONFIGURATION["kube-router"]


def _kube_router_daemonset(image, labels, args):
    mounts = {"lib-modules": "/lib/modules", "cni-conf-dir": "/etc/cni/net.d", "xtables-lock": "/run/xtables.lock"}
    container = {
        "name": "kube-router",
        "image": image,
        "args": [
            "--run-router=true",
            "--run-firewall=true",
            "--run-service-proxy=false",
            "--bgp-graceful-restart=true",
            *args,
        ],
        "env": [
            {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            {"name": "KUBE_ROUTER_CNI_CONF_FILE", "value": _CNI_FILE},
        ],
        "livenessProbe": {
            "httpGet": {"path": "/healthz", "port": 20244},
            "initialDelaySeconds": 10,
            "periodSeconds": 5,
            "timeoutSeconds": 3,
        },
        "resources": {"requests": {"cpu": "100m", "memory": "100Mi"}},
        "securityContext": {"privileged": True},
        "volumeMounts": [
            {"name": name, "mountPath": path, **({"readOnly": True} if name == "lib-modules" else {})}
            for name, path in mounts.items()
        ],
    }
    install = {
        "name": "install-cni",
        "image": image,
        "command": [
            "/bin/sh",
            "-c",
            "test -f %s || { cp /etc/kube-router/cni-conf.json %s.tmp && mv %s.tmp %s; }"
            % (_CNI_FILE, _CNI_FILE, _CNI_FILE, _CNI_FILE),
        ],
        "volumeMounts": [
            {"name": "cni-conf-dir", "mountPath": "/etc/cni/net.d"},
            {"name": "kube-router-cfg", "mountPath": "/etc/kube-router"},
        ],
    }
    volumes = [
        {"name": "lib-modules", "hostPath": {"path": "/lib/modules", "type": "DirectoryOrCreate"}},
        {"name": "cni-conf-dir", "hostPath": {"path": "/etc/cni/net.d"}},
        {"name": "kube-router-cfg", "configMap": {"name": "kube-router-cfg"}},
        {"name": "xtables-lock", "hostPath": {"path": "/run/xtables.lock", "type": "FileOrCreate"}},
    ]
    pod = {
        "priorityClassName": "system-node-critical",
        "serviceAccountName": "kube-router",
        "hostNetwork": True,
        "tolerations": [{"operator": "Exists"}],
        "initContainers": [install],
        "containers": [container],
        "volumes": volumes,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "kube-router", "namespace": "kube-system", "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "updateStrategy": {"type": "RollingUpdate"},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
