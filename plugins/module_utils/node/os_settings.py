# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel modules, kernel settings and swap of a node. Standard library only.

What cannot be set because the node is a container is no error where the kernel has the feature already.
"""

from __future__ import annotations

import os
import re

MODULES_FILE = "/etc/modules-load.d/kubewright.conf"
SYSCTL_FILE = "/etc/sysctl.d/99-kubewright.conf"
FSTAB = "/etc/fstab"
JOURNAL_FILE = "/etc/systemd/journald.conf.d/50-kubewright.conf"
MARK = "#kubewright# "
HEADER = "# Made by kubewright.cluster.\n"
# Kernel settings that kubelet and kube-proxy change by themselves while they run.
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
# Where a feature shows itself when it is built into the kernel, or loaded outside of a container.
TRACES = {
    "br_netfilter": ("/proc/sys/net/bridge",),
    "nf_conntrack": ("/proc/sys/net/netfilter/nf_conntrack_max", "/proc/sys/net/netfilter/nf_conntrack_buckets"),
}


def module_there(name: str, filesystems: str) -> bool:
    """Whether a kernel module is loaded, or its feature is there without one. filesystems: the text of /proc/filesystems."""
    if os.path.isdir("/sys/module/" + name.replace("-", "_")):
        return True
    if any(os.path.exists(path) for path in TRACES.get(name, ())):
        return True
    return name in filesystems.split()


def sysctl_path(name: str) -> str:
    """The file of a setting: net.ipv4.ip_forward is /proc/sys/net/ipv4/ip_forward."""
    return "/proc/sys/" + name.replace(".", "/")


def sysctl_value(name: str):
    """The value, with blanks as one space; None where the kernel has no such setting."""
    try:
        with open(sysctl_path(name), encoding="utf-8") as stream:
            return " ".join(stream.read().split())
    except OSError:
        return None


def swap_devices(text: str) -> list:
    """Names of the active swap devices and files, from the text of /proc/swaps."""
    return [line.split()[0].replace("\\040", " ") for line in text.splitlines()[1:] if line.strip()]


def swap_lines(fstab: str) -> list:
    """The active swap lines of a fstab."""
    return [line for line in fstab.splitlines() if re.match(r"^\s*[^#\s]\S*\s+\S+\s+swap\s", line)]


def without_swap(fstab: str) -> str:
    """The fstab with its swap lines commented, so that they can be found again."""
    lines = swap_lines(fstab)
    return "".join((MARK + line if line.rstrip("\n") in lines else line) for line in fstab.splitlines(keepends=True))


def with_swap(fstab: str) -> str:
    """The reverse of without_swap."""
    return "".join(line[len(MARK) :] if line.startswith(MARK) else line for line in fstab.splitlines(keepends=True))


def modules_text(names: list) -> str:
    """The file that loads modules at boot."""
    return HEADER + "".join(name + "\n" for name in names)


def sysctl_text(values: dict) -> str:
    """The file that sets kernel settings at boot."""
    return HEADER + "".join("%s = %s\n" % pair for pair in sorted(values.items()))


def journal_text() -> str:
    """journald keeps its journal in memory: https://www.freedesktop.org/software/systemd/man/journald.conf.html"""
    return HEADER + "[Journal]\nStorage=volatile\nRuntimeMaxUse=32M\n"


def command_line(path: str) -> str:
    """The text of a cmdline.txt, each byte a character: it may be of any encoding, with any ends of lines. "" where there is none."""
    try:
        with open(path, encoding="latin-1", newline="") as stream:
            return stream.read()
    except OSError:
        return ""


def with_arguments(text: str, words: list) -> str:
    """The text of a cmdline.txt with these words of the kernel's command line, on its first line: firmware reads no other."""
    line, end, rest = text.partition("\n")
    there = line.split()
    bare = line.rstrip()
    added = " ".join(([bare] if bare else []) + [word for word in words if word not in there])
    return added + line[len(bare) :] + end + rest


def without_arguments(text: str, words: list) -> str:
    """The reverse, to the last blank: what else is there, or was written there since, stays."""
    line, end, rest = text.partition("\n")
    for word in words:
        line = re.sub(r"(^|[ \t]+)%s(?!\S)" % re.escape(word), "", line)
    return line + end + rest
