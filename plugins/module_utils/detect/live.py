# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a control plane's own API server and etcd say."""

from __future__ import annotations

import json
import re

from ..node import paths
from ..node.network_traces import NODE_ANNOTATIONS

ETCD = paths.KUBERNETES + "/pki/etcd/"
SYSTEM = "/api/v1/namespaces/kube-system/"
APPS = "/apis/apps/v1/namespaces/kube-system/"
NAMES = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
WRONG = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)


class Denied(ValueError):
    """The API server knows the certificate but allows it nothing (yet)."""


def live(host, pool):
    """What this control plane's own API server and etcd say; `error`, `etcd_error` where they do not answer."""
    result = {"healthy": False, "version": None, "nodes": [], "kubeadm_config": None, "error": None}
    result.update(
        {
            "etcd_members": None,
            "etcd_error": None,
            "config_maps": [],
            "daemonsets": [],
            "deployments": [],
            "proxy_mode": None,
            "proxy_config": None,
        }
    )
    members = pool.submit(_etcd, host)
    server = address(host.read(paths.API_SERVER_MANIFEST))
    result["api_port"] = server["port"]
    try:
        result.update(_ask(host, server))
    except WRONG as error:
        result["error"] = "%s:%d: %s" % (server["address"], server["port"], error)
    result.update(members.result())
    return result


def address(manifest):
    """{address, port} of the local API server, from its manifest."""
    found = {
        name: re.search(r"--%s[=\s][\"']?([0-9A-Fa-f.:]+)" % name, manifest or "")
        for name in ("advertise-address", "secure-port")
    }
    own = found["advertise-address"].group(1) if found["advertise-address"] else "127.0.0.1"
    port = found["secure-port"].group(1) if found["secure-port"] else "6443"
    return {"address": own, "port": int(port) if re.fullmatch("[0-9]{1,5}", port) else paths.API_PORT}


def k3s(host, port):
    """What a K3s server says. Its etcd tells by a condition of the Node whether a member votes: pkg/etcd/etcd.go, NodeType."""
    result = {"kind": "k3s", "healthy": False, "version": None, "nodes": [], "config_maps": [], "error": None}
    server = {"address": "127.0.0.1", "port": port, "kubeconfig": paths.K3S_ADMIN}
    try:
        result.update(_common(_getter(host, server)))
    except WRONG as error:
        result["error"] = "127.0.0.1:%d: %s" % (port, error)
    return result


def _ask(host, server):
    """All that is asked of the API, on one connection.

    The administrator's certificate has no rights before kubeadm bound them: until then the one that needs none is used.
    """
    try:
        return _questions(host, dict(server, kubeconfig=paths.ADMIN))
    except Denied:
        if not host.exists(paths.SUPER_ADMIN):
            raise
        return _questions(host, dict(server, kubeconfig=paths.SUPER_ADMIN))


def _getter(host, server):
    def get(path, accept="application/json"):
        status, text = host.ask(server, "GET", path, accept)
        if status in (401, 403):
            raise Denied("%s: HTTP %d" % (path, status))
        if status != 200:
            raise ValueError("%s: HTTP %d" % (path, status))
        return text

    return get


def _common(get):
    """What is asked of either distribution."""
    get("/readyz", "*/*")
    return {
        "healthy": True,
        "version": json.loads(get("/version"))["gitVersion"],
        "nodes": [node(item) for item in json.loads(get("/api/v1/nodes"))["items"]],
    }


def _questions(host, server):
    get = _getter(host, server)

    def names(path):
        return sorted(item["metadata"]["name"] for item in json.loads(get(path, NAMES))["items"])

    common = _common(get)
    maps = names(SYSTEM + "configmaps")
    proxy = json.loads(get(SYSTEM + "configmaps/kube-proxy")) if "kube-proxy" in maps else None
    return {
        **common,
        "kubeadm_config": json.loads(get(SYSTEM + "configmaps/kubeadm-config"))["data"]
        if "kubeadm-config" in maps
        else None,
        "config_maps": maps,
        "proxy_mode": proxy_mode(proxy) if proxy else None,
        "proxy_config": (proxy.get("data") or {}).get("config.conf") if proxy else None,
        "daemonsets": names(APPS + "daemonsets"),
        "deployments": names(APPS + "deployments"),
    }


def proxy_mode(config_map):
    """kube-proxy's mode by its ConfigMap; where that names none it is upstream's default, iptables."""
    found = re.search(r"^mode:[ \t]*[\"']?(\w*)", (config_map.get("data") or {}).get("config.conf") or "", re.MULTILINE)
    return (found.group(1) if found else "") or "iptables"


def node(item):
    """What counts of a Node object."""
    meta, spec, status = item["metadata"], item.get("spec") or {}, item.get("status") or {}
    conditions = {entry.get("type"): entry.get("status") == "True" for entry in status.get("conditions") or []}
    addresses = {}
    for entry in status.get("addresses") or []:
        addresses.setdefault(entry["type"], []).append(entry["address"])
    information = status.get("nodeInfo") or {}
    return {
        "name": meta["name"],
        "uid": meta.get("uid"),
        "ready": conditions.get("Ready", False),
        "etcd_voter": conditions.get("EtcdIsVoter"),
        "labels": meta.get("labels") or {},
        "annotations": {
            key: value
            for key, value in (meta.get("annotations") or {}).items()
            if key.startswith("kubewright.cluster/") or key in NODE_ANNOTATIONS
        },
        "taints": spec.get("taints") or [],
        "unschedulable": bool(spec.get("unschedulable")),
        "pod_cidrs": spec.get("podCIDRs") or [],
        "addresses": addresses,
        "kubelet_version": information.get("kubeletVersion"),
        "machine_id": information.get("machineID"),
        "created": meta.get("creationTimestamp"),
    }


def _etcd(host):
    """{etcd_members, etcd_error} from the local member's JSON gateway.

    https://etcd.io/docs/v3.6/dev-guide/api_grpc_gateway/
    """
    if not host.exists(ETCD + "healthcheck-client.crt"):
        return {}
    from ..api import etcd  # machines without a cluster do not need TLS

    server = {
        "address": "127.0.0.1",
        "port": paths.ETCD_PORT,
        "ca": ETCD + "ca.crt",
        "certificate": ETCD + "healthcheck-client.crt",
        "key": ETCD + "healthcheck-client.key",
    }
    try:
        status, text = host.ask(server, "POST", etcd.MEMBERS, body="{}")
        if status != 200:
            raise ValueError("HTTP %d: %s" % (status, text[:200].strip()))
        return {"etcd_members": etcd.described(text)}
    except WRONG as error:
        return {"etcd_error": str(error)}
