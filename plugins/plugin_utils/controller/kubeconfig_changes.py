# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of the kubeconfig on the controller, by digests of the control plane's: no secret is read for a plan."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import yaml

from ..base.findings import Finding
from ..base.model import Kubeconfig
from . import kubeconfig

MERGED = "~/.kube/config"
_CA = "certificate-authority-data"
_NAME_TAKEN = (
    "%s has a cluster, a context or a user %s that is not this cluster's. Set kube_cluster_name of a new cluster to "
    "another name, set kube_kubeconfig.merge: false, or delete the old entries if that cluster is gone."
)
Digests = Mapping[str, str]


def find(wanted: Mapping[str, Any], admin: Digests | None, is_new: bool) -> tuple[Kubeconfig, list[Finding]]:
    """Return (what becomes of the kubeconfig, refusals where a file of others has its place).

    wanted: slices.kubeconfig(). admin: digests of the control plane's (detect/cluster.py), None where they are unknown.
    is_new: True if the cluster does not exist yet.
    """
    path = wanted["path"]
    merged = os.path.expanduser(MERGED) if wanted["merge"] else ""
    if is_new:
        problems = kubeconfig.in_the_way(path, wanted["cluster_name"])
        return {"path": path, "state": "new", "text": "will be written"}, problems + _names_taken(merged, wanted, None)
    own, problems = _own(path, wanted, admin)
    if merged and admin and not problems:
        problems = _names_taken(merged, wanted, admin)
        own += ["merge into %s" % MERGED] if not problems and _differs(_config(merged), wanted, admin) else []
    if admin is None:
        return {"path": path, "state": "unknown", "text": "compared when it is fetched"}, problems
    missing = not os.path.exists(path) or os.path.getsize(path) == 0
    state = "new" if missing else "changed" if own else "same"
    return {"path": path, "state": state, "text": "; ".join(own)}, problems


def _own(path: str, wanted: Mapping[str, Any], admin: Digests | None) -> tuple[list[str], list[Finding]]:
    """Return (how the cluster's own file changes, the refusal of a file of others)."""
    if not os.path.exists(path) or os.path.getsize(path) == 0:
        return ["will be written"], []
    name, config = wanted["cluster_name"], _config(path)
    same_authority = admin is not None and all(
        _has(row.get("cluster"), _CA, admin) for row in _rows(config, "clusters")
    )
    if not kubeconfig.is_ours(path, name) and not (same_authority and _rows(config, "clusters")):
        return [], kubeconfig.in_the_way(path, name) if admin else []
    if admin is None:
        return [], []
    found = _differs(config, wanted, admin) or _edited(path, config, wanted)
    mode = os.stat(path).st_mode & 0o777
    return found + (["mode %04o becomes 0600" % mode] if mode != 0o600 else []), []


def _edited(path: str, config: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Return that a file with the right entries is not as it was written, if so."""
    name = wanted["cluster_name"]
    cluster, user = _entry(config, "clusters", name, "cluster"), _entry(config, "users", name + "-admin", "user")
    data = {key: str(cluster.get(key) or "") for key in kubeconfig.CLUSTER_DATA}
    keys = {key: str(user.get(key) or "") for key in kubeconfig.USER_DATA}
    with open(path, encoding="utf-8") as stream:
        same = stream.read() == kubeconfig.written(data, keys, wanted["server"], name)
    return [] if same else ["was edited, and is written again"]


def _differs(config: Mapping[str, Any], wanted: Mapping[str, Any], admin: Digests) -> list[str]:
    """Return how the entries of a cluster in a kubeconfig change."""
    name, found = wanted["cluster_name"], []
    cluster, user, context = (
        _entry(config, kind, entry, key)
        for kind, entry, key in (
            ("clusters", name, "cluster"),
            ("users", name + "-admin", "user"),
            ("contexts", name, "context"),
        )
    )
    if not cluster or context != {"cluster": name, "user": name + "-admin"}:
        return ["the context %s is written" % name]
    if cluster.get("server") != wanted["server"]:
        found.append("server changes from %s to %s" % (_shown(cluster.get("server")), wanted["server"]))
    known = {**cluster, **user}
    if any(not _has(known, key, admin) for key in admin):
        found.append("credentials are renewed")
    return found


def _names_taken(path: str, wanted: Mapping[str, Any], admin: Digests | None) -> list[Finding]:
    """Refuse to merge into a kubeconfig in which the cluster's names are another cluster's. path: "" for no merge."""
    name, config = wanted["cluster_name"], _config(path)
    there = _entry(config, "clusters", name, "cluster")
    contexts = {row["name"]: row.get("context") or {} for row in _rows(config, "contexts")}
    foreign = bool(there) and not (admin and _has(there, _CA, admin))
    foreign |= name in contexts and contexts[name].get("cluster") != name
    foreign |= any(row.get("user") == name + "-admin" and row.get("cluster") != name for row in contexts.values())
    return [Finding("kubeconfig.name_taken", _NAME_TAKEN % (MERGED, name), value=name)] if foreign else []


def _config(path: str) -> dict[str, Any]:
    """Return a kubeconfig's content, {} where it is none."""
    try:
        with open(path, encoding="utf-8") as stream:
            config = yaml.safe_load(stream)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    return config if isinstance(config, dict) else {}


def _rows(config: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    rows = config.get(kind)
    return [row for row in rows if isinstance(row, dict) and "name" in row] if isinstance(rows, list) else []


def _entry(config: Mapping[str, Any], kind: str, name: str, key: str) -> dict[str, Any]:
    found = next((row.get(key) for row in _rows(config, kind) if row["name"] == name), None)
    return found if isinstance(found, dict) else {}


def _has(entry: Any, key: str, admin: Digests) -> bool:
    """Return True if an entry has the data that the control plane's kubeconfig has."""
    text = str((entry if isinstance(entry, dict) else {}).get(key) or "")
    try:
        return hashlib.sha256(base64.b64decode(text)).hexdigest() == admin[key]
    except ValueError:
        return False


def _shown(server: Any) -> str:
    """Return a server's URL without a login in it."""
    parts = urlsplit(str(server))
    return "%s://%s" % (parts.scheme, parts.netloc.rpartition("@")[2])
