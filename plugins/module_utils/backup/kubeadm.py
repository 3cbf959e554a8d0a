# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an archive of a kubeadm cluster has beside etcd: keys, configurations, and who the cluster is.

Standard library only. Certificates that kubeadm makes from the authorities are left out.
"""

from __future__ import annotations

import os
import re
import ssl
from typing import Any, Dict, List, NamedTuple, Sequence

from ..api import kubernetes
from ..api.kubernetes import Api
from ..base.text_files import read_text
from ..detect.cluster import fingerprint
from ..node import paths

# https://kubernetes.io/docs/setup/best-practices/certificates/
AUTHORITIES = ("ca", "front-proxy-ca", "etcd/ca")
SERVICE_ACCOUNTS = ("sa.key", "sa.pub")
CONFIG_MAPS = {"kubeadm-config": "ClusterConfiguration", "kubelet-config": "kubelet"}
STATIC_PODS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd")
ENCRYPTION = re.compile(rb"k8s:enc:([a-z]+):(v\d+):([^:]+):")


class Part(NamedTuple):
    """A file of the archive: its name in there, and where it is on the node. place: where a restore puts it."""

    name: str
    source: str
    place: str


class Found(NamedTuple):
    """parts: by name. missing: what a restore needs and the node does not have, in words."""

    parts: List[Part]
    missing: List[str]


def keys(root: str = "") -> Found:
    """Return the authorities and the keys of service accounts, which are the same on every control plane."""
    pki = paths.KUBERNETES + "/pki/"
    names = [name + ending for name in AUTHORITIES for ending in (".crt", ".key")] + list(SERVICE_ACCOUNTS)
    found = [Part("pki/" + name, root + pki + name, pki + name) for name in names]
    there = [part for part in found if os.path.isfile(part.source)]
    return Found(there, [part.place for part in found if part not in there])


def wrong_keys(parts: List[Part]) -> List[str]:
    """Return the authorities whose key does not belong to their certificate."""
    return wrong_pairs(parts, ["pki/" + name for name in AUTHORITIES])


def wrong_pairs(parts: List[Part], names: Sequence[str]) -> List[str]:
    """Return the certificates (names of parts without .crt) to which the key of the same name does not belong."""
    known = {part.name: part.source for part in parts}
    wrong = []
    for name in names:
        certificate, key = known.get(name + ".crt"), known.get(name + ".key")
        if not certificate or not key:
            continue
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key)
        except (OSError, ValueError):
            wrong.append("%s does not belong to %s" % (key, certificate))
    return wrong


def mounted_files(root: str = "") -> List[Part]:
    """Return the files of the user that the control plane's arguments name: encryption, audit, admission and so on.

    What kubeadm makes itself is left out.
    """
    found: Dict[str, Part] = {}
    for name in STATIC_PODS:
        text = read_text("%s%s/%s.yaml" % (root, paths.MANIFESTS, name))
        mounts = _mounts(text)
        for value in re.findall(r"^\s*- --[a-z0-9-]+=(/[^\s\"']+)$", text, re.M):
            path = _on_host(value, mounts)
            own = path.startswith((paths.KUBERNETES + "/pki/", paths.ETCD_DATA)) or path.endswith(".conf")
            if not own and os.path.isfile(root + path):
                found[path] = Part("files" + path, root + path, path)
    return [found[path] for path in sorted(found)]


def _mounts(text: str) -> Dict[str, str]:
    """Return {path in the container: path on the host} of a static pod's volumes, as kubeadm writes them."""
    inside = dict(re.findall(r"- mountPath: (\S+)\n\s+name: (\S+)", text))
    hosts = {
        name: path for path, name in re.findall(r"- hostPath:\n\s+path: (\S+)\n(?:\s+type: \S+\n)?\s+name: (\S+)", text)
    }
    return {path.rstrip("/"): hosts[name] for path, name in inside.items() if name in hosts}


def _on_host(path: str, mounts: Dict[str, str]) -> str:
    for inside, outside in sorted(mounts.items(), key=lambda item: -len(item[0])):
        if path == inside or path.startswith(inside + "/"):
            return outside + path[len(inside) :]
    return path


def configurations(api: Api) -> Dict[str, str]:
    """Return kubeadm's configurations by name in the archive. They are in etcd too, but are needed before it runs."""
    found = {}
    for name, key in CONFIG_MAPS.items():
        data = (api.get("/api/v1/namespaces/kube-system/configmaps/" + name, missing_ok=True) or {}).get("data") or {}
        if key in data:
            found["kubeadm/%s.yaml" % name] = data[key]
    return found


def own_api() -> Api:
    """Return a client of this control plane's own API server. Raise ApiError."""
    return Api([kubernetes.local_server()], paths.ADMIN)


def identity(api: Api, authority: str = paths.KUBERNETES + "/pki/ca.crt") -> Dict[str, Any]:
    """Return who the cluster is, its version and nodes. authority: the file with its certificate. Raise ApiError."""
    nodes = []
    for item in api.get("/api/v1/nodes")["items"]:
        meta, status = item["metadata"], item.get("status") or {}
        role = "control_plane" if "node-role.kubernetes.io/control-plane" in (meta.get("labels") or {}) else "worker"
        addresses = [row["address"] for row in status.get("addresses") or [] if row["type"] == "InternalIP"]
        machine = (status.get("nodeInfo") or {}).get("machineID")
        nodes.append({"name": meta["name"], "role": role, "addresses": addresses, "machine_id": machine})
    return {
        "uid": api.get("/api/v1/namespaces/kube-system")["metadata"]["uid"],
        "ca_sha256": fingerprint(read_text(authority)),
        "version": api.get("/version")["gitVersion"],
        "nodes": sorted(nodes, key=lambda node: str(node["name"])),
    }


def encryption(value: bytes, files: List[Part]) -> Dict[str, Any]:
    """Return {provider, key, known} of the encryption that a stored Secret names; {} if Secrets are stored as they are.

    known: whether the archive has the key. A key of an external service (kms) is never in it.
    https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/
    """
    found = ENCRYPTION.match(value)
    if not found:
        return {}
    provider, key = found.group(1).decode(), found.group(3).decode("utf-8", "replace")
    named = re.compile(r"\bname:\s*[\"']?%s[\"']?\s*$" % re.escape(key), re.M)
    known = any(
        "EncryptionConfig" in text and named.search(text) for text in (read_text(part.source) for part in files)
    )
    return {"provider": provider, "key": key, "known": known}
