# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kubeadm's configuration documents, as a pure function of the plan.

v1beta4 (from Kubernetes 1.31): https://kubernetes.io/docs/reference/config-api/kubeadm-config.v1beta4/
v1beta3 (1.22 to 1.30):         https://kubernetes.io/docs/reference/config-api/kubeadm-config.v1beta3/
Secrets are not in here: the module that runs kubeadm puts them in place of @token@, @ca_hash@ and @certificate_key@.
"""

from __future__ import annotations

from ..base.yaml_documents import dump, merge, owned_keys

CRI_SOCKET = "unix:///run/containerd/containerd.sock"

OWNED_CLUSTER = {
    "kubernetesVersion": "kube_version",
    "controlPlaneEndpoint": "kube_api_endpoint",
    "clusterName": "kube_cluster_name",
    "networking": {
        "podSubnet": "kube_pod_cidrs",
        "serviceSubnet": "kube_service_cidrs",
        "dnsDomain": "kube_cluster_domain",
    },
    "apiServer": {"certSANs": "kube_api_sans"},
}
OWNED_NODE = {
    "bootstrapTokens": "nothing (the token is made on the control plane)",
    "certificateKey": "nothing (the key is made on the control plane)",
    "discovery": "nothing (the plan joins a living control plane)",
    "nodeRegistration": {
        "name": "kube_node_name",
        "taints": "kube_node_taints",
        "criSocket": "nothing (the runtime is containerd)",
        "ignorePreflightErrors": "kubeadm_ignore_preflight_errors",
    },
}
OWNED_PROXY = {"mode": "kube_proxy_mode", "clusterCIDR": "kube_pod_cidrs"}


def api_version(version: tuple) -> str:
    """The configuration API of a kubeadm version (major, minor, ...)."""
    return "kubeadm.k8s.io/v1beta4" if tuple(version[:2]) >= (1, 31) else "kubeadm.k8s.io/v1beta3"


def arguments(api: str, values: dict):
    """Extra arguments in the form of the API version: a list of name and value, or a map."""
    if api.endswith("v1beta4"):
        return [{"name": name, "value": str(value)} for name, value in values.items()]
    return {name: str(value) for name, value in values.items()}


def cluster_configuration(cluster: dict) -> dict:
    """ClusterConfiguration.

    cluster: version ("1.36.3"), api_version, name, endpoint ("host:port"), domain, pod_cidrs, service_cidrs, sans, extra (the user's map).
    """
    computed = {
        "apiVersion": cluster["api_version"],
        "kind": "ClusterConfiguration",
        "clusterName": cluster["name"],
        "kubernetesVersion": "v" + cluster["version"],
        "controlPlaneEndpoint": cluster["endpoint"],
        "networking": {
            "dnsDomain": cluster["domain"],
            "podSubnet": ",".join(cluster["pod_cidrs"]),
            "serviceSubnet": ",".join(cluster["service_cidrs"]),
        },
        "apiServer": {"certSANs": list(cluster["sans"])},
    }
    return merge(computed, cluster["extra"])


def proxy_configuration(cluster: dict, in_container: bool) -> dict:
    """KubeProxyConfiguration. In a container the kernel's connection tracking belongs to the host and is left alone."""
    computed = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": cluster["proxy_mode"],
        "clusterCIDR": ",".join(cluster["pod_cidrs"]),
    }
    if in_container:
        computed["conntrack"] = {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"}
    return merge(computed, cluster["proxy_extra"])


def node_registration(node: dict, api: str) -> dict:
    """nodeRegistration of one node.

    node: name, address, taints [{key, value, effect}], ignore (preflight checks).
    """
    registration = {
        "name": node["name"],
        "criSocket": CRI_SOCKET,
        "imagePullPolicy": "IfNotPresent",
        "kubeletExtraArgs": arguments(api, {"node-ip": node["address"]}),
        "taints": node["taints"],
    }
    if api.endswith("v1beta4"):
        registration["imagePullSerial"] = False
    if node["ignore"]:
        registration["ignorePreflightErrors"] = sorted(node["ignore"])
    return registration


def _timeouts(api, seconds):
    """Waits longer than kubeadm's own four minutes, for slow machines; the API has the field from v1beta4 on."""
    if not seconds or not api.endswith("v1beta4"):
        return {}
    return {
        "timeouts": dict.fromkeys(
            (
                "controlPlaneComponentHealthCheck",
                "kubeletHealthCheck",
                "kubernetesAPICall",
                "tlsBootstrap",
                "discovery",
            ),
            "%ds" % seconds,
        )
    }


def init_documents(cluster: dict, node: dict) -> str:
    """The file for `kubeadm init` on one node: Init-, Cluster-, Kubelet- and KubeProxyConfiguration."""
    api = cluster["api_version"]
    init = {
        "apiVersion": api,
        "kind": "InitConfiguration",
        # Only to get through `kubeadm init`: others join with a token of their own.
        "bootstrapTokens": [
            {
                "token": "@token@",
                "ttl": "15m",
                "usages": ["authentication", "signing"],
                "groups": ["system:bootstrappers:kubeadm:default-node-token"],
            }
        ],
        "localAPIEndpoint": {"advertiseAddress": node["address"], "bindPort": cluster["api_port"]},
        "nodeRegistration": node_registration(node, api),
        **_timeouts(api, cluster["timeout"]),
    }
    kubelet = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "clusterDomain": cluster["domain"],
        "cgroupDriver": node["cgroup_driver"],
    }
    if node.get("fail_cgroup_v1") is False:
        kubelet["failCgroupV1"] = False
    return dump(
        merge(init, cluster["init_extra"]),
        cluster_configuration(cluster),
        kubelet,
        proxy_configuration(cluster, node["in_container"]),
    )


def join_document(cluster: dict, node: dict) -> str:
    """The file for `kubeadm join`."""
    api = cluster["api_version"]
    join = {
        "apiVersion": api,
        "kind": "JoinConfiguration",
        "discovery": {
            "bootstrapToken": {
                "apiServerEndpoint": cluster["endpoint"],
                "token": "@token@",
                "caCertHashes": ["@ca_hash@"],
            }
        },
        "nodeRegistration": node_registration(node, api),
        **_timeouts(api, cluster["timeout"]),
    }
    if node["role"] == "control_plane":
        join["controlPlane"] = {
            "localAPIEndpoint": {"advertiseAddress": node["address"], "bindPort": cluster["api_port"]},
            "certificateKey": "@certificate_key@",
        }
    return dump(merge(join, cluster["join_extra"]))


def problems(inputs: dict) -> list:
    """Sentences on keys of the kubeadm_* maps that the plan owns."""
    return (
        owned_keys(inputs["kubeadm_cluster_config"], OWNED_CLUSTER, "kubeadm_cluster_config")
        + owned_keys(inputs["kubeadm_init_config"], OWNED_NODE, "kubeadm_init_config")
        + owned_keys(inputs["kubeadm_join_config"], OWNED_NODE, "kubeadm_join_config")
        + owned_keys(inputs["kubeadm_proxy_config"], OWNED_PROXY, "kubeadm_proxy_config")
    )
