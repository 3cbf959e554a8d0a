# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Architecture, CPUs, memory, swap and GPUs: what a cluster can use of the machine."""

from __future__ import annotations

import re
from typing import Any, List, Optional, Tuple

from ..node import os_settings
from ..node.paths import FSTAB
from .host import Host, number

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
NAMES_32_BIT = {"amd64": "386", "arm64": "arm"}
# cgroup v1 writes "no limit" as the largest page-aligned number.
UNLIMITED = 1 << 60
# https://pci-ids.ucw.cz
GPU_VENDORS = {"0x10de": "nvidia", "0x1002": "amd"}
# NR_CPUS, the kernel's own limit, goes to 8192 on the architectures here (arch/*/Kconfig).
MOST_CPUS = 8192


def architecture(host: Host, machine: dict[str, Any]) -> dict[str, Any]:
    """Return {name, raw, bits}. A 32-bit system on a 64-bit kernel counts as 32-bit: it runs 32-bit programs."""
    raw = machine["machine"]
    name = ARCHITECTURES.get(raw.lower(), raw.lower())
    bits = elf_bits(host.head("/bin/sh", 20)) or machine["pointer_bits"]
    return {"name": NAMES_32_BIT.get(name, name) if bits == 32 else name, "raw": raw, "bits": bits}


def released_name(machine: str) -> str:
    """Return the name of an architecture in the releases of Kubernetes and K3s, such as amd64.

    machine: the name that `uname -m`, Ansible or Debian uses. Raise ValueError if it is unknown.
    """
    name = ARCHITECTURES.get(str(machine).strip().lower())
    if not name:
        raise ValueError("%r is not a known architecture: known are %s" % (machine, ", ".join(sorted(ARCHITECTURES))))
    return name


def elf_bits(head: bytes | None) -> int | None:
    """Return 32 or 64 by the first bytes of a program, None if it is not an ELF file."""
    return {1: 32, 2: 64}.get(head[4]) if head and len(head) > 4 and head[:4] == b"\x7fELF" else None


def own_cgroup(text: str | None, controller: str) -> str | None:
    """Return the path of this process's cgroup from the text of /proc/self/cgroup, or None.

    controller: the cgroup v1 controller, "" for cgroup v2.
    """
    for line in (text or "").splitlines():
        parts = line.split(":", 2)
        if len(parts) == 3 and (controller in parts[1].split(",") if controller else parts[0] == "0" and not parts[1]):
            return parts[2]
    return None


def _chain(path: str | None) -> list[str]:
    """Return the path of a cgroup and those of its parents.

    In a container the path may be the host's, of which only the root exists here.
    """
    parts = [part for part in (path or "/").split("/") if part and part != ".." and "\0" not in part]
    return ["/".join(["", *parts[:count]]) for count in range(len(parts), -1, -1)]


def memory_limit(host: Host, cgroup: str | None) -> int | None:
    """Return the smallest memory limit of this process's cgroup and its parents in bytes, or None without a limit.

    cgroup: the text of /proc/self/cgroup.
    """
    found = []
    for part in _chain(own_cgroup(cgroup, "")):
        found.append(number(host.line("/sys/fs/cgroup%s/memory.max" % part)))
    for part in _chain(own_cgroup(cgroup, "memory")):
        found.append(number(host.line("/sys/fs/cgroup/memory%s/memory.limit_in_bytes" % part)))
    limits = [value for value in found if value is not None and 0 < value < UNLIMITED]
    return min(limits) if limits else None


def cpu_limit(host: Host, cgroup: str | None) -> float | None:
    """Return the smallest CPU quota of this process's cgroup and its parents in CPUs, or None without a quota."""
    found: List[Tuple[Optional[int], Optional[int]]] = []
    for part in _chain(own_cgroup(cgroup, "")):
        words = (host.line("/sys/fs/cgroup%s/cpu.max" % part) or "").split()
        if len(words) == 2:
            found.append((number(words[0]), number(words[1])))
    for part in _chain(own_cgroup(cgroup, "cpu")):
        quota, period = (host.line("/sys/fs/cgroup/cpu%s/cpu.cfs_%s_us" % (part, name)) for name in ("quota", "period"))
        found.append((number(quota), number(period)))
    shares = [quota / period for quota, period in found if quota and period and quota > 0 and period > 0]
    return round(min(shares), 3) if shares else None


def cpus(host: Host, cgroup: str | None, affinity: int) -> dict[str, Any]:
    """Return {count, host_count, limit}. count: the usable CPUs, rounded down, at least 1."""
    present = cpu_list(host.line("/sys/devices/system/cpu/online")) or len(
        re.findall(r"^processor\s*:", host.read("/proc/cpuinfo") or "", re.M)
    )
    limit = cpu_limit(host, cgroup)
    usable = min(affinity, int(limit)) if limit is not None else affinity
    return {"count": max(1, usable), "host_count": present or affinity, "limit": limit}


def cpu_list(text: str | None) -> int:
    """Return the number of processors in a list like 0-3,8-11; 0 if it has more than any kernel supports."""
    count = 0
    for first, last in re.findall(r"(\d{1,9})(?:-(\d{1,9}))?", text or ""):
        count += max(0, int(last or first) - int(first) + 1)
    return count if count <= MOST_CPUS else 0


def meminfo(text: str | None) -> dict[str, int]:
    """Return the values of /proc/meminfo in bytes by name."""
    return {
        name: int(value) * 1024 for name, value in re.findall(r"^([A-Za-z]\w*):\s+([0-9]{1,18}) kB", text or "", re.M)
    }


def memory(host: Host, cgroup: str | None) -> dict[str, int | None]:
    """Return {total_bytes, limit_bytes, usable_bytes, available_bytes}.

    usable_bytes: the limit of a container or slice if it is below the total, otherwise the total; of that without huge
    pages, which only programs that ask for them can use.
    """
    known = meminfo(host.read("/proc/meminfo"))
    total, limit = known.get("MemTotal"), memory_limit(host, cgroup)
    if total is not None and known.get("Hugetlb", 0) < total:
        total -= known.get("Hugetlb", 0)
    usable = limit if total is None or limit is not None and limit < total else total
    available = known.get("MemAvailable")
    return {
        "total_bytes": known.get("MemTotal"),
        "limit_bytes": limit,
        "usable_bytes": usable,
        # The host may have more available than this process may use.
        "available_bytes": min(available, usable) if available is not None and usable is not None else available,
    }


def swap(host: Host) -> dict[str, Any]:
    """Return {total_bytes (None: unknown), devices, fstab}. A kernel without swap has no /proc/swaps."""
    devices: List[dict[str, Any]] = []
    text = host.read("/proc/swaps")
    unknown = text is None and host.exists("/proc/swaps")
    if unknown:
        host.warn("/proc/swaps cannot be read; it is unknown whether swap is in use")
    for line in (text or "").splitlines()[1:]:
        words = line.split()
        size = number(words[2]) if len(words) >= 3 else None
        if size is not None:
            # In a container lxcfs shows the host's swap that it may use as "virtual".
            plain = words[1] if words[1] in ("file", "virtual") else "partition"
            kind = "zram" if "/zram" in words[0] else plain
            devices.append({"name": unescape(words[0]), "kind": kind, "size_bytes": size * 1024})
    lines = os_settings.swap_lines(host.read(FSTAB) or "")
    total = None if unknown else sum(device["size_bytes"] for device in devices)
    return {"total_bytes": total, "devices": devices, "fstab": lines}


def gpus(host: Host) -> list[dict[str, str]]:
    """Return [{vendor, address}] of the accelerators that have a Kubernetes device plugin, with or without a driver.

    PCI class 03 is display controllers, 3D controllers among them: https://pcisig.com. Intel's integrated graphics are
    left out. https://kubernetes.io/docs/tasks/manage-gpus/scheduling-gpus/
    """
    found = []
    for path in host.list("/sys/bus/pci/devices/*/class"):
        place = path.rsplit("/", 1)[0]
        is_display = (host.line(path) or "").startswith("0x03")
        vendor = GPU_VENDORS.get(host.line(place + "/vendor") or "") if is_display else None
        if vendor:
            found.append({"vendor": vendor, "address": place.rsplit("/", 1)[1]})
    if "nvidia,tegra" in (host.read("/proc/device-tree/compatible") or ""):
        found.append({"vendor": "nvidia", "address": "tegra"})
    return found


def unescape(text: str) -> str:
    r"""Return a name from /proc with its escapes replaced: it writes a blank as \040 and so on."""
    return re.sub(r"\\([0-3][0-7]{2})", lambda found: chr(int(found.group(1), 8)), text)
