# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is installed: programs and their versions, services, files and programs that the collection manages."""

from __future__ import annotations

import hashlib
import json
import os
import re
from concurrent.futures import ThreadPoolExecutor

SERVICES = (
    "containerd kubelet kube-endpoint kube-endpoint-vip kube-bridge docker crio k3s k3s-agent haproxy keepalived chrony chronyd systemd-timesyncd ntpd "
    "systemd-resolved firewalld ufw nftables"
).split()
# Program -> where it may be, and how it tells its version.
PROGRAMS = {
    "kubeadm": (["version", "-o", "short"], r"(v[0-9]\S*)"),
    "kubelet": (["--version"], r"(v[0-9]\S*)"),
    "kubectl": (["version", "--client"], r"Client Version: (v\S+)"),
    "k3s": (["--version"], r"k3s version (v\S+)"),
    "containerd": (["--version"], r"\sv?([0-9]\S*)"),
    "runc": (["--version"], r"runc version ([0-9]\S*)"),
    "crictl": (["--version"], r"version v?([0-9]\S*)"),
    "etcd": (["--version"], r"etcd Version: ([0-9]\S*)"),
    "docker": (["--version"], r"version ([0-9][^\s,]*)"),
    "crio": (["--version"], r"[vV]ersion:?\s+v?([0-9]\S*)"),
}
PLACES = ("/usr/local/bin", "/usr/local/sbin", "/usr/bin", "/usr/sbin", "/opt/bin")


def owned(host):
    """The record of what the collection made here, or None."""
    try:
        record = json.loads(host.read("/etc/kubewright/owned.json") or "null")
    except ValueError:
        host.warnings.append("/etc/kubewright/owned.json is damaged; what is managed cannot be told from what is not")
        return None
    return record if isinstance(record, dict) else None


def artifacts(record):
    """By path the programs that the collection installed, and whether each is as it was put there."""
    found = {}
    for path, entry in ((record or {}).get("artifacts") or {}).items():
        try:
            info = os.stat(path)
            intact = info.st_size == entry.get("size") and (info.st_mtime_ns == entry.get("mtime_ns") or _sha256(path) == entry.get("sha256"))
        except OSError:
            intact = False
        found[path] = {"version": entry.get("version"), "sha256": entry.get("sha256"), "source": entry.get("source"), "intact": intact}
    return found


def files(paths, record):
    """By path {sha256, mode, size, mtime, owned} of the files that the collection manages and of further paths; None where there is none."""
    managed = (record or {}).get("files") or {}
    found = {}
    for path in sorted(set(paths) | set(managed)):
        try:
            info = os.stat(path)
            found[path] = {"sha256": _sha256(path), "mode": "%04o" % (info.st_mode & 0o7777), "size": info.st_size, "mtime": info.st_mtime, "owned": path in managed}
        except OSError:
            found[path] = None
    return found


def _sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def installed(host, known):
    """By program {path, version} or None. known: artifacts(); what the collection put there need not be run to be asked."""

    def one(name):
        path = next((os.path.join(place, name) for place in PLACES if host.exists(os.path.join(place, name))), None)
        if path is None:
            return None
        if (known.get(path) or {}).get("intact"):
            return {"path": path, "version": known[path]["version"]}
        arguments, pattern = PROGRAMS[name]
        found = re.search(pattern, host.run([path] + arguments, 2) or "")
        return {"path": path, "version": found.group(1) if found else None}

    with ThreadPoolExecutor(4) as pool:
        return dict(zip(PROGRAMS, pool.map(one, PROGRAMS)))


def services(host, boot_epoch):
    """By service {exists, active, enabled, started_epoch, newest_process_epoch, restarts}; one systemctl call for all."""
    wanted = "Id,Names,LoadState,ActiveState,UnitFileState,MainPID,ControlGroup,NRestarts,ExecMainStartTimestampMonotonic"
    output = host.run(["systemctl", "show", "-p", wanted] + [name + ".service" for name in SERVICES])
    result = {}
    for name, block in zip(SERVICES, (output or "").split("\n\n")):
        values = dict(line.split("=", 1) for line in block.strip().splitlines() if "=" in line)
        started = values.get("ExecMainStartTimestampMonotonic", "0")
        running = values.get("ActiveState") == "active"
        result[name] = {
            "exists": values.get("LoadState") in ("loaded", "masked"),
            "active": values.get("ActiveState", "inactive"),
            "enabled": values.get("UnitFileState") or None,
            "started_epoch": boot_epoch + int(started) / 1e6 if running and started.isdigit() and int(started) else None,
            "newest_process_epoch": _newest(host, values.get("ControlGroup"), values.get("MainPID"), boot_epoch) if running else None,
            "restarts": int(values["NRestarts"]) if values.get("NRestarts", "").isdigit() else 0,
        }
    return result


def _newest(host, group, main_pid, boot_epoch):
    """Start of the newest process of a service: a reload that makes a new worker shows here."""
    pids = []
    for root in ("/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"):
        text = host.read("%s%s/cgroup.procs" % (root, group)) if group else None
        if text:
            pids = text.split()
            break
    starts = [start for start in (_start(host, pid) for pid in pids or [main_pid or "0"]) if start is not None]
    return boot_epoch + max(starts) if starts else None


def _start(host, pid):
    """Seconds after boot at which a process started."""
    text = host.read("/proc/%s/stat" % pid)
    try:
        return int(text.rsplit(")", 1)[1].split()[19]) / os.sysconf("SC_CLK_TCK")
    except (AttributeError, IndexError, ValueError):
        return None


def firewall(known):
    """State of the firewall managers, from the services' states."""
    return {name: (known.get(name) or {}).get("active") if (known.get(name) or {}).get("exists") else None for name in ("ufw", "firewalld", "nftables")}
