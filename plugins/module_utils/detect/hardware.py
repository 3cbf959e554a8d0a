# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Architecture, CPUs, memory, swap: what a cluster may use of the machine."""

from __future__ import annotations

import re

from ..node.paths import FSTAB, SWAP_LINE
from .host import number

ARCHITECTURES = {
    "x86_64": "amd64",
    "amd64": "amd64",
    "aarch64": "arm64",
    "arm64": "arm64",
    "armv8l": "arm",
    "armv7l": "arm",
    "armv6l": "arm",
    "armhf": "arm",
    "arm": "arm",
    "386": "386",
    "i386": "386",
    "i586": "386",
    "i686": "386",
    "ppc64le": "ppc64le",
    "ppc64el": "ppc64le",
    "s390x": "s390x",
    "riscv64": "riscv64",
}
NARROW = {"amd64": "386", "arm64": "arm"}
# cgroup v1 writes "no limit" as the largest page-aligned number.
UNLIMITED = 1 << 60
# https://pci-ids.ucw.cz
GPU_VENDORS = {"0x10de": "nvidia", "0x1002": "amd"}
# NR_CPUS, the kernel's own limit, goes to 8192 on the architectures here (arch/*/Kconfig).
MOST_CPUS = 8192


def architecture(host, machine):
    """{name, raw, bits}: a 32-bit system on a 64-bit kernel runs 32-bit programs, and that is what counts."""
    raw = machine["machine"]
    name = ARCHITECTURES.get(raw.lower(), raw.lower())
    bits = elf_bits(host.head("/bin/sh", 20)) or machine["pointer_bits"]
    return {"name": NARROW.get(name, name) if bits == 32 else name, "raw": raw, "bits": bits}


def released_name(machine):
    """The name that Kubernetes' and K3s's releases use, of what `uname -m`, Ansible or Debian call it. Raises ValueError."""
    name = ARCHITECTURES.get(str(machine).strip().lower())
    if not name:
        raise ValueError("%r is no known architecture: known are %s" % (machine, ", ".join(sorted(ARCHITECTURES))))
    return name


def elf_bits(head):
    """32 or 64 by a program's first bytes, None when it is none."""
    return {1: 32, 2: 64}.get(head[4]) if head and len(head) > 4 and head[:4] == b"\x7fELF" else None


def own_cgroup(text, controller):
    """Path of the own group for a v1 controller, or of the v2 group ("" as controller), from /proc/self/cgroup."""
    for line in (text or "").splitlines():
        parts = line.split(":", 2)
        if len(parts) == 3 and (controller in parts[1].split(",") if controller else parts[0] == "0" and not parts[1]):
            return parts[2]
    return None


def _chain(path):
    """A group's path and those of its parents. In a container the path may be the host's: only the root is there."""
    parts = [part for part in (path or "/").split("/") if part and part != ".." and "\0" not in part]
    return ["/".join(["", *parts[:count]]) for count in range(len(parts), -1, -1)]


def memory_limit(host, cgroup):
    """The smallest memory limit of the own group and its parents, or None. cgroup: text of /proc/self/cgroup."""
    found = []
    for part in _chain(own_cgroup(cgroup, "")):
        found.append(number(host.line("/sys/fs/cgroup%s/memory.max" % part)))
    for part in _chain(own_cgroup(cgroup, "memory")):
        found.append(number(host.line("/sys/fs/cgroup/memory%s/memory.limit_in_bytes" % part)))
    limits = [value for value in found if value is not None and 0 < value < UNLIMITED]
    return min(limits) if limits else None


def cpu_limit(host, cgroup):
    """The smallest CPU quota of the own group and its parents, in CPUs, or None."""
    found = []
    for part in _chain(own_cgroup(cgroup, "")):
        words = (host.line("/sys/fs/cgroup%s/cpu.max" % part) or "").split()
        if len(words) == 2:
            found.append((number(words[0]), number(words[1])))
    for part in _chain(own_cgroup(cgroup, "cpu")):
        quota, period = (host.line("/sys/fs/cgroup/cpu%s/cpu.cfs_%s_us" % (part, name)) for name in ("quota", "period"))
        found.append((number(quota), number(period)))
    shares = [quota / period for quota, period in found if quota and period and quota > 0 and period > 0]
    return round(min(shares), 3) if shares else None


def cpus(host, cgroup, affinity):
    """{count, host_count, limit}: count is what may be used, rounded down and at least one."""
    present = cpu_list(host.line("/sys/devices/system/cpu/online")) or len(
        re.findall(r"^processor\s*:", host.read("/proc/cpuinfo") or "", re.M)
    )
    limit = cpu_limit(host, cgroup)
    usable = min(affinity, int(limit)) if limit is not None else affinity
    return {"count": max(1, usable), "host_count": present or affinity, "limit": limit}


def cpu_list(text):
    """How many processors a list like 0-3,8-11 names; 0 where it names more than any kernel has."""
    count = 0
    for first, last in re.findall(r"(\d{1,9})(?:-(\d{1,9}))?", text or ""):
        count += max(0, int(last or first) - int(first) + 1)
    return count if count <= MOST_CPUS else 0


def meminfo(text):
    """/proc/meminfo as bytes by name."""
    return {
        name: int(value) * 1024 for name, value in re.findall(r"^([A-Za-z]\w*):\s+([0-9]{1,18}) kB", text or "", re.M)
    }


def memory(host, cgroup):
    """{total_bytes, limit_bytes, usable_bytes, available_bytes}: a container's or slice's limit wins."""
    known = meminfo(host.read("/proc/meminfo"))
    total, limit = known.get("MemTotal"), memory_limit(host, cgroup)
    usable = limit if total is None or limit is not None and limit < total else total
    available = known.get("MemAvailable")
    return {
        "total_bytes": total,
        "limit_bytes": limit,
        "usable_bytes": usable,
        # What the host has left is no more than what may be used of it.
        "available_bytes": min(available, usable) if available is not None and usable is not None else available,
    }


def swap(host):
    """{total_bytes (None: unknown), devices, fstab}. A kernel without swap has no /proc/swaps."""
    devices, text = [], host.read("/proc/swaps")
    unknown = text is None and host.exists("/proc/swaps")
    if unknown:
        host.warn("/proc/swaps cannot be read; whether anything is swapped to is unknown")
    for line in (text or "").splitlines()[1:]:
        words = line.split()
        size = number(words[2]) if len(words) >= 3 else None
        if size is not None:
            # In a container lxcfs shows what the host lets it have as "virtual".
            plain = words[1] if words[1] in ("file", "virtual") else "partition"
            kind = "zram" if "/zram" in words[0] else plain
            devices.append({"name": unescape(words[0]), "kind": kind, "size_bytes": size * 1024})
    lines = [line for line in (host.read(FSTAB) or "").splitlines() if SWAP_LINE.match(line)]
    total = None if unknown else sum(device["size_bytes"] for device in devices)
    return {"total_bytes": total, "devices": devices, "fstab": lines}


def gpus(host):
    """[{vendor, address}] of accelerators that a device plugin of Kubernetes knows, whether or not their driver is there.

    PCI's class 03 is display controllers, 3D ones among them: https://pcisig.com; integrated graphics of Intel are left out.
    https://kubernetes.io/docs/tasks/manage-gpus/scheduling-gpus/
    """
    found = []
    for path in host.list("/sys/bus/pci/devices/*/class"):
        place = path.rsplit("/", 1)[0]
        vendor = GPU_VENDORS.get(host.line(place + "/vendor")) if (host.line(path) or "").startswith("0x03") else None
        if vendor:
            found.append({"vendor": vendor, "address": place.rsplit("/", 1)[1]})
    if "nvidia,tegra" in (host.read("/proc/device-tree/compatible") or ""):
        found.append({"vendor": "nvidia", "address": "tegra"})
    return found


def unescape(text):
    r"""A name as /proc writes it: blanks and backslashes are \040 and so on."""
    return re.sub(r"\\([0-3][0-7]{2})", lambda found: chr(int(found.group(1), 8)), text)
