# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disks under the data directories of the datastore and the container runtime."""

from __future__ import annotations

import os
from typing import Any, Iterable, List, Optional, Tuple

from .hardware import unescape
from .host import Host

# (mount point, device, file system, options).
Mount = Tuple[str, Optional[str], Optional[str], Tuple[str, ...]]

NETWORK = (
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "ceph",
    "fuse.glusterfs",
    "fuse.sshfs",
    "9p",
    "virtiofs",
    "lustre",
    "ocfs2",
    "gfs2",
)
MEMORY = ("tmpfs", "ramfs", "overlay", "squashfs", "rootfs")
# The slowest first: a volume over several disks is as slow as the slowest of them.
SLOWEST = ("network", "sd", "emmc", "hdd", "unknown", "virtual", "ssd", "nvme")
HYPERVISORS = ("VMware", "Msft", "QEMU", "VBOX", "Virtual", "PersistentDisk", "VDASD")
# Models of block devices that look local but are reached over the network.
REMOTE = ("Amazon Elastic Block Store",)


def mounts(text: str | None) -> list[Mount]:
    """Return the mounts in the text of /proc/mounts, in its order."""
    found: List[Mount] = []
    for line in (text or "").splitlines():
        words = line.split()
        if len(words) >= 4:
            found.append((unescape(words[1]), unescape(words[0]), words[2], tuple(words[3].split(","))))
    return found


def disks(host: Host, paths: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the disk under each path. For a path that does not exist yet the nearest existing parent is measured."""
    table = mounts(host.read("/proc/mounts"))
    return {path: _disk(host, path, table) for path in paths}


def _disk(host: Host, path: str, table: list[Mount]) -> dict[str, Any]:
    here = path
    while here not in ("/", "") and not host.exists(here):
        here = os.path.dirname(here)
    here = host.real(here or "/")
    point, device, kind, options = mount_of(table, here)
    total, free = host.space(here) or (None, None)
    return {
        "mount": point,
        "fs": kind,
        "device": device,
        "total_bytes": total,
        "free_bytes": free,
        "kind": disk_kind(host, device, kind, (host.stat(here) or {}).get("device")),
        "read_only": "ro" in options,
        "noexec": "noexec" in options,
        **({"fs_version": host.line("/sys/module/zfs/version")} if kind == "zfs" else {}),
    }


def mount_of(table: Iterable[Mount], path: str) -> Mount:
    """Return the mount that holds a path: the one at its longest parent, the last one if several are at that place."""
    found: Mount = ("/", None, None, ())
    for entry in table:
        if (path == entry[0] or path.startswith(entry[0].rstrip("/") + "/")) and len(entry[0]) >= len(found[0]):
            found = entry
    return found


def disk_kind(host: Host, device: str | None, file_system: str | None, numbers: str | None) -> str:
    """Return the kind of the disk behind a mount, one of SLOWEST. numbers: "major:minor" of its device."""
    if file_system in NETWORK:
        return "network"
    if file_system in MEMORY:
        return "virtual"
    place = None
    if device and device.startswith("/dev/"):
        place = host.real("/sys/class/block/" + os.path.basename(host.real(device)))
    if (not place or not host.exists(place)) and numbers and not numbers.startswith("0:"):
        place = host.real("/sys/dev/block/" + numbers)
    return block_kind(host, place) if place and host.exists(place) else "unknown"


def block_kind(host: Host, place: str, depth: int = 0) -> str:
    """Return the kind of a block device by its directory in /sys, one of SLOWEST.

    Volumes on top of others (device-mapper, RAID) are followed down.
    """
    slaves = host.names(place + "/slaves") or []
    if slaves and depth < 8:
        kinds = [block_kind(host, host.real("/sys/class/block/" + name), depth + 1) for name in slaves]
        return min(kinds, key=SLOWEST.index)
    if host.exists(place + "/partition"):
        place = os.path.dirname(place)
    name = os.path.basename(place)
    label = "%s %s" % (host.line(place + "/device/vendor"), host.line(place + "/device/model"))
    if name.startswith(("nbd", "rbd", "drbd")) or "/session" in place or any(word in label for word in REMOTE):
        return "network"
    if name.startswith("nvme"):
        return "nvme"
    if name.startswith("mmcblk"):
        return "sd" if host.line(place + "/device/type") == "SD" else "emmc"
    if name.startswith(("vd", "xvd", "loop", "zram", "ram")) or any(word in label for word in HYPERVISORS):
        return "virtual"
    kind = {"0": "ssd", "1": "hdd"}.get(host.line(place + "/queue/rotational") or "", "unknown")
    if kind == "hdd" and "/usb" in place:
        # USB adapters seldom report it. The kernel then assumes a hard disk: https://github.com/jaypipes/ghw/issues/122
        return "ssd" if "SSD" in label else "unknown"
    return kind
