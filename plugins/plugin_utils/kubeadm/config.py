# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kubeadm's configuration documents.

v1beta4 (from Kubernetes 1.31): https://kubernetes.io/docs/reference/config-api/kubeadm-config.v1beta4/
v1beta3 (1.22 to 1.30):         https://kubernetes.io/docs/reference/config-api/kubeadm-config.v1beta3/
Secrets are not in here: the module that runs kubeadm replaces @token@, @ca_hash@ and @certificate_key@ by them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from ...module_utils.node.paths import TOKEN_DESCRIPTION
from ..base.distribution import Cluster, Inputs, Node
from ..base.findings import Finding
from ..base.yaml_documents import dump, merge, owned_keys
from ..inputs import fields

CRI_SOCKET = "unix:///run/containerd/containerd.sock"

# Keys that the plan sets, and the input to use instead; empty where there is none.
_HEAD = {"apiVersion": "", "kind": ""}
OWNED_CLUSTER: dict[str, Any] = {
    **_HEAD,
    # The state of a node is read from there, and kubeadm mounts only its own directory into etcd's pod.
    "certificatesDir": "",
    "etcd": {"local": {"dataDir": "", "extraArgs": {"data-dir": ""}}},
    "kubernetesVersion": "kube_version",
    "controlPlaneEndpoint": "kube_api_endpoint",
    "clusterName": "kube_cluster_name",
    "networking": {
        "podSubnet": "kube_pod_cidrs",
        "serviceSubnet": "kube_service_cidrs",
        "dnsDomain": "kube_cluster_domain",
    },
    "apiServer": {
        "certSANs": "kube_api_sans",
        "extraArgs": {
            "advertise-address": "kube_node_ip",
            "etcd-servers": "",
            "secure-port": "kube_api_port",
            "service-cluster-ip-range": "kube_service_cidrs",
        },
    },
    "controllerManager": {
        "extraArgs": {"cluster-cidr": "kube_pod_cidrs", "service-cluster-ip-range": "kube_service_cidrs"},
    },
}
_API_ENDPOINT = {"advertiseAddress": "kube_node_ip", "bindPort": "kube_api_port"}
OWNED_NODE: dict[str, Any] = {
    **_HEAD,
    "bootstrapTokens": "",  # the token is made on a control plane
    "certificateKey": "",  # and so is the key
    "caCertPath": "",
    "discovery": "",  # nodes join a control plane that runs
    "dryRun": "",
    "localAPIEndpoint": _API_ENDPOINT,
    "controlPlane": {"localAPIEndpoint": _API_ENDPOINT, "certificateKey": ""},
    "nodeRegistration": {
        "name": "kube_node_name",
        "taints": "kube_node_taints",
        "criSocket": "",  # the runtime is containerd
        "ignorePreflightErrors": "kubeadm_ignore_preflight_errors",
        "kubeletExtraArgs": {"node-ip": "kube_node_ip", "hostname-override": "kube_node_name"},
    },
}
OWNED_PROXY: dict[str, Any] = {**_HEAD, "mode": "kube_proxy_mode", "clusterCIDR": "kube_pod_cidrs"}
OWNED = {
    "kubeadm_cluster_config": OWNED_CLUSTER,
    "kubeadm_init_config": OWNED_NODE,
    "kubeadm_join_config": OWNED_NODE,
    "kubeadm_proxy_config": OWNED_PROXY,
}
_WAITS = ("controlPlaneComponentHealthCheck", "kubeletHealthCheck", "kubernetesAPICall", "tlsBootstrap", "discovery")


def api_version(version: tuple[int, int, int | None]) -> str:
    """Return the version of the configuration that a kubeadm version reads."""
    return "kubeadm.k8s.io/v1beta4" if version[:2] >= (1, 31) else "kubeadm.k8s.io/v1beta3"


def arguments(api: str, values: Mapping[str, Any]) -> list[dict[str, str]] | dict[str, str]:
    """Return extra arguments in the form of the API version: a list of {name, value}, or a map."""
    if api.endswith("v1beta4"):
        return [{"name": name, "value": str(value)} for name, value in values.items()]
    return {name: str(value) for name, value in values.items()}


def cluster_configuration(cluster: Cluster) -> dict[str, Any]:
    """Return ClusterConfiguration.

    cluster: version ("1.36.3"), api_version, name, endpoint ("host:port"), domain, pod_cidrs, service_cidrs, sans,
    etcd_tag (of its image, empty for kubeadm's), extra (the user's map).
    """
    computed: dict[str, Any] = {
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
    if cluster.get("etcd_tag"):
        computed["etcd"] = {"local": {"imageTag": cluster["etcd_tag"]}}
    return merge(computed, cluster["extra"])


def with_release(text: str, version: str, etcd_tag: str) -> str:
    """Return kubeadm's file with another Kubernetes version and another tag of etcd's image in ClusterConfiguration."""
    documents = list(yaml.safe_load_all(text))
    for document in documents:
        if document.get("kind") == "ClusterConfiguration":
            document["kubernetesVersion"] = "v" + version
            if not (document.get("etcd") or {}).get("external"):
                document["etcd"] = merge(document.get("etcd") or {}, {"local": {"imageTag": etcd_tag}})
    return dump(*documents)


def proxy_configuration(cluster: Cluster, in_container: bool) -> dict[str, Any]:
    """Return KubeProxyConfiguration. In a container, connection tracking is the host's and is not touched."""
    computed: dict[str, Any] = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": cluster["proxy_mode"],
        "clusterCIDR": ",".join(cluster["pod_cidrs"]),
    }
    if in_container:
        computed["conntrack"] = {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"}
    return merge(computed, cluster["proxy_extra"])


def node_registration(node: Node, api: str) -> dict[str, Any]:
    """Return nodeRegistration of one node.

    node: name, node_ip (its addresses with a comma between), taints [{key, value, effect}], ignore (preflight checks).
    """
    registration = {
        "name": node["name"],
        "criSocket": CRI_SOCKET,
        "imagePullPolicy": "IfNotPresent",
        "kubeletExtraArgs": arguments(api, {"node-ip": node["node_ip"]}),
        "taints": node["taints"],
    }
    if api.endswith("v1beta4"):
        registration["imagePullSerial"] = False
    if node["ignore"]:
        registration["ignorePreflightErrors"] = sorted(node["ignore"])
    return registration


def _timeouts(api: str, seconds: int) -> dict[str, Any]:
    """Return waits that are longer than kubeadm's own four minutes; the API has the field from v1beta4 on."""
    if not seconds or not api.endswith("v1beta4"):
        return {}
    return {"timeouts": dict.fromkeys(_WAITS, "%ds" % seconds)}


def init_documents(cluster: Cluster, node: Node) -> str:
    """Return the file for `kubeadm init`: Init-, Cluster-, Kubelet- and KubeProxyConfiguration."""
    api = cluster["api_version"]
    init = {
        "apiVersion": api,
        "kind": "InitConfiguration",
        # Only for `kubeadm init`: other nodes join with tokens of their own.
        "bootstrapTokens": [
            {
                "token": "@token@",
                "ttl": "15m",
                "description": TOKEN_DESCRIPTION,
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


def join_document(cluster: Cluster, node: Node) -> str:
    """Return the file for `kubeadm join`."""
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


def patches(inputs: Inputs, control_plane: bool) -> str:
    """Return the directory of the user's patches on a node, empty for none.

    A running control plane is written again with the configuration of `kubeadm init`, however it came into the cluster.
    """
    names = ("kubeadm_init_config", "kubeadm_join_config") if control_plane else ("kubeadm_join_config",)
    found = [(inputs[name].get("patches") or {}).get("directory") for name in names]
    return next((str(directory) for directory in found if directory), "")


def problems(inputs: Inputs) -> list[Finding]:
    """Refuse keys of the kubeadm_* maps that the plan sets, and what kubeadm's own cluster does not work with."""
    found = [finding for name, owned in OWNED.items() for finding in owned_keys(inputs[name], owned, name)]
    server = inputs["kubeadm_cluster_config"].get("apiServer")
    given = server.get("extraArgs") if isinstance(server, Mapping) else None
    for item in given if isinstance(given, (list, tuple)) else []:
        if isinstance(item, Mapping) and item.get("name") == "anonymous-auth" and item.get("value") == "false":
            text = (
                "kubeadm_cluster_config.apiServer.extraArgs: with anonymous-auth false, kubeadm's probes of the API "
                "server fail, and no node can join. Remove it."
            )
            found.append(Finding("kubeadm_config.anonymous_auth", text, value="false"))
    return found + list(_validity(inputs["kubeadm_cluster_config"])) + _external_etcd(inputs["kubeadm_cluster_config"])


# With less, certificates expire before anybody renews them: verify warns 30 days before.
SHORTEST_HOURS = 24 * 7


def _validity(given: Mapping[str, Any]) -> Iterator[Finding]:
    """Refuse certificates that expire within days: then the cluster stops."""
    for name in ("certificateValidityPeriod", "caCertificateValidityPeriod"):
        seconds = fields.seconds(given.get(name))
        if given.get(name) and seconds < SHORTEST_HOURS * 3600:
            text = "kubeadm_cluster_config.%s %s: the cluster would stop when they expire. Set at least %dh."
            shown = given[name]
            yield Finding(
                "kubeadm_config.validity", text % (name, shown, SHORTEST_HOURS), value=shown, limit=SHORTEST_HOURS
            )


def _external_etcd(given: Mapping[str, Any]) -> list[Finding]:
    """Refuse an external etcd without members, and members without a port: their default is not etcd's."""
    etcd = given.get("etcd")
    external = etcd.get("external") if isinstance(etcd, Mapping) else None
    if not isinstance(external, Mapping):
        return []
    urls = external.get("endpoints")
    if not urls:
        text = (
            "kubeadm_cluster_config.etcd.external has no endpoints. List its members, such as https://10.0.0.50:2379."
        )
        return [Finding("kubeadm_config.no_etcd_endpoints", text, value="kubeadm_cluster_config.etcd.external")]
    text = "kubeadm_cluster_config.etcd.external.endpoints: %s has no port. Add it, such as :2379."
    plain = [url for url in urls if isinstance(url, str) and re.fullmatch(r"https?://(\[[^\]]*\]|[^:/@]+)/?", url)]
    return [Finding("kubeadm_config.etcd_port", text % url, value=url) for url in plain]
