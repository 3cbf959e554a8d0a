# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which processes on a host belong to pods, and which network namespaces do not. Standard library only."""

from __future__ import annotations

import os


def inode(path: str) -> int | None:
    """Return the inode of a path, None if it does not exist."""
    try:
        return os.stat(path).st_ino
    except OSError:
        return None


def network_namespaces() -> set[int]:
    """Return the inodes of network namespaces that other programs use: Podman's have the same kind of names."""
    ours = set(pods())
    others = [pid for pid in filter(str.isdigit, os.listdir("/proc")) if int(pid) not in ours]
    return {found for found in (inode("/proc/%s/ns/net" % pid) for pid in others) if found is not None}


def pods() -> list[int]:
    """Return the IDs of the processes of pods and of their shims, found by command line and cgroup."""
    found, here = [], inode("/proc/self/ns/pid")
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as stream:
                command = stream.read()
            with open("/proc/%s/cgroup" % pid, encoding="utf-8") as group_stream:
                group = group_stream.read()
        except OSError:
            continue
        shim = b"containerd-shim" in command.split(b"\0")[0] and b"k8s.io" in command
        # A node in a container on this host has shims and pods too: another PID namespace, a cgroup further down.
        if ":/kubepods" in group or (shim and inode("/proc/%s/ns/pid" % pid) == here):
            found.append(int(pid))
    return found
