# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of the cluster as a control plane's own API server and etcd report it."""

from __future__ import annotations

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Dict, List

from ..node import paths
from ..node.network_traces import NODE_ANNOTATIONS
from . import applied
from .host import Host

ETCD = paths.KUBERNETES + "/pki/etcd/"
SYSTEM = "/api/v1/namespaces/kube-system/"
APPS = "/apis/apps/v1/namespaces/kube-system/"
ADDONS = "/apis/k3s.cattle.io/v1/namespaces/kube-system/addons"
NAMES = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
# /readyz fails for a moment when etcd does not answer within 2 s, for example on a busy disk: so it is asked again.
# kubernetes/kubernetes, staging/src/k8s.io/apiserver/pkg/storage/storagebackend/factory/etcd3.go (newETCD3Check)
READY_WAITS = (2, 4)
WRONG = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)


class Denied(ValueError):
    """The API server accepts the certificate, but it has no rights (yet)."""


def live(host: Host, pool: ThreadPoolExecutor) -> dict[str, Any]:
    """Return the answers of this control plane's own API server and etcd.

    `error`, `etcd_error`: why one does not answer.
    """
    result: Dict[str, Any] = {
        "healthy": False,
        "uid": None,
        "version": None,
        "nodes": [],
        "applied": None,
        "applied_error": None,
        "dns_places": None,
        "kubeadm_config": None,
        "error": None,
        "etcd_cluster": None,
        "etcd_members": None,
        "etcd_error": None,
        "config_maps": [],
        "daemonsets": [],
        "deployments": [],
        "proxy_mode": None,
        "proxy_config": None,
    }
    members = pool.submit(_etcd, host)
    server = address(host.read(paths.API_SERVER_MANIFEST))
    result["api_port"] = server["port"]
    try:
        result.update(_ask(host, server))
    except WRONG as error:
        result["error"] = "%s:%d: %s" % (server["address"], server["port"], error)
    result.update(members.result())
    return result


def address(manifest: str | None) -> dict[str, Any]:
    """Return {address, port} of the local API server, from the text of its manifest."""
    found = {
        name: re.search(r"--%s[=\s][\"']?([0-9A-Fa-f.:]+)" % name, manifest or "")
        for name in ("advertise-address", "secure-port")
    }
    own = found["advertise-address"].group(1) if found["advertise-address"] else "127.0.0.1"
    port = found["secure-port"].group(1) if found["secure-port"] else ""
    return {"address": own, "port": int(port) if re.fullmatch("[0-9]{1,5}", port) else paths.API_PORT}


def k3s(host: Host, port: int, data_dir: str) -> dict[str, Any]:
    """Return the answers of a K3s server and of its embedded etcd.

    A condition of its Node says whether its etcd member votes: pkg/etcd/etcd.go, NodeType.
    """
    result: Dict[str, Any] = {
        "kind": "k3s",
        "healthy": False,
        "uid": None,
        "version": None,
        "nodes": [],
        "applied": None,
        "applied_error": None,
        "dns_places": None,
        "addons": None,
        "config_maps": [],
        "error": None,
        "etcd_cluster": None,
        "etcd_members": None,
        "etcd_error": None,
        **_k3s_etcd(host, data_dir),
    }
    server = {"address": "127.0.0.1", "port": port, "kubeconfig": paths.K3S_ADMIN}
    try:
        result.update(_common(_getter(host, server)))
        result.update(_applied(host, server))
        result["addons"] = _addons(host, server)
        result.update(_backups(host, server))
        result.update(_lock(host, server))
    except WRONG as error:
        result["error"] = "127.0.0.1:%d: %s" % (port, error)
    return result


def _ask(host: Host, server: dict[str, Any]) -> dict[str, Any]:
    """Return everything that is asked of the API, over one connection.

    The administrator's certificate has no rights until kubeadm has bound them. Until then use the super-admin's.
    """
    try:
        return _questions(host, dict(server, kubeconfig=paths.ADMIN))
    except Denied:
        if not host.exists(paths.SUPER_ADMIN):
            raise
        return _questions(host, dict(server, kubeconfig=paths.SUPER_ADMIN))


def _getter(host: Host, server: dict[str, Any]) -> Callable[..., str]:
    def get(path: str, accept: str = "application/json", waits: tuple[int, ...] = ()) -> str:
        status, text = host.ask(server, "GET", path, accept)
        for seconds in waits:
            if status < 500:
                break
            time.sleep(seconds)
            status, text = host.ask(server, "GET", path, accept)
        if status in (401, 403):
            raise Denied("%s: HTTP %d" % (path, status))
        if status != 200:
            raise ValueError("%s: HTTP %d" % (path, status))
        return text

    return get


def _common(get: Callable[..., str]) -> dict[str, Any]:
    """Return the answers to what is asked of both distributions."""
    get("/readyz", "*/*", READY_WAITS)
    return {
        "healthy": True,
        # No two clusters share it: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#uids
        "uid": json.loads(get(SYSTEM.rstrip("/")))["metadata"]["uid"],
        "version": json.loads(get("/version"))["gitVersion"],
        "nodes": [node(item) for item in json.loads(get("/api/v1/nodes"))["items"]],
    }


def _applied(host: Host, server: dict[str, Any]) -> dict[str, Any]:
    """Return what the collection applied and where CoreDNS runs; None for what cannot be read, with the reason."""

    def ask(path: str, accept: str) -> tuple[int, str]:
        return host.ask(server, "GET", path, accept)

    found: Dict[str, Any] = {"applied": None, "applied_error": None, "dns_places": None}
    try:
        found["applied"] = applied.applied(ask)
        status, text = ask(SYSTEM + "pods?labelSelector=k8s-app%3Dkube-dns", "application/json")
        pods = (json.loads(text)["items"] or []) if status == 200 else None
        found["dns_places"] = None if pods is None else [pod["spec"].get("nodeName") for pod in pods]
    except WRONG as error:
        found["applied_error"] = "%s" % (error or type(error).__name__)
    return found


def _backups(host: Host, server: dict[str, Any]) -> dict[str, Any]:
    """Return {backups: the record of scheduled backups}; {} without a schedule, or if the record is unknown."""
    if not host.exists(paths.BACKUP_SETTINGS):
        return {}
    from ..api import backup_record  # clusters without a schedule do not need it

    try:
        status, text = host.ask(server, "GET", backup_record.PATH)
        if status not in (200, 404):
            return {}
        return {"backups": backup_record.read(json.loads(text) if status == 200 else None)._asdict()}
    except WRONG:
        return {}


def _lock(host: Host, server: dict[str, Any]) -> dict[str, Any]:
    """Return {lock: {run, text}} if a run holds the cluster's lock; {} if none does, or if that is unknown."""
    from ..api import lock  # with what it needs of the API's client

    try:
        status, text = host.ask(server, "GET", lock.PATH)
        other = lock.refusal(json.loads(text), "", host.time()) if status == 200 else None
        return {"lock": {"run": other.run, "text": str(other)}} if other else {}
    except WRONG:
        return {}


def _addons(host: Host, server: dict[str, Any]) -> dict[str, str | None] | None:
    """Return {name: SHA-256 of the file} of K3s's AddOns as it applied them, None if that is unknown."""
    try:
        status, text = host.ask(server, "GET", ADDONS)
        items = (json.loads(text)["items"] or []) if status == 200 else None
        if items is None:
            return None
        return {item["metadata"]["name"]: (item.get("spec") or {}).get("checksum") for item in items}
    except WRONG:
        return None


def _questions(host: Host, server: dict[str, Any]) -> dict[str, Any]:
    get = _getter(host, server)

    def names(path: str) -> list[str]:
        # "items" is null if the list is empty, as that of the Deployments is before kubeadm's addons.
        return sorted(item["metadata"]["name"] for item in json.loads(get(path, NAMES))["items"] or [])

    common = _common(get)
    maps = names(SYSTEM + "configmaps")
    proxy = json.loads(get(SYSTEM + "configmaps/kube-proxy")) if "kube-proxy" in maps else None
    return {
        **common,
        **_applied(host, server),
        **_backups(host, server),
        **_lock(host, server),
        "kubeadm_config": json.loads(get(SYSTEM + "configmaps/kubeadm-config"))["data"]
        if "kubeadm-config" in maps
        else None,
        "config_maps": maps,
        "proxy_mode": proxy_mode(proxy) if proxy else None,
        "proxy_config": (proxy.get("data") or {}).get("config.conf") if proxy else None,
        "daemonsets": names(APPS + "daemonsets"),
        "deployments": names(APPS + "deployments"),
    }


def proxy_mode(config_map: dict[str, Any]) -> str:
    """Return kube-proxy's mode in its ConfigMap, iptables (upstream's default) if it does not set one."""
    found = re.search(r"^mode:[ \t]*[\"']?(\w*)", (config_map.get("data") or {}).get("config.conf") or "", re.MULTILINE)
    return (found.group(1) if found else "") or "iptables"


def node(item: dict[str, Any]) -> dict[str, Any]:
    """Return the parts of a Node object that the plan uses."""
    meta, spec, status = item["metadata"], item.get("spec") or {}, item.get("status") or {}
    conditions = {entry.get("type"): entry.get("status") == "True" for entry in status.get("conditions") or []}
    addresses: Dict[str, List[str]] = {}
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


def _etcd(host: Host) -> dict[str, Any]:
    """Return what a kubeadm control plane's own etcd says; {} without one."""
    if not host.exists(ETCD + "healthcheck-client.crt"):
        return {}
    six = re.search(r"--advertise-address=[\"']?[0-9A-Fa-f]*:", host.read(paths.API_SERVER_MANIFEST) or "")
    server = {
        # kubeadm's member listens at the loopback address of the family of the node's own (local.go, getEtcdCommand).
        "address": "::1" if six else "127.0.0.1",
        "port": paths.ETCD_PORT,
        "ca": ETCD + "ca.crt",
        "certificate": ETCD + "healthcheck-client.crt",
        "key": ETCD + "healthcheck-client.key",
    }
    return _members(host, server)


def _k3s_etcd(host: Host, data_dir: str) -> dict[str, Any]:
    """Return what a K3s server's own etcd says; {} if it does not run one."""
    if not host.exists(data_dir + "/server/db/etcd/member"):
        return {}
    place = data_dir + "/server/tls/etcd/"
    server = {
        "address": paths.k3s_loopback(host.read(paths.K3S_CONFIG) or "").strip("[]"),
        "port": paths.K3S_ETCD_HTTP_PORT,
        "ca": place + "server-ca.crt",
        "certificate": place + "client.crt",
        "key": place + "client.key",
    }
    return _members(host, server, is_k3s=True)


def _members(host: Host, server: dict[str, Any], is_k3s: bool = False) -> dict[str, Any]:
    """Return {etcd_cluster, etcd_members} or {etcd_error} from a member's JSON gateway.

    https://etcd.io/docs/v3.6/dev-guide/api_grpc_gateway/
    """
    from ..api import etcd  # machines without a cluster do not need TLS

    try:
        status, text = host.ask(server, "POST", etcd.MEMBERS, body="{}")
        if status != 200:
            raise ValueError("HTTP %d: %s" % (status, text[:200].strip()))
        described = etcd.described(text, etcd.k3s_node if is_k3s else str)
        return {"etcd_cluster": etcd.cluster_of(json.loads(text)), "etcd_members": described}
    except WRONG as error:
        return {"etcd_error": str(error)}
