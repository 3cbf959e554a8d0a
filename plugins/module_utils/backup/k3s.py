# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an archive of a K3s cluster has beside its datastore: authorities, credentials, tokens, and who the cluster is.

Standard library only. Certificates that K3s makes from the authorities are left out. Names of parts follow K3s's
directories: `server/` is below its data directory, `etc/` is /etc/rancher/k3s.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
from typing import Any, Dict, List, Tuple

from ..api import kubernetes
from ..api.kubernetes import Api
from ..base.text_files import read_text
from ..detect.cluster import PERMANENT_SETTINGS, settings_of
from ..k3s import tokens
from ..node import paths
from . import kubeadm
from .kubeadm import ENCRYPTION, Found, Part

SQLITE, ETCD, EXTERNAL = "sqlite", "etcd", "external"
DATABASE = "server/db/state.db"
# The rows of an external SQL database.
COPY = "database/kine.db"
TOKEN = "server/token"
ENCRYPTION_CONFIG = "server/cred/encryption-config.json"
# What all servers of a cluster share: pkg/daemons/config/types.go (ControlRuntimeBootstrap).
AUTHORITIES = tuple("server/tls/" + name for name in ("server-ca", "client-ca", "request-header-ca"))
ETCD_AUTHORITIES = ("server/tls/etcd/server-ca", "server/tls/etcd/peer-ca")
SHARED = (
    "server/tls/service.key",
    "server/cred/passwd",
    "server/cred/ipsec.psk",
    ENCRYPTION_CONFIG,
    "server/cred/encryption-state.json",
    TOKEN,
    "server/agent-token",
)
# Only some clusters have these.
OPTIONAL = ("server/cred/ipsec.psk", ENCRYPTION_CONFIG, "server/cred/encryption-state.json", "server/agent-token")
# K3s keeps the keys of a cluster in its datastore, below this and the start of the token's digest:
# pkg/cluster/encrypt.go
BOOTSTRAP, DIGITS = "/bootstrap/", 12


def place_of(name: str, data_dir: str) -> str:
    """Return where a part is on a node with this data directory."""
    folder, _slash, rest = name.partition("/")
    return "%s/%s" % (paths.K3S, rest) if folder == "etc" else "%s/%s" % (data_dir, name)


def datastore(data_dir: str) -> str:
    """Return the kind of a server's datastore."""
    if os.path.isdir(data_dir + "/server/db/etcd/member"):
        return ETCD
    return SQLITE if os.path.exists(data_dir + "/server/db/state.db") else EXTERNAL


def keys(data_dir: str, kind: str, root: str = "") -> Found:
    """Return what the servers of a cluster share, and this server's configuration."""
    authorities = AUTHORITIES + (ETCD_AUTHORITIES if kind == ETCD else ())
    wanted = [name + ending for name in authorities for ending in (".crt", ".key")] + list(SHARED)
    wanted += ["etc/token", "etc/agent-token"]
    parts = [Part(name, root + place_of(name, data_dir), place_of(name, data_dir)) for name in wanted]
    there = [part for part in parts if os.path.isfile(part.source)]
    optional = (*OPTIONAL, "etc/token", "etc/agent-token")
    missing = [part.place for part in parts if part not in there and part.name not in optional]
    return Found(there + _configuration(data_dir, root), missing)


def _configuration(data_dir: str, root: str) -> List[Part]:
    """Return this server's configuration and the manifests of ours, for who restores by hand."""
    folders = {"etc": paths.K3S, "server": data_dir + "/server"}
    patterns = (("etc", "config.yaml"), ("etc", "config.yaml.d/*.yaml"), ("server", "manifests/kubewright-*"))
    found = []
    for folder, pattern in patterns:
        start = root + folders[folder]
        for path in sorted(glob.glob(os.path.join(glob.escape(start), pattern))):
            if os.path.isfile(path):
                found.append(Part(folder + path[len(start) :], path, path[len(root) :]))
    return found


def wrong_keys(parts: List[Part]) -> List[str]:
    """Return the authorities whose key does not belong to their certificate."""
    return kubeadm.wrong_pairs(parts, AUTHORITIES + ETCD_AUTHORITIES)


def bootstrap_key(token: str) -> str:
    """Return the key of the datastore that a token opens."""
    return BOOTSTRAP + hashlib.sha256(tokens.password(token.strip()).encode()).hexdigest()[:DIGITS]


def own_api() -> Api:
    """Return a client of this server's own API. Raise ApiError."""
    return Api([kubernetes.local_server()], paths.K3S_ADMIN)


def identity(api: Api, data_dir: str) -> Tuple[Dict[str, Any], str]:
    """Return (who the cluster is with its nodes and permanent settings, K3s's version). Raise ApiError."""
    found = kubeadm.identity(api, data_dir + "/server/tls/server-ca.crt")
    release = str(found["version"])
    found["version"] = release.partition("+")[0]
    found["settings"] = settings_of(read_text(paths.K3S_CONFIG), PERMANENT_SETTINGS)
    return found, release


def encryption(value: bytes, config: str) -> Dict[str, Any]:
    """Return {provider, key, known} of the encryption that a stored Secret names; {} if Secrets are stored as they are.

    config: K3s's encryption configuration. https://docs.k3s.io/security/secrets-encryption
    """
    found = ENCRYPTION.match(value)
    if not found:
        return {}
    provider, key = found.group(1).decode(), found.group(3).decode("utf-8", "replace")
    try:
        resources = json.loads(config).get("resources") or []
    except (ValueError, AttributeError):
        resources = []
    rows = [row for each in resources for row in each.get("providers") or []]
    names = [item.get("name") for row in rows for item in (row.get(provider) or {}).get("keys") or []]
    return {"provider": provider, "key": key, "known": key in names}
