# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which cluster the machine belongs to, and what that cluster's API and etcd say when this is a control plane."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import re
import ssl
import tempfile
import time

KUBERNETES = "/etc/kubernetes"
ETCD = KUBERNETES + "/pki/etcd"
NAMES = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


def cluster(host, record):
    """The `cluster` part. record: the ownership record or None."""
    manifests = [os.path.basename(path) for path in host.list(KUBERNETES + "/manifests/*.yaml")]
    kubelet_conf = host.read(KUBERNETES + "/kubelet.conf")
    k3s = host.exists("/var/lib/rancher/k3s/server") or host.exists("/var/lib/rancher/k3s/agent")
    kind = "kubeadm" if kubelet_conf or "kube-apiserver.yaml" in manifests else "k3s" if k3s else None
    found = {
        "kind": kind,
        "foreign": bool(kind and not (record or {}).get("artifacts")),
        "ca_sha256": authority(host),
        "role": None if not kind else "control_plane" if "kube-apiserver.yaml" in manifests or host.exists("/var/lib/rancher/k3s/server/db") else "worker",
        "kubelet_conf": bool(kubelet_conf),
        "admin_conf": host.exists(KUBERNETES + "/admin.conf"),
        "manifests": manifests,
        "etcd_data": host.exists("/var/lib/etcd/member"),
        "server": _first(r"server:\s*(\S+)", kubelet_conf),
        "cni_conf": [os.path.basename(path) for path in host.list("/etc/cni/net.d/*.conf*")],
        "certificates": certificates(host),
        "live": None,
    }
    if found["admin_conf"] and "kube-apiserver.yaml" in manifests:
        found["live"] = live(host)
    return found


def _first(pattern, text):
    found = re.search(pattern, text or "")
    return found.group(1) if found else None


def authority(host):
    """SHA-256 of the certificate authority: of two clusters it is never the same."""
    for path in (KUBERNETES + "/pki/ca.crt", "/var/lib/rancher/k3s/server/tls/server-ca.crt", "/var/lib/rancher/k3s/agent/server-ca.crt"):
        block = _first(r"-----BEGIN CERTIFICATE-----([^-]+)", host.read(path))
        if block:
            try:
                return hashlib.sha256(base64.b64decode("".join(block.split()))).hexdigest()
            except ValueError:
                host.warnings.append("%s is no certificate" % path)
    return None


def certificates(host):
    """By name {expires_epoch, days_left} of kubeadm's certificates and the kubelet's."""
    found = {}
    paths = host.list(KUBERNETES + "/pki/*.crt") + host.list(ETCD + "/*.crt") + host.list("/var/lib/kubelet/pki/kubelet-client-current.pem")
    for path in paths:
        try:
            expires = ssl.cert_time_to_seconds(ssl._ssl._test_decode_cert(path)["notAfter"])
        except (OSError, ValueError, KeyError, AttributeError):
            continue
        name = os.path.basename(path).rsplit(".", 1)[0]
        name = "etcd-" + name if "/etcd/" in path else name
        found[name] = {"expires_epoch": expires, "days_left": int((expires - time.time()) // 86400)}
    return found


def live(host):
    """What this control plane's own API server and etcd say; `error` where they do not answer."""
    result = {"healthy": False, "version": None, "nodes": [], "kubeadm_config": None, "etcd_members": None, "config_maps": [], "daemonsets": [], "deployments": [], "error": None}
    manifest = host.read(KUBERNETES + "/manifests/kube-apiserver.yaml")
    address = _first(r"--advertise-address=(\S+)", manifest) or "127.0.0.1"
    port = int(_first(r"--secure-port=(\d+)", manifest) or 6443)
    try:
        result.update(_ask_api(address, port))
    except (OSError, ValueError, KeyError, http.client.HTTPException) as error:
        result["error"] = "%s:%d: %s" % (address, port, error)
    try:
        result["etcd_members"] = etcd_members() if host.exists(ETCD + "/healthcheck-client.crt") else None
    except (OSError, ValueError, http.client.HTTPException) as error:
        result["etcd_error"] = str(error)
    return result


def credentials(path):
    """A TLS context with a kubeconfig's certificates. The key never touches a disk."""
    with open(path, encoding="utf-8") as stream:
        text = stream.read()
    parts = {name: base64.b64decode(_first(name + r":\s*(\S+)", text) or "") for name in ("certificate-authority-data", "client-certificate-data", "client-key-data")}
    context = ssl.create_default_context(cadata=parts["certificate-authority-data"].decode())
    context.check_hostname = False
    with _memory_file(parts["client-certificate-data"] + b"\n" + parts["client-key-data"]) as name:
        context.load_cert_chain(name)
    return context


class _memory_file:
    """A file in memory alone, with a name: memfd where there is one, else /dev/shm with mode 0600."""

    def __init__(self, content):
        self.content = content

    def __enter__(self):
        if hasattr(os, "memfd_create"):
            self.handle, self.path = os.memfd_create("kubewright"), None
            os.write(self.handle, self.content)
            return "/proc/self/fd/%d" % self.handle
        self.handle, self.path = tempfile.mkstemp(dir="/dev/shm")
        os.write(self.handle, self.content)
        return self.path

    def __exit__(self, *_details):
        os.close(self.handle)
        if self.path:
            os.unlink(self.path)


def _ask_api(address, port):
    connection = http.client.HTTPSConnection(address, port, timeout=3, context=credentials(KUBERNETES + "/admin.conf"))

    def get(path, accept="application/json"):
        connection.request("GET", path, headers={"Accept": accept})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise ValueError("%s: HTTP %d" % (path, answer.status))
        return body

    def names(path):
        return sorted(item["metadata"]["name"] for item in json.loads(get(path, NAMES))["items"])

    try:
        get("/readyz", "*/*")
        system = "/api/v1/namespaces/kube-system/"
        maps = names(system + "configmaps")
        config = json.loads(get(system + "configmaps/kubeadm-config"))["data"] if "kubeadm-config" in maps else None
        return {
            "healthy": True,
            "version": json.loads(get("/version"))["gitVersion"],
            "nodes": [node(item) for item in json.loads(get("/api/v1/nodes"))["items"]],
            "kubeadm_config": config,
            "config_maps": maps,
            "daemonsets": names("/apis/apps/v1/namespaces/kube-system/daemonsets"),
            "deployments": names("/apis/apps/v1/namespaces/kube-system/deployments"),
        }
    finally:
        connection.close()


def node(item):
    """What counts of a Node object."""
    meta, spec, status = item["metadata"], item.get("spec") or {}, item.get("status") or {}
    ready = next((entry for entry in status.get("conditions") or [] if entry["type"] == "Ready"), {})
    addresses = {}
    for entry in status.get("addresses") or []:
        addresses.setdefault(entry["type"], []).append(entry["address"])
    return {
        "name": meta["name"],
        "uid": meta.get("uid"),
        "ready": ready.get("status") == "True",
        "labels": meta.get("labels") or {},
        "annotations": {key: value for key, value in (meta.get("annotations") or {}).items() if key.startswith("kubewright.cluster/")},
        "taints": spec.get("taints") or [],
        "unschedulable": bool(spec.get("unschedulable")),
        "pod_cidrs": spec.get("podCIDRs") or [],
        "addresses": addresses,
        "kubelet_version": (status.get("nodeInfo") or {}).get("kubeletVersion"),
        "machine_id": (status.get("nodeInfo") or {}).get("machineID"),
        "created": meta.get("creationTimestamp"),
    }


def etcd_members():
    """[{id, name, learner, peer_urls}] from the local member's JSON gateway.

    https://etcd.io/docs/v3.6/dev-guide/api_grpc_gateway/
    """
    context = ssl.create_default_context(cafile=ETCD + "/ca.crt")
    context.check_hostname = False
    context.load_cert_chain(ETCD + "/healthcheck-client.crt", ETCD + "/healthcheck-client.key")
    connection = http.client.HTTPSConnection("127.0.0.1", 2379, timeout=3, context=context)
    try:
        connection.request("POST", "/v3/cluster/member/list", body="{}")
        members = json.loads(connection.getresponse().read()).get("members") or []
    finally:
        connection.close()
    return [{"id": item.get("ID"), "name": item.get("name", ""), "learner": bool(item.get("isLearner")), "peer_urls": item.get("peerURLs") or []} for item in members]
