# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The administrator's kubeconfig on the controller: a file of its own, and merged into another one only when asked.

It is built from the values of the control plane's file that are known to be data. The file itself is never copied: a
kubeconfig may name programs to run (exec) and files to read.
"""

from __future__ import annotations

import base64
import binascii
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from ..base.findings import Finding
from ..base.yaml_documents import dump

HEADER = "# Made by kubewright.cluster.\n"
CLUSTER_DATA = ("certificate-authority-data",)
_OF_OTHERS = (
    "%s exists and is not the kubeconfig of the cluster %s. Move it away, or set kube_kubeconfig.path to another file."
)
USER_DATA = ("client-certificate-data", "client-key-data")


class KubeconfigError(ValueError):
    """A kubeconfig that cannot be used, or a file that is not ours to change. The message says what to do."""


def rewritten(text: str, server: str, name: str) -> str:
    """Return a kubeconfig made of the certificates in a control plane's, with another server address.

    Its cluster and context are called name, its user name-admin. Raise KubeconfigError where the control plane's has no
    certificates.
    """
    config = _parsed(text, "the control plane's kubeconfig")
    context = _named(config, "contexts", config.get("current-context"), "context")
    cluster = _named(config, "clusters", context.get("cluster"), "cluster")
    user = _named(config, "users", context.get("user"), "user")
    return written(_data(cluster, CLUSTER_DATA), _data(user, USER_DATA), server, name)


def written(cluster: Mapping[str, str], user: Mapping[str, str], server: str, name: str) -> str:
    """Return the text of a kubeconfig. cluster, user: their certificates and key."""
    made = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {**cluster, "server": server}}],
        "users": [{"name": name + "-admin", "user": dict(user)}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name + "-admin"}}],
        "current-context": name,
    }
    return HEADER + dump(made)


def is_ours(path: str, name: str) -> bool:
    """Return True if the file is one that rewritten() made for this cluster."""
    if not os.path.isfile(path):
        return False
    try:
        text = _read(path)
        return text.startswith(HEADER.rstrip(".\n")) and _parsed(text, path).get("current-context") == name
    except (KubeconfigError, UnicodeDecodeError):
        return False


def in_the_way(path: str, name: str) -> list[Finding]:
    """Refuse a file at the place of a new cluster's kubeconfig that is not ours; an earlier one of the name is."""
    if not os.path.exists(path) or os.path.getsize(path) == 0 or is_ours(path, name):
        return []
    return [Finding("kubeconfig.of_others", _OF_OTHERS % (path, name), value=path)]


def save(path: str, text: str, check: bool) -> bool:
    """Write a cluster's own kubeconfig. Return True if it differs. Raise KubeconfigError where the file there is
    another cluster's or not ours.

    Ours are files that rewritten() made for a cluster of this name, and files that know nothing but clusters of the
    same CA (kubectl drops comments when it changes a file).
    """
    if os.path.exists(path):
        ours = _parsed(text, "the new kubeconfig")
        try:
            present = _read(path)
        except UnicodeDecodeError:
            raise KubeconfigError(_OF_OTHERS % (path, ours["current-context"])) from None
        if present.strip() and not is_ours(path, ours["current-context"]):
            clusters = _parsed(present, path).get("clusters") or []
            if not clusters or any(_authority(entry) != _authority(ours["clusters"][0]) for entry in clusters):
                raise KubeconfigError(_OF_OTHERS % (path, ours["current-context"]))
    return write(path, text, check)


def write(path: str, text: str, check: bool) -> bool:
    """Write a file with mode 0600. Return True if its content or mode differs."""
    path = os.path.realpath(path)
    if os.path.exists(path) and _read(path) == text and os.stat(path).st_mode & 0o777 == 0o600:
        return False
    if check:
        return True
    os.makedirs(os.path.dirname(path), exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=".kubewright-", dir=os.path.dirname(path))
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    return True


def merge_into(path: str, text: str, check: bool) -> bool:
    """Put a cluster, its user and its context into another kubeconfig. Return True if that changes it.

    The former file is kept beside it with the time in its name, and its current context stays. Raise KubeconfigError
    where one of the names belongs to another cluster.
    """
    ours = _parsed(text, "the new kubeconfig")
    theirs = _parsed(_read(path), path) if os.path.exists(path) else {}
    merged = {"apiVersion": "v1", "kind": "Config", "current-context": ours["current-context"], **theirs}
    _refuse_foreign(path, merged, ours)
    for kind in ("clusters", "users", "contexts"):
        names = _names(ours, kind)
        merged[kind] = [entry for entry in _entries(merged, kind) if entry["name"] not in names] + ours[kind]
    if theirs and dump(merged) == dump(theirs):
        return False
    _back_up(path, check)
    return write(path, dump(merged), check)


def take_out(path: str, text: str, check: bool) -> bool:
    """Take a cluster, its user and its context out of another kubeconfig. Return True if that changes it.

    text: the cluster's own kubeconfig. Entries of the same names that belong to a cluster with another CA stay.
    """
    if not os.path.isfile(path):
        return False
    ours, theirs = _parsed(text, "the cluster's kubeconfig"), _parsed(_read(path), path)
    present = {entry["name"]: entry for entry in _entries(theirs, "clusters")}
    cluster = ours["clusters"][0]
    if _authority(present.get(cluster["name"])) != _authority(cluster) or not _authority(cluster):
        return False
    _refuse_foreign(path, theirs, ours)
    kept = {
        kind: [entry for entry in _entries(theirs, kind) if entry["name"] not in _names(ours, kind)]
        for kind in ("clusters", "users", "contexts")
    }
    current = {} if theirs.get("current-context") != ours["current-context"] else {"current-context": ""}
    _back_up(path, check)
    return write(path, dump({**theirs, **kept, **current}), check)


def _refuse_foreign(path: str, theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    """Raise KubeconfigError where a cluster, user or context of this name is another cluster's."""
    name, user = ours["clusters"][0]["name"], ours["users"][0]["name"]
    foreign = []
    present = {entry["name"]: entry for entry in _entries(theirs, "clusters")}
    if name in present and _authority(present[name]) != _authority(ours["clusters"][0]):
        foreign.append("a cluster %s with another CA" % name)
    for entry in _entries(theirs, "contexts"):
        context = entry.get("context") or {}
        if entry["name"] == name and context.get("cluster") != name:
            foreign.append("a context %s of the cluster %s" % (name, context.get("cluster")))
        elif context.get("user") == user and context.get("cluster") != name:
            foreign.append("a user %s of the cluster %s" % (user, context.get("cluster")))
    if foreign:
        raise KubeconfigError(
            (
                "%s has %s. Set kube_cluster_name of a new cluster to another name, set kube_kubeconfig.merge: "
                "false, or delete the old entries if that "
                "cluster is gone: kubectl config delete-context %s; kubectl config delete-cluster %s; kubectl "
                "config delete-user %s"
            )
            % (path, " and ".join(foreign), name, name, user)
        )


def _back_up(path: str, check: bool) -> None:
    if os.path.exists(path) and not check:
        shutil.copy2(path, "%s.%s" % (path, time.strftime("%Y%m%d-%H%M%S")))


def _parsed(text: str, what: str) -> dict[str, Any]:
    """Return a kubeconfig's content.

    Raise KubeconfigError where it is none; its text, which may hold keys, is not in the message.
    """
    try:
        config = yaml.safe_load(text)
    except yaml.YAMLError:
        raise KubeconfigError("%s is not valid YAML. Repair it or move it away." % what) from None
    if config is None:
        return {}
    if not isinstance(config, dict):
        raise KubeconfigError("%s is not a kubeconfig. Repair it or move it away." % what)
    return config


def _entries(config: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [entry for entry in config.get(kind) or [] if isinstance(entry, dict) and "name" in entry]


def _names(config: dict[str, Any], kind: str) -> list[str]:
    return [entry["name"] for entry in _entries(config, kind)]


def _named(config: dict[str, Any], kind: str, name: str | None, key: str) -> dict[str, Any]:
    """Return the value of the entry of this name."""
    for entry in _entries(config, kind):
        if entry["name"] == name and isinstance(entry.get(key), dict):
            return dict(entry[key])
    raise KubeconfigError(
        (
            "the control plane's kubeconfig has no %s %s. Create it again (kubeadm init phase kubeconfig "
            "admin), or restart K3s."
        )
        % (key, name)
    )


def _data(entry: dict[str, Any], keys: Iterable[str]) -> dict[str, str]:
    """Return the values of these keys, which hold PEM in base64."""
    found = {key: str(entry.get(key) or "") for key in keys}
    for key, value in found.items():
        try:
            good = base64.b64decode(value, validate=True).lstrip().startswith(b"-----BEGIN ")
        except (binascii.Error, ValueError):
            good = False
        if not good:
            raise KubeconfigError(
                (
                    "the control plane's kubeconfig has no certificate in %s. Create it again (kubeadm init "
                    "phase kubeconfig admin), or restart K3s."
                )
                % key
            )
    return found


def _authority(entry: dict[str, Any] | None) -> str:
    """Return the CA of a cluster's entry, empty where it has none in the file."""
    return str(((entry or {}).get("cluster") or {}).get("certificate-authority-data") or "")


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as stream:
        return stream.read()
