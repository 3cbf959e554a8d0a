# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is installed: programs and their versions, services, files and programs that the collection manages."""

from __future__ import annotations

import os
import re

from ..node import paths
from ..node.ownership import Record, parsed
from .host import Host, number

SERVICES = (
    "containerd kubelet kube-endpoint kube-endpoint-vip kube-bridge docker crio k3s k3s-agent haproxy keepalived "
    "chrony chronyd systemd-timesyncd ntpd systemd-resolved firewalld ufw nftables"
).split()
# Program -> how to ask for its version, and where the answer has it.
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


def owned(host: Host) -> Record | None:
    """Return the record of ownership, None if there is none. Raise ValueError if it is damaged or cannot be read."""
    path = paths.OWNERSHIP_RECORD
    text = host.read(path)
    if text is None:
        if host.exists(path):
            raise ValueError("%s cannot be read" % path)
        return None
    try:
        return parsed(text)
    except (ValueError, RecursionError) as error:
        raise ValueError("%s is damaged (%s)" % (path, error)) from None


def entries(record, name):
    """A part of the record: {path: entry}; what is no map there is none."""
    found = (record or {}).get(name)
    return (
        {path: entry if isinstance(entry, dict) else {} for path, entry in found.items()}
        if isinstance(found, dict)
        else {}
    )


def artifacts(host, record):
    """By path the programs that the collection installed, and whether each is as it was put there."""
    found = {}
    for path, entry in entries(record, "artifacts").items():
        info = host.stat(path)
        intact = (
            bool(info)
            and info["size"] == entry.get("size")
            and (info["mtime_ns"] == entry.get("mtime_ns") or host.digest(path) == entry.get("sha256"))
        )
        found[path] = {
            "version": entry.get("version"),
            "sha256": entry.get("sha256"),
            "source": entry.get("source"),
            "intact": intact,
        }
    return found


def files(host, paths, record):
    """By path {sha256, mode, size, mtime, owned} of managed files and of further paths; None: there is none."""
    managed = entries(record, "files")
    return {path: _file(host, path, path in managed) for path in sorted(set(paths) | set(managed))}


def _file(host, path, managed):
    info = host.stat(path)
    if info is None:
        return None
    return {
        "sha256": host.digest(path),
        "mode": info["mode"],
        "size": info["size"],
        "mtime": info["mtime"],
        "owned": managed,
    }


def installed(host, known, pool, record=None, places=None):
    """By program {path, version} or None. known: artifacts(): what the collection put there need not be asked.

    Nor need a link of ours: K3s under another name. places: {program: path} where it is looked for first.
    """
    links = entries(record, "files")
    found, asked = {}, {}
    for name, (arguments, _pattern) in PROGRAMS.items():
        usual = [os.path.join(place, name) for place in PLACES]
        first = [places[name]] if places and name in places else []
        path = next((path for path in first + usual if host.exists(path)), None)
        found[name] = {"path": path, "version": None} if path else None
        entry = known.get(path) or {}
        if entry.get("intact") and entry.get("version"):
            found[name]["version"] = entry["version"]
        elif path and path not in links:
            asked[name] = pool.submit(host.run, [path, *arguments], 2)
    for name, answer in asked.items():
        found[name]["version"] = version(name, answer.result())
    return found


def version(name, output):
    """The version in what a program says of itself, or None."""
    found = re.search(PROGRAMS[name][1], output or "")
    return found.group(1) if found else None


def services(host, boot_epoch, ticks):
    """By service {exists, active, enabled, started_epoch, newest_process_epoch, restarts}; one call for all."""
    if not host.exists("/run/systemd/system"):
        return {name: _openrc(host, name, boot_epoch, ticks) for name in SERVICES}
    wanted = "LoadState,ActiveState,UnitFileState,MainPID,ControlGroup,NRestarts,ExecMainStartTimestampMonotonic"
    output = host.run(["systemctl", "show", "-p", "Id," + wanted] + [name + ".service" for name in SERVICES])
    blocks = [_block(text) for text in (output or "").strip().split("\n\n")]
    if len(blocks) != len(SERVICES):
        host.warn("systemctl does not tell the states of the services")
        blocks = [{}] * len(SERVICES)
    return {name: _service(host, block, boot_epoch, ticks) for name, block in zip(SERVICES, blocks)}


def _block(text):
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def _service(host, values, boot_epoch, ticks):
    started = number(values.get("ExecMainStartTimestampMonotonic"))
    running = values.get("ActiveState") == "active"
    return {
        "exists": values.get("LoadState") in ("loaded", "masked"),
        "active": values.get("ActiveState", "inactive"),
        "enabled": values.get("UnitFileState") or None,
        "started_epoch": boot_epoch + started / 1e6 if running and started else None,
        "newest_process_epoch": _newest(host, values.get("ControlGroup"), values.get("MainPID"), boot_epoch, ticks)
        if running
        else None,
        "restarts": number(values.get("NRestarts")) or 0,
    }


def _openrc(host, name, boot_epoch, ticks):
    """The same of OpenRC, whose states are links in directories; what supervise-daemon knows is in files."""
    exists = host.exists("/etc/init.d/" + name)
    active = (
        "active"
        if host.exists("/run/openrc/started/" + name)
        else "failed"
        if host.exists("/run/openrc/failed/" + name)
        else "inactive"
    )
    enabled = ("enabled" if host.list("/etc/runlevels/*/" + name) else "disabled") if exists else None
    known = "/run/openrc/options/%s/" % name
    started = _start(host, host.line(known + "child_pid") or "0") if active == "active" else None
    since = boot_epoch + started / ticks if started is not None else None
    return {
        "exists": exists,
        "active": active,
        "enabled": enabled,
        "started_epoch": since,
        "newest_process_epoch": since,
        "restarts": max((number(host.line(known + "start_count")) or 1) - 1, 0) if active == "active" else 0,
    }


def _newest(host, group, main_pid, boot_epoch, ticks):
    """Start of the newest process of a service: a reload that makes a new worker shows here."""
    pids = []
    for root in ("/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"):
        pids = (host.read("%s%s/cgroup.procs" % (root, group)) or "").split() if group else []
        if pids:
            break
    starts = [start for start in (_start(host, pid) for pid in pids or [main_pid or "0"]) if start is not None]
    return boot_epoch + max(starts) / ticks if starts else None


def _start(host, pid):
    """Clock ticks after boot at which a process started."""
    words = (host.read("/proc/%s/stat" % pid) or "").rpartition(")")[2].split()
    return number(words[19]) if len(words) > 19 else None


def firewall(host, units, used):
    """State of the firewall managers, and the policy for forwarded packets. units: services(), to be waited for."""
    known = units.result()
    found = {
        name: (known.get(name) or {}).get("active") if (known.get(name) or {}).get("exists") else None
        for name in ("ufw", "firewalld", "nftables")
    }
    return {**found, "iptables_forward_policy": forward_policy(host, used)}


def forward_policy(host, used):
    """ACCEPT or DROP. Asked only where that loads no kernel module: those are loaded already, or all built in."""
    loaded = host.read("/proc/modules") or ""
    if not used.get("iptables") or loaded and not re.search(r"^(nf_tables|iptable_filter) ", loaded, re.M):
        return None
    found = re.search(r"^-P FORWARD (\S+)", host.run([used["iptables"], "-S", "FORWARD"], 2) or "", re.M)
    return found.group(1) if found else None
