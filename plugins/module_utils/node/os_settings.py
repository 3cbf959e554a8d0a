# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel modules, sysctls, swap, journal and kernel arguments of a node. Standard library only."""

from __future__ import annotations

import os
import re

from .paths import SWAP_LINE

MARK = "#kubewright# "
HEADER = "# Made by kubewright.cluster.\n"
# Sysctls that the kubelet and kube-proxy change while they run.
CLUSTER_SYSCTLS = (
    "kernel.keys.root_maxbytes",
    "kernel.keys.root_maxkeys",
    "kernel.panic",
    "kernel.panic_on_oops",
    "net.ipv4.conf.all.route_localnet",
    "vm.overcommit_memory",
    "vm.panic_on_oom",
)
SWAP_UNITS = ("dphys-swapfile.service", "zramswap.service", "zram-config.service")
# Files that exist if a module's feature is built into the kernel, or was loaded outside of a container.
MODULE_TRACES = {
    "br_netfilter": ("/proc/sys/net/bridge/bridge-nf-call-iptables",),
    "ip_tables": ("/proc/net/ip_tables_names",),
    "ip_vs": ("/proc/net/ip_vs",),
    "nf_conntrack": ("/proc/sys/net/netfilter/nf_conntrack_max", "/proc/sys/net/netfilter/nf_conntrack_buckets"),
}


def has_module(name: str, filesystems: str) -> bool:
    """Return True if a kernel module is loaded, or the kernel has its feature without it.

    filesystems: the text of /proc/filesystems.
    """
    if os.path.isdir("/sys/module/" + name.replace("-", "_")):
        return True
    if any(os.path.exists(path) for path in MODULE_TRACES.get(name, ())):
        return True
    return name in filesystems.split()


def sysctl_path(name: str) -> str:
    """Return the file of a sysctl: net.ipv4.ip_forward is /proc/sys/net/ipv4/ip_forward.

    One with slashes keeps its dots, which names of VLANs have: sysctl.d(5).
    """
    if "/" in name:
        return "/proc/sys/" + name
    return "/proc/sys/" + name.replace(".", "/")


def sysctl_order(item: tuple[str, str]) -> tuple[bool, str]:
    """Return a sysctl's sorting key: a kernel that begins to forward drops default routes unless accept_ra is 2."""
    return not item[0].endswith("/accept_ra"), item[0]


def sysctl_value(name: str) -> str | None:
    """Return the value with single blanks, None if the kernel has no such sysctl."""
    try:
        with open(sysctl_path(name), encoding="utf-8") as stream:
            return " ".join(stream.read().split())
    except OSError:
        return None


def swap_devices(text: str) -> list[str]:
    """Return the active swap devices and files in the text of /proc/swaps."""
    return [line.split()[0].replace("\\040", " ") for line in text.splitlines()[1:] if line.strip()]


def swap_lines(fstab: str) -> list[str]:
    """Return the lines of a fstab that turn swap on."""
    return [line.rstrip("\r\n") for line in _lines(fstab) if SWAP_LINE.match(line)]


def _lines(text: str) -> list[str]:
    """Return the lines with their ends. splitlines would also end one at characters such as U+0085."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def without_swap(fstab: str) -> str:
    """Return the fstab with its swap lines commented out, so that with_swap finds them again."""
    return "".join(MARK + line if SWAP_LINE.match(line) else line for line in _lines(fstab))


def with_swap(fstab: str) -> str:
    """Undo without_swap."""
    return "".join(line[len(MARK) :] if line.startswith(MARK) else line for line in _lines(fstab))


def modules_text(names: list[str]) -> str:
    """Return the file that loads modules at boot."""
    return HEADER + "".join(name + "\n" for name in names)


def sysctl_text(values: dict[str, str]) -> str:
    """Return the file that sets sysctls at boot."""
    return HEADER + "".join("%s = %s\n" % pair for pair in sorted(values.items()))


def journal_text() -> str:
    """Return journald's configuration for a journal in memory.

    https://www.freedesktop.org/software/systemd/man/journald.conf.html
    """
    return HEADER + "[Journal]\nStorage=volatile\nRuntimeMaxUse=32M\n"


def exact_text(path: str) -> str:
    """Return the text of a file that is written back as latin-1, such as cmdline.txt or fstab, "" if there is none.

    Each byte is one character: the file may have any encoding and line ends.
    """
    try:
        with open(path, encoding="latin-1", newline="") as stream:
            return stream.read()
    except FileNotFoundError:
        return ""


def with_arguments(text: str, words: list[str]) -> str:
    """Add words to the first line of a cmdline.txt: firmware reads only that line."""
    line, end, rest = text.partition("\n")
    there = line.split()
    bare = line.rstrip()
    added = " ".join(([bare] if bare else []) + [word for word in words if word not in there])
    return added + line[len(bare) :] + end + rest


def without_arguments(text: str, words: list[str]) -> str:
    """Undo with_arguments, to the last blank; everything else stays, also what was written since."""
    line, end, rest = text.partition("\n")
    for word in words:
        line = re.sub(r"(^|[ \t]+)%s(?!\S)" % re.escape(word), "", line)
    return line + end + rest
