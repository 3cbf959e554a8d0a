# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the file systems below the datastore, the container runtime and the programs of a new node."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ....module_utils.detect.disks import NETWORK
from ...base import quantity
from ...base.distribution import Node, Problems, Storage
from ...base.findings import Finding
from ...base.reference import DISKS_PAGE, IN_MEMORY, NO_OVERLAY, OVERLAY_PAGE, ZFS_OVERLAY
from ..draft import Case

Disk = Mapping[str, Any]


def file_systems(case: Case, host: str, node: Node) -> Problems:
    """Check that a new node can write where it must, run its programs, keep its datastore and unpack images."""
    if case.joined[host]:
        return Problems([], [])
    place = case.distribution.storage(node["role"], node["inputs"], case.cluster["datastore"])
    known: Mapping[str, Disk] = {path: disk for path, disk in (node["info"].get("disks") or {}).items() if disk}
    refusals = [*_not_writable(host, place, known), *_not_executable(host, place, known, case.distribution.title)]
    refusals += [*_datastore(host, place, known), *_runtime(host, place, known)]
    return Problems(refusals, [*_in_memory(host, place, known), *_small_run(host, known)])


def _not_writable(host: str, place: Storage, known: Mapping[str, Disk]) -> Iterator[Finding]:
    wanted = [place.datastore, place.runtime, *place.installed, "/var/lib/kubelet"]
    for path in sorted({path for path in wanted if path and (known.get(path) or {}).get("read_only")}):
        way_out = "Mount it with write access, or set kube_data_dir."
        if path in place.installed:
            way_out = "Mount a writable file system there."
        text = "%s: %s is on a file system that is mounted read-only (%s). %s"
        yield Finding("disk.read_only", text % (host, path, known[path]["mount"], way_out), host, path)


def _not_executable(host: str, place: Storage, known: Mapping[str, Disk], title: str) -> Iterator[Finding]:
    for path in place.run:
        if (known.get(path) or {}).get("noexec"):
            text = "%s: %s is on %s, which is mounted noexec, and %s starts programs there. Remount it with exec%s."
            more = ", or set kube_data_dir" if path.endswith("/rancher/k3s/data") else ""
            mount = known[path]["mount"]
            yield Finding("disk.noexec", text % (host, path, mount, title, more), host, path, mount)


def _datastore(host: str, place: Storage, known: Mapping[str, Disk]) -> Iterator[Finding]:
    """Refuse a datastore on the network, whose delays and locks it does not survive, and one that is lost at boot."""
    disk = known.get(place.datastore or "") or {}
    kind = disk.get("fs")
    where = (host, place.datastore, kind, disk.get("mount"))
    if kind in NETWORK:
        text = "%s: the datastore in %s would be on %s (%s). It needs a local disk (%s)." % (*where, DISKS_PAGE)
        yield Finding("disk.datastore_on_network", text, host, kind)
    elif kind in IN_MEMORY:
        text = "%s: the datastore in %s would be on %s (%s), which is empty after a reboot. It needs a local disk."
        yield Finding("disk.datastore_in_memory", text % where, host, kind)


def _runtime(host: str, place: Storage, known: Mapping[str, Disk]) -> Iterator[Finding]:
    disk = known.get(place.runtime) or {}
    kind, version = disk.get("fs"), str(disk.get("fs_version") or "")
    if not place.overlay or not kind:
        return
    shown = ("%s %s" % (kind, version)).strip()
    old = re.match(r"([0-9]+)\.([0-9]+)", version) if kind == "zfs" else None
    too_old = bool(old) and tuple(map(int, old.groups())) < ZFS_OVERLAY  # type: ignore[union-attr]
    if kind in NETWORK + NO_OVERLAY or too_old:
        text = (
            "%s: images in %s would be on %s (%s), where overlayfs does not work (%s). Mount ext4 or XFS there, or %s."
        )
        k3s = "/rancher/k3s/" in place.runtime
        way_out = "set k3s_config: {snapshotter: native}" if k3s else "set kube_data_dir to such a file system"
        values = (host, place.runtime, shown, disk["mount"], OVERLAY_PAGE, way_out)
        yield Finding("disk.no_overlay", text % values, host, shown)


# The runtime and the kubelet keep a few hundred kilobytes for each pod in /run, systemd its own state.
RUN_BYTES = 32 << 20


def _small_run(host: str, known: Mapping[str, Disk]) -> Iterator[Finding]:
    free = (known.get("/run") or {}).get("free_bytes")
    if free is not None and free < RUN_BYTES:
        text = (
            "%s: %s free under /run, where the container runtime keeps the state of its containers, which needs about "
        )
        text += "%s. Raise its size (mount -o remount,size=64M /run, and in /etc/fstab)."
        values = (host, quantity.human(free), quantity.human(RUN_BYTES))
        yield Finding("disk.small_run", text % values, host, free, RUN_BYTES)


def _in_memory(host: str, place: Storage, known: Mapping[str, Disk]) -> Iterator[Finding]:
    disk = known.get(place.runtime) or {}
    if disk.get("fs") == "tmpfs":
        text = (
            "%s: images in %s would be in memory (tmpfs on %s), and be pulled again after a reboot. Set kube_data_dir."
        )
        yield Finding("disk.images_in_memory", text % (host, place.runtime, disk["mount"]), host, "tmpfs")
