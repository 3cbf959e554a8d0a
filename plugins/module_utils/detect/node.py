# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One look at a machine: all parts together."""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
import sys
import time

from . import cluster, hardware, network, software, system
from .host import Host

DATA_PATHS = ("/var/lib/etcd", "/var/lib/containerd", "/var/lib/kubelet")
KUBEADM_LOCK = "/run/kubewright-kubeadm.lock"
STA_UNSYNC = 0x0040


def look(probe=None, controller_epoch=None, paths=(), data_paths=(), arrived=None):
    """Everything that node_info says. arrived: the time at which the question reached the machine."""
    host = Host()
    now = arrived or time.time()
    uname = os.uname()
    own = host.read("/proc/self/cgroup")
    boot = time.time() - float((host.read("/proc/uptime") or "0").split()[0])
    record = software.owned(host)
    known = software.artifacts(record)
    units = software.services(host, boot)
    found = {
        "schema": 1,
        "hostname": uname.nodename,
        "machine_id": host.line("/etc/machine-id"),
        "product_uuid": host.line("/sys/class/dmi/id/product_uuid"),
        "architecture": hardware.architecture(uname.machine, struct.calcsize("P") * 8),
        "cpus": hardware.cpus(host, own, len(os.sched_getaffinity(0))),
        "memory": hardware.memory(host, own),
        "swap": hardware.swap(host),
        "disks": hardware.disks(host, list(data_paths) or DATA_PATHS, _usage),
        "cgroup": system.cgroup(host),
        "kernel": system.kernel(host),
        "init": system.init(host),
        "os": system.release(host),
        "virtualization": hardware.virtualization(host),
        "board": hardware.board(host),
        "clock": system.clock(host, units, now, controller_epoch, _unsynchronised()),
        "network": network.network(host, probe),
        "dns": system.resolver(host),
        "ports": network.ports(host),
        "usr_read_only": not os.access("/usr", os.W_OK),
        "python": {"version": "%d.%d.%d" % sys.version_info[:3], "executable": sys.executable},
        "commands": system.commands(host),
        **system.security(host),
        "firewall": software.firewall(units),
        "installed": software.installed(host, known),
        "services": units,
        "files": software.files(paths, record),
        "owned": record,
        "artifacts": known,
        "cluster": cluster.cluster(host, record),
        "busy": busy(),
    }
    return {**found, "warnings": host.warnings}


def _usage(path):
    try:
        info = os.statvfs(path)
    except OSError:
        return None, None
    return info.f_blocks * info.f_frsize, info.f_bavail * info.f_frsize


def _unsynchronised():
    """What the kernel says of its clock: True when nothing keeps it right, None when it does not say."""
    try:
        # struct timex: modes (int) first; status is the fifth member, after three longs.
        buffer = ctypes.create_string_buffer(512)
        if ctypes.CDLL(None).adjtimex(buffer) < 0:
            return None
        return bool(struct.unpack_from("@i3li", buffer.raw)[-1] & STA_UNSYNC)
    except (OSError, AttributeError, struct.error):
        return None


def busy():
    """Whether a kubeadm that the collection started is still at work, left by a run that was killed."""
    try:
        with open(KUBEADM_LOCK, encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False
