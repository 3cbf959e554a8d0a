# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The board, and whether the machine is a container or a virtual machine."""

from __future__ import annotations

import re
from typing import Any

from .host import Host

# Default texts of firmware that nobody filled in.
PLACEHOLDERS = (
    "Default string",
    "To Be Filled By O.E.M.",
    "System manufacturer",
    "System Product Name",
    "Not Specified",
)
# The first one that exists counts: Ubuntu 25.10 and later boots from current/ (os_prefix), whatever else is there.
# https://canonical-ubuntu-boards.readthedocs-hosted.com/en/latest/explanations/piboot-ab
CMDLINES = ("/boot/firmware/current/cmdline.txt", "/boot/firmware/cmdline.txt", "/boot/cmdline.txt")
MOVED = "DO NOT EDIT"  # Raspberry Pi OS leaves a note with these words at the former path
CLOCKSOURCE = "/sys/devices/system/clocksource/clocksource0/%s_clocksource"
CONTAINERS = {
    "podman": "podman",
    "docker": "docker",
    "lxc": "lxc",
    "lxc-libvirt": "lxc",
    "lxd": "lxc",
    "incus": "lxc",
    "systemd-nspawn": "systemd-nspawn",
    "wsl": "wsl",
}
# A word in the DMI texts -> the kind of virtual machine, as systemd has them:
# https://github.com/systemd/systemd/blob/main/src/basic/virt.c
VENDORS = (
    ("vmware", "vmware"),
    ("vmw", "vmware"),
    ("firecracker", "firecracker"),
    ("xen", "xen"),
    ("virtualbox", "other"),
    ("innotek", "other"),
    ("parallels", "other"),
    ("bhyve", "other"),
    ("nutanix ahv", "kvm"),
    ("kvm", "kvm"),
    ("openstack", "kvm"),
    ("kubevirt", "kvm"),
    ("google compute engine", "kvm"),
    ("alibaba cloud", "kvm"),
    ("droplet", "kvm"),
    ("qemu", "qemu"),
    ("bochs", "qemu"),
)


def board(host: Host) -> dict[str, Any]:
    """Return {model, raspberry_pi, cmdline_file, cmdline_next, cmdline, boot, journal}.

    cmdline_next: the kernel arguments of the next boot. cmdline: those of the running kernel.
    """
    dmi = (host.line("/sys/class/dmi/id/" + name) for name in ("sys_vendor", "product_name"))
    model = (
        host.line("/proc/device-tree/model")
        or host.line("/sys/firmware/devicetree/base/model")
        or " ".join(word for word in dmi if word and word not in PLACEHOLDERS)
        or None
    )
    pi = bool(model and "Raspberry Pi" in model)
    texts = {path: host.read(path) or "" for path in CMDLINES if host.exists(path)}
    path, text = next(((path, text) for path, text in texts.items() if MOVED not in text), (None, ""))
    in_memory = host.list("/run/log/journal/%s/*.journal" % host.line("/etc/machine-id"))
    return {
        "model": model,
        "raspberry_pi": pi,
        "cmdline_file": path,
        # Firmware reads only the first line:
        # https://bugs.launchpad.net/ubuntu/+bug/2032128/+attachment/5693359/+files/README
        "cmdline_next": text.partition("\n")[0].strip() or None,
        "cmdline": host.line("/proc/cmdline"),
        "boot": host.line("/proc/sys/kernel/random/boot_id") if path else None,
        # journald empties this directory once it writes to the disk: systemd-journald(8), "FILES".
        "journal": "memory" if in_memory else None,
    }


def virtualization(host: Host) -> dict[str, str | None]:
    """Return {container, vm}, each a kind or None."""
    return {"container": container(host), "vm": virtual_machine(host)}


def container(host: Host) -> str | None:
    """Return the kind of container that process 1 runs in, or None."""
    if re.search("microsoft|-wsl", (host.line("/proc/sys/kernel/osrelease") or "").lower()):
        return "wsl"
    if host.exists("/run/.containerenv"):
        return "podman"
    if host.exists("/.dockerenv"):
        return "docker"
    environment = (host.read("/proc/1/environ", nul=True) or "").split("\x00")
    named = next((entry[10:] for entry in environment if entry.startswith("container=")), None) or host.line(
        "/run/systemd/container"
    )
    if named:
        return CONTAINERS.get(named, "other")
    if (
        host.exists("/dev/lxd")
        or host.exists("/dev/incus")
        or re.search(r":/lxc[./]", host.read("/proc/1/cgroup") or "")
    ):
        return "lxc"
    return "docker" if re.search(r"/docker[/-]", host.read("/proc/1/cgroup") or "") else None


def virtual_machine(host: Host) -> str | None:
    """Return the kind of virtual machine, or None on bare metal."""
    dmi = {
        name: (host.line("/sys/class/dmi/id/" + name) or "").lower()
        for name in ("sys_vendor", "product_name", "bios_vendor", "board_vendor", "chassis_vendor")
    }
    text = " ".join(dmi.values())
    information = host.read("/proc/cpuinfo") or ""
    flags = re.search(r"^flags\s*:(.*)$", information, re.M)
    flagged = bool(flags and re.search(r"\bhypervisor\b", flags.group(1)))
    if "microsoft" in dmi["sys_vendor"] and "virtual machine" in dmi["product_name"]:
        return "hyperv"
    if "amazon" in dmi["sys_vendor"]:
        return None if ".metal" in dmi["product_name"] else "kvm"
    if "google compute engine" in text and flags and not flagged:
        return None  # Google's bare metal has the same DMI texts
    for word, name in VENDORS:
        if word in text:
            return _accelerated(host, information) if name in ("kvm", "qemu") else name
    return _without_dmi(host, information, flagged)


def _accelerated(host: Host, information: str) -> str:
    """Return kvm for QEMU with hardware acceleration, qemu if the processor itself is emulated and therefore slow."""
    clock, offered = (host.line(CLOCKSOURCE % name) for name in ("current", "available"))
    # On x86 ("tsc") the kernel lists KVM's own clock if it runs on KVM.
    names = (offered or "").split()
    without_kvm_clock = "tsc" in names and "kvm-clock" not in names
    return "qemu" if "QEMU TCG" in information or clock in ("hpet", "acpi_pm") or without_kvm_clock else "kvm"


def _without_dmi(host: Host, information: str, flagged: bool) -> str | None:
    """Return the kind of a machine without telling DMI data by ACPI, the device tree or s390x's sysinfo."""
    if host.line("/sys/hypervisor/type") == "xen":
        return "xen"
    if (host.line(CLOCKSOURCE % "current") or "").startswith("hyperv"):
        return "hyperv"
    table = host.head("/sys/firmware/acpi/tables/DSDT", 24) or b""
    if (
        b"FIRECK" in table
        or flagged
        and re.search(
            r"-fc\b|firecracker", "%s %s" % (host.line("/proc/sys/kernel/osrelease"), host.line("/proc/cmdline"))
        )
    ):
        return "firecracker"
    tree = host.line("/proc/device-tree/hypervisor/compatible") or ""
    control = re.search(r"^VM00 Control Program:\s*(.*)$", host.read("/proc/sysinfo") or "", re.M)
    text = (tree + " " + (control.group(1) if control else "")).lower()
    if text.strip():
        return "kvm" if "kvm" in text else "xen" if "xen" in text else "other"
    if host.exists("/proc/device-tree/ibm,partition-name"):
        if "qemu" in (host.line("/proc/device-tree/model") or "").lower():
            return "kvm"
        # A partition of PowerVM, detected as systemd does: https://github.com/systemd/systemd/pull/17236
        return "other" if host.exists("/proc/device-tree/hmc-managed?") else None
    return "other" if flagged else None
