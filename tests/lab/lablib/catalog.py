# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where things are, and which versions there are."""

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
# What a cluster needs whatever its version, the most wanted first.
COMMON = ("containerd", "runc", "cni-plugins", "cri-tools")
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class LabError(Exception):
    """Something a user can put right: printed without a traceback."""


def host_arch():
    """This machine's architecture by Go's name."""
    return ARCHITECTURES.get(platform.machine(), platform.machine())


def cache(*parts):
    """A path in the cache, which lives outside the checkout."""
    root = os.environ.get("KUBEWRIGHT_CACHE") or Path.home() / ".cache" / "kubewright"
    return Path(root).joinpath(*parts)


@contextlib.contextmanager
def locked(name):
    """One process at a time makes things in the cache or starts servers."""
    cache().mkdir(parents=True, exist_ok=True)
    with open(cache(f".{name}.lock"), "w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"another `lab {name}` is running here: waiting for it", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def versions():
    """The table of components and versions."""
    return json.loads(VERSIONS.read_text(encoding="utf-8"))


def number(version):
    """1.36.3 as (1, 36, 3), to sort by."""
    return tuple(int(part) for part in version.split("-")[0].split("."))


def minor(version):
    """1.36 of 1.36.3."""
    return ".".join(version.split(".")[:2])


def chosen(table, wanted):
    """The Kubernetes versions meant by `wanted`: versions or minors, all when it is empty."""
    known = sorted(table["kubernetes"], key=number)
    if not wanted:
        return known
    found = []
    for word in wanted:
        version = word.lstrip("v")
        matches = [v for v in known if version in (v, minor(v))]
        if not matches:
            raise LabError(f"Kubernetes {word} is not among the lab's versions: {', '.join(known)} (see `lab pin`).")
        found += [v for v in matches if v not in found]
    return found


def builds(table, kubernetes):
    """(component, version) pairs for these Kubernetes versions: one whole cluster first, the rest after it."""
    found = []
    for position, version in enumerate(kubernetes):
        row = table["kubernetes"][version]
        found.append(("kubernetes", version))
        found += [(name, table[name]) for name in COMMON]
        found += [("etcd", row["etcd"]), ("coredns", row["coredns"])]
        if position == 0:
            found.append(("kube-router", table["kube-router"]))
    return list(dict.fromkeys(found))
