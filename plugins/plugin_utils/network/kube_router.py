# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kube-router: routes between the nodes by BGP, and NetworkPolicy by its firewall. Services stay with kube-proxy.

https://www.kube-router.io/docs/kubeadm/
"""

from __future__ import annotations

import json
from typing import Any

from ...module_utils.node import network_traces
from ..base.distribution import Cluster
from ..base.findings import Finding
from ..base.reference import KUBE_ROUTER
from ..base.yaml_documents import dump
from .plugin import NetworkPlugin, Options, Situation, between_nodes

IMAGE = "docker.io/cloudnativelabs/kube-router:" + KUBE_ROUTER


class KubeRouter(NetworkPlugin):
    """kube-router, one pod on each node."""

    name = "kube-router"
    distributions = ("kubeadm",)
    traces = network_traces.KUBE_ROUTER
    options = ("args", "image")

    def check(self, situation: Situation) -> list[Finding]:
        """See NetworkPlugin. Each node needs a default route: kube-router asks the API at the address of a Service."""
        text = (
            "%s: has no default route for IPv%d, so kube-router cannot reach the API's Service. Add one, for example to "
            "a dummy interface."
        )
        family, found = situation.service_family, super().check(situation)
        for host, info in situation.newcomers.items():
            if not info["network"].get("default_ipv%d" % family):
                found.append(Finding("network.no_route_to_services", text % (host, family), host))
        return found

    def manifest(self, options: Options, cluster: Cluster) -> str:
        """Return kube-router's account, rights, CNI configuration and DaemonSet."""
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
            "rules": _RULES,
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
            _daemon_set(_image(options), labels, [*_arguments(cluster), *(options.get("args") or [])]),
        )

    def images(self, options: Options) -> list[str]:
        """See NetworkPlugin."""
        return [_image(options)]

    def ports(self, options: Options) -> list[dict[str, Any]]:
        """See NetworkPlugin."""
        return [between_nodes(179, "tcp", "BGP of kube-router")]


def _arguments(cluster: Cluster) -> list[str]:
    """Return the arguments that depend on the cluster's networks.

    https://www.kube-router.io/docs/ipv6/ and, for v2.1.0, pkg/controllers/netpol/network_policy_controller.go and
    pkg/controllers/routing/network_routes_controller.go of cloudnativelabs/kube-router. The MTU of the bridge is that
    of the interface with the node's address (--auto-mtu, on by default).
    """
    families = {network.version for network in cluster["pod_networks"]}
    made = ["--service-cluster-ip-range=" + ",".join(cluster["service_cidrs"])]
    if 6 in families:
        made += ["--enable-ipv4=" + str(4 in families).lower(), "--enable-ipv6=true"]
    if [network.version for network in cluster["pod_networks"]][:1] == [6]:
        # BGP's router ID has the form of an IPv4 address.
        made.append("--router-id=generate")
    if cluster["behind_vpn"]:
        # A VPN forwards to the addresses of nodes only, so pods' packets travel in tunnels within a subnet too.
        made.append("--overlay-type=full")
    return made


def _image(options: Options) -> str:
    return str(options.get("image") or IMAGE)


_RULES = [
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
_CNI_FILE = network_traces.CNI_DIRECTORY + "/" + network_traces.KUBE_ROUTER.cni_files[0]


def _daemon_set(image: str, labels: dict[str, str], args: list[str]) -> dict[str, Any]:
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
