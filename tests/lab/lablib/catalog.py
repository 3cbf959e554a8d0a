# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Paths of the lab, and the table of versions."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
from pathlib import Path

LAB = Path(__file__).resolve().parent.parent
MODULES = LAB / "go"
VERSIONS = LAB / "versions.json"
# Components that do not depend on the Kubernetes version, in build order.
COMMON = ("containerd", "runc", "cni-plugins", "cri-tools")
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class LabError(Exception):
    """An error that the user can fix. It is printed without a traceback."""


def host_arch():
    """Return Go's name of this machine's architecture."""
    return ARCHITECTURES.get(platform.machine(), platform.machine())


def cache(*parts):
    """Return a path in the cache, which is outside of the checkout."""
    root = os.environ.get("KUBEWRIGHT_CACHE") or Path.home() / ".cache" / "kubewright"
    return Path(root).joinpath(*parts)


@contextlib.contextmanager
def locked(name):
    """Hold a lock, so that only one process at a time builds into the cache or starts servers."""
    cache().mkdir(parents=True, exist_ok=True)
    with open(cache(f".{name}.lock"), "w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another `lab {name}` on this machine", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def versions():
    """Return the table of components and versions."""
    return json.loads(VERSIONS.read_text(encoding="utf-8"))


def number(version):
    """Return a version as a tuple to sort by: 1.36.3 is (1, 36, 3)."""
    return tuple(int(part) for part in version.split("-")[0].split("."))


def minor(version):
    """Return the minor version: 1.36 of 1.36.3."""
    return ".".join(version.split(".")[:2])


def chosen(table, wanted):
    """Return the Kubernetes versions that match `wanted` (versions or minors).

    If it is empty: all except those that are built only when they are named.
    """
    known = sorted(table["kubernetes"], key=number)
    if not wanted:
        return [version for version in known if version not in table["only_if_named"]]
    found = []
    for word in wanted:
        version = word.lstrip("v")
        matches = [v for v in known if version in (v, minor(v))]
        if not matches:
            raise LabError(f"Kubernetes {word} is not among the lab's versions: {', '.join(known)}. See `lab pin`.")
        found += [v for v in matches if v not in found]
    return found


def needs_safe_etcd(table, kubernetes):
    """Return True if the collection replaces the etcd that kubeadm of this Kubernetes version uses."""
    own = table["kubernetes"][kubernetes]["etcd"]
    return minor(own) == minor(table["safe_etcd"]) and number(own) < number(table["safe_etcd"])


def builds(table, kubernetes):
    """Return the (component, version) pairs that these Kubernetes versions need, version by version."""
    found = []
    for position, version in enumerate(kubernetes):
        row = table["kubernetes"][version]
        found.append(("kubernetes", version))
        found += [(name, table[name]) for name in COMMON]
        found += [("etcd", row["etcd"])] + ([("etcd", table["safe_etcd"])] if needs_safe_etcd(table, version) else [])
        found += [("coredns", row["coredns"])]
        if position == 0:
            found.append(("kube-router", table["kube-router"]))
    return list(dict.fromkeys(found))
