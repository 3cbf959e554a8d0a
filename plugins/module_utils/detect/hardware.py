# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Architecture, CPUs, memory, swap, disks, board, and what the machine runs in."""

from __future__ import annotations

import os
import re

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
    "i386": "386",
    "i686": "386",
    "ppc64le": "ppc64le",
    "s390x": "s390x",
    "riscv64": "riscv64",
}
# cgroup v1 writes "no limit" as the largest page-aligned number.
UNLIMITED = 1 << 60


def architecture(machine, pointer_bits):
    """{name, raw, bits}: a 32-bit system on a 64-bit kernel runs 32-bit programs, and that is what counts."""
    name = ARCHITECTURES.get(machine.lower(), machine.lower())
    if pointer_bits == 32:
        name = {"amd64": "386", "arm64": "arm"}.get(name, name)
    return {"name": name, "raw": machine, "bits": pointer_bits}


def own_cgroup(text, controller):
    """Path of the own group for a v1 controller, or of the v2 group ("" as controller), from /proc/self/cgroup."""
    for line in (text or "").splitlines():
        parts = line.split(":", 2)
        if len(parts) == 3 and (controller in parts[1].split(",") if controller else parts[0] == "0" and not parts[1]):
            return parts[2]
    return None


def _chain(path):
    """A group's path and those of its parents, up to the root."""
    parts = [part for part in (path or "/").split("/") if part and part != ".."]
    return ["/".join(parts[:count]) for count in range(len(parts), -1, -1)]


def memory_limit(host, cgroup):
    """The smallest memory limit of the own group and its parents, in bytes, or None. cgroup: the text of /proc/self/cgroup."""
    found = []
    for part in _chain(own_cgroup(cgroup, "")):
        found.append(number(host.line("/sys/fs/cgroup/%s/memory.max" % part)))
    for part in _chain(own_cgroup(cgroup, "memory")):
        found.append(number(host.line("/sys/fs/cgroup/memory/%s/memory.limit_in_bytes" % part)))
    limits = [value for value in found if value is not None and 0 < value < UNLIMITED]
    return min(limits) if limits else None


def cpu_limit(host, cgroup):
    """The smallest CPU quota of the own group and its parents, in CPUs, or None."""
    found = []
    for part in _chain(own_cgroup(cgroup, "")):
        words = (host.line("/sys/fs/cgroup/%s/cpu.max" % part) or "").split()
        if len(words) == 2 and words[0].isdigit() and words[1].isdigit() and int(words[1]):
            found.append(int(words[0]) / int(words[1]))
    for part in _chain(own_cgroup(cgroup, "cpu")):
        quota = number(host.line("/sys/fs/cgroup/cpu/%s/cpu.cfs_quota_us" % part))
        period = number(host.line("/sys/fs/cgroup/cpu/%s/cpu.cfs_period_us" % part))
        if quota and period and quota > 0:
            found.append(quota / period)
    return min(found) if found else None


def cpus(host, cgroup, affinity):
    """{count, host_count, limit}: count is what may be used, rounded down and at least one."""
    present = len(re.findall(r"^processor\s*:", host.read("/proc/cpuinfo") or "", re.M)) or affinity
    limit = cpu_limit(host, cgroup)
    usable = min(affinity, int(limit)) if limit is not None else affinity
    return {"count": max(1, usable), "host_count": present, "limit": limit}


def meminfo(text):
    """/proc/meminfo as bytes by name."""
    return {name: int(value) * 1024 for name, value in re.findall(r"^(\w+):\s+(\d+) kB", text or "", re.M)}


def memory(host, cgroup):
    """{total_bytes, limit_bytes, usable_bytes, available_bytes}: a container's or slice's limit wins over the host's total."""
    known = meminfo(host.read("/proc/meminfo"))
    total, limit = known.get("MemTotal"), memory_limit(host, cgroup)
    if total is None:
        host.warnings.append("/proc/meminfo tells no total memory")
    usable = limit if total is None or limit is not None and limit < total else total
    return {"total_bytes": total, "limit_bytes": limit, "usable_bytes": usable, "available_bytes": known.get("MemAvailable")}


def swap(host):
    """{total_bytes, devices, fstab}."""
    devices = []
    for line in (host.read("/proc/swaps") or "").splitlines()[1:]:
        words = line.split()
        if len(words) >= 3 and words[2].isdigit():
            kind = "zram" if "/zram" in words[0] else "file" if words[1] == "file" else "partition"
            devices.append({"name": words[0].replace("\\040", " "), "kind": kind, "size_bytes": int(words[2]) * 1024})
    lines = [line for line in (host.read("/etc/fstab") or "").splitlines() if re.match(r"^\s*[^#\s]\S*\s+\S+\s+swap\s", line)]
    return {"total_bytes": sum(device["size_bytes"] for device in devices), "devices": devices, "fstab": lines}


def mounts(text):
    """[(mount point, device, file system, read only)] of /proc/mounts."""
    found = []
    for line in (text or "").splitlines():
        words = line.split()
        if len(words) >= 4:
            found.append((words[1].replace("\\040", " "), words[0], words[2], "ro" in words[3].split(",")))
    return found


def disks(host, paths, usage):
    """By path the disk under it. usage(path) gives (total, free) bytes; the nearest existing parent is measured."""
    table = mounts(host.read("/proc/mounts"))
    return {path: _disk(host, path, table, usage) for path in paths}


def _disk(host, path, table, usage):
    here = path
    while here != "/" and not host.exists(here):
        here = os.path.dirname(here)
    point, device, kind, read_only = max(
        (entry for entry in table if here == entry[0] or here.startswith(entry[0].rstrip("/") + "/")), key=lambda entry: len(entry[0]), default=("/", None, None, False)
    )
    total, free = usage(here)
    return {"mount": point, "fs": kind, "device": device, "total_bytes": total, "free_bytes": free, "kind": _disk_kind(host, device, kind), "read_only": read_only}


def _disk_kind(host, device, file_system):
    if file_system in ("nfs", "nfs4", "cifs", "ceph", "9p"):
        return "network"
    if file_system in ("tmpfs", "overlay") or not (device or "").startswith("/dev/"):
        return "virtual"
    name = os.path.basename(host.real(device))
    place = host.real("/sys/class/block/" + name)
    if not host.exists(place + "/queue"):
        place = os.path.dirname(place)
    disk = os.path.basename(place)
    if disk.startswith("nvme"):
        return "nvme"
    if disk.startswith("mmcblk"):
        return "sd" if host.line(place + "/device/type") == "SD" else "emmc"
    if disk.startswith(("vd", "xvd", "loop")):
        return "virtual"
    rotational = host.line(place + "/queue/rotational")
    return {"0": "ssd", "1": "hdd"}.get(rotational, "unknown")


def board(host):
    """{model, raspberry_pi, cmdline_file, cmdline}."""
    model = host.line("/proc/device-tree/model") or " ".join(filter(None, (host.line("/sys/class/dmi/id/sys_vendor"), host.line("/sys/class/dmi/id/product_name")))) or None
    files = [path for path in ("/boot/firmware/cmdline.txt", "/boot/cmdline.txt") if host.exists(path)]
    return {"model": model, "raspberry_pi": bool(model and "Raspberry Pi" in model), "cmdline_file": files[0] if files else None, "cmdline": host.line("/proc/cmdline")}


def virtualization(host):
    """{container, vm}."""
    return {"container": _container(host), "vm": _vm(host)}


def _container(host):
    known = {"podman": "podman", "docker": "docker", "lxc": "lxc", "lxc-libvirt": "lxc", "systemd-nspawn": "systemd-nspawn", "wsl": "wsl"}
    if "microsoft" in (host.line("/proc/sys/kernel/osrelease") or "").lower():
        return "wsl"
    if host.exists("/run/.containerenv"):
        return "podman"
    if host.exists("/.dockerenv"):
        return "docker"
    environment = (host.read("/proc/1/environ") or "").split("\x00")
    named = next((entry[10:] for entry in environment if entry.startswith("container=")), None) or host.line("/run/systemd/container")
    return known.get(named, "other") if named else None


def _vm(host):
    text = " ".join(filter(None, (host.line("/sys/class/dmi/id/" + name) for name in ("sys_vendor", "product_name", "bios_vendor")))).lower()
    for word, name in (("vmware", "vmware"), ("microsoft", "hyperv"), ("xen", "xen"), ("kvm", "kvm"), ("firecracker", "firecracker"), ("qemu", "qemu"), ("amazon", "kvm"), ("google", "kvm")):
        if word in text:
            return _kvm(host) if name == "qemu" else name
    if host.line("/sys/hypervisor/type") == "xen":
        return "xen"
    if "-fc" in (host.line("/proc/sys/kernel/osrelease") or ""):
        return "firecracker"
    return "other" if re.search(r"^flags\s*:.*\bhypervisor\b", host.read("/proc/cpuinfo") or "", re.M) else None


def _kvm(host):
    """QEMU with hardware acceleration is KVM; without it the processor itself is emulated, and slow."""
    information = host.read("/proc/cpuinfo") or ""
    emulated = "QEMU TCG" in information or host.line("/sys/devices/system/clocksource/clocksource0/current_clocksource") in ("hpet", "acpi_pm")
    return "qemu" if emulated else "kvm"
