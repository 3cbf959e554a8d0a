# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is installed: programs and their versions, services, and the files and programs that the collection manages."""

from __future__ import annotations

import calendar
import os
import re
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Dict, Iterable, List

from ..node import haproxy, paths
from ..node.ownership import Record, parsed
from .host import Host, number

SERVICES = (
    "containerd kubelet kube-endpoint kube-endpoint-vip kube-bridge docker crio k3s k3s-agent haproxy keepalived "
    "chrony chronyd systemd-timesyncd ntpd systemd-resolved firewalld ufw nftables"
).split()
# Program -> the arguments that print its version, and the pattern that finds it in the output.
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


def endpoint_drained(host: Host) -> List[str]:
    """Return the control planes that a killed run left out of this node's API endpoint."""
    if not host.exists(haproxy.SOCKET):
        return []
    try:
        return sorted({server.name for server in haproxy.servers() if server.drained})
    except OSError:  # it does not run, so it does without none
        return []


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


def entries(record: Record | None, name: str) -> dict[str, dict[str, Any]]:
    """Return a part of the ownership record as {path: entry}. Values that are not maps count as empty."""
    found = (record or {}).get(name)
    return (
        {path: entry if isinstance(entry, dict) else {} for path, entry in found.items()}
        if isinstance(found, dict)
        else {}
    )


def artifacts(host: Host, record: Record | None) -> dict[str, dict[str, Any]]:
    """Return the programs that the collection installed by path, and whether each is unchanged since (`intact`)."""
    found = {}
    for path, entry in entries(record, "artifacts").items():
        info = host.stat(path)
        intact = (
            info is not None
            and info["size"] == entry.get("size")
            and (info["mtime_ns"] == entry.get("mtime_ns") or host.digest(path) == entry.get("sha256"))
        )
        found[path] = {
            "version": entry.get("version"),
            "sha256": entry.get("sha256"),
            "source": entry.get("source"),
            "mtime": info["mtime"] if info else None,
            "intact": intact,
        }
    return found


def files(host: Host, paths: Iterable[str], record: Record | None) -> dict[str, dict[str, Any] | None]:
    """Return {sha256, mode, size, mtime, owned} by path, of managed files and of `paths`; None: it does not exist."""
    managed = entries(record, "files")
    return {path: _file(host, path, path in managed) for path in sorted(set(paths) | set(managed))}


def _file(host: Host, path: str, managed: bool) -> dict[str, Any] | None:
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


def occupied(host: Host, places: Iterable[str]) -> dict[str, list[str]]:
    """Return the names in each directory that is not empty."""
    found = {path: [name for name in host.names(path) or [] if name != "lost+found"] for path in places}
    return {path: names for path, names in found.items() if names}


def installed(
    host: Host,
    known: dict[str, dict[str, Any]],
    pool: ThreadPoolExecutor,
    record: Record | None = None,
    places: dict[str, str] | None = None,
) -> dict[str, dict[str, Any] | None]:
    """Return {path, version} of each program by name, or None if it is not installed.

    known: artifacts(), whose versions are recorded. Links of ours (K3s under another name) are not asked either.
    places: {name: path} of programs that may be elsewhere than usual; these paths come first.
    """
    links = entries(record, "files")
    found: Dict[str, Dict[str, Any] | None] = {}
    asked: Dict[str, Future[Any]] = {}
    for name, (arguments, _pattern) in PROGRAMS.items():
        usual = [os.path.join(place, name) for place in PLACES]
        first = [places[name]] if places and name in places else []
        path = next((path for path in first + usual if host.exists(path)), None)
        if path is None:
            found[name] = None
            continue
        entry = known.get(path) or {}
        recorded = entry["version"] if entry.get("intact") and entry.get("version") else None
        found[name] = {"path": path, "version": recorded}
        if not recorded and path not in links:
            asked[name] = pool.submit(host.run, [path, *arguments], 2)
    for name, answer in asked.items():
        found[name] = {**(found[name] or {}), "version": version(name, answer.result())}
    return found


def version(name: str, output: str | None) -> str | None:
    """Return the version in the output of a program, or None."""
    found = re.search(PROGRAMS[name][1], output or "")
    return found.group(1) if found else None


def services(host: Host, boot_epoch: float, ticks: int) -> dict[str, dict[str, Any]]:
    """Return {exists, active, enabled, started_epoch, newest_process_epoch, restarts} by service.

    boot_epoch: seconds since 1970. ticks: clock ticks a second. systemd is asked for all services in one call.
    """
    if not host.exists("/run/systemd/system"):
        return {name: _openrc(host, name, boot_epoch, ticks) for name in SERVICES}
    wanted = "LoadState,ActiveState,UnitFileState,MainPID,ControlGroup,NRestarts,"
    wanted += "ExecMainStartTimestamp,ExecMainStartTimestampMonotonic"
    output = host.run(["systemctl", "show", "-p", "Id," + wanted] + [name + ".service" for name in SERVICES])
    blocks = [_block(text) for text in (output or "").strip().split("\n\n")]
    if len(blocks) != len(SERVICES):
        host.warn("systemctl does not report the states of the services")
        blocks = [{}] * len(SERVICES)
    found = {name: _service(host, block, boot_epoch, ticks) for name, block in zip(SERVICES, blocks)}
    return {**found, **_timer(host, boot_epoch, ticks)}


def _timer(host: Host, boot_epoch: float, ticks: int) -> dict[str, dict[str, Any]]:
    """Return the state of the timer of scheduled backups by its name, {} where there is none."""
    name = paths.BACKUP_TIMER
    if not any(host.exists(path) for path in paths.BACKUP_UNITS):
        return {}
    wanted = "LoadState,ActiveState,UnitFileState,ActiveEnterTimestamp,ActiveEnterTimestampMonotonic"
    values = _block(host.run(["systemctl", "show", "-p", wanted, name]) or "")
    # A timer has no process; it is as old as its state.
    same = {key.replace("ActiveEnter", "ExecMainStart"): value for key, value in values.items()}
    return {name: _service(host, same, boot_epoch, ticks)}


def _block(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def _service(host: Host, values: dict[str, str], boot_epoch: float, ticks: int) -> dict[str, Any]:
    running = values.get("ActiveState") == "active"
    return {
        "exists": values.get("LoadState") in ("loaded", "masked"),
        "active": values.get("ActiveState", "inactive"),
        "enabled": values.get("UnitFileState") or None,
        "started_epoch": _started(host, values, boot_epoch, ticks) if running else None,
        "newest_process_epoch": _newest(host, values.get("ControlGroup"), values.get("MainPID"), boot_epoch, ticks)
        if running
        else None,
        "restarts": number(values.get("NRestarts")) or 0,
    }


def _started(host: Host, values: dict[str, str], boot_epoch: float, ticks: int) -> float | None:
    """Return when a service started, by the clock that is the latest: a service must not look older than its files.

    systemd's monotonic time stands still while the machine sleeps, the process's own does not (proc_pid_stat(5)). Both
    count from a boot that moves when the clock is set back; systemd's other time is what the clock said at the start.
    """
    monotonic = number(values.get("ExecMainStartTimestampMonotonic"))
    process = _start(host, values.get("MainPID") or "0")
    known = [boot_epoch + monotonic / 1e6] if monotonic else []
    known += [boot_epoch + process / ticks] if process is not None else []
    said = re.search(r"(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d) UTC", values.get("ExecMainStartTimestamp") or "")
    known += [float(calendar.timegm(tuple(map(int, said.groups()))))] if said else []
    return max(known) if known else None


def _openrc(host: Host, name: str, boot_epoch: float, ticks: int) -> dict[str, Any]:
    """Return the same for OpenRC. Its states are links in directories; what supervise-daemon knows is in files."""
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


def _newest(host: Host, group: str | None, main_pid: str | None, boot_epoch: float, ticks: int) -> float | None:
    """Return the start of the newest process of a service: a reload that starts a new worker shows here."""
    pids: List[str] = []
    for root in ("/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"):
        pids = (host.read("%s%s/cgroup.procs" % (root, group)) or "").split() if group else []
        if pids:
            break
    starts = [start for start in (_start(host, pid) for pid in pids or [main_pid or "0"]) if start is not None]
    return boot_epoch + max(starts) / ticks if starts else None


def _start(host: Host, pid: str) -> int | None:
    """Return the start of a process in clock ticks after boot, or None."""
    words = (host.read("/proc/%s/stat" % pid) or "").rpartition(")")[2].split()
    return number(words[19]) if len(words) > 19 else None


def firewall(host: Host, units: Future[Any], used: dict[str, str | None]) -> dict[str, str | None]:
    """Return the state of the firewall managers, and the policy for forwarded packets.

    units: the future result of services(). used: {program: path}.
    """
    known = units.result()
    found = {
        name: (known.get(name) or {}).get("active") if (known.get(name) or {}).get("exists") else None
        for name in ("ufw", "firewalld", "nftables")
    }
    return {**found, "iptables_forward_policy": forward_policy(host, used)}


def forward_policy(host: Host, used: dict[str, str | None]) -> str | None:
    """Return ACCEPT or DROP, or None if it is unknown.

    iptables is run only if that does not load a kernel module: its modules are loaded already, or all are built in.
    """
    loaded = host.read("/proc/modules") or ""
    iptables = used.get("iptables")
    if not iptables or loaded and not re.search(r"^(nf_tables|iptable_filter) ", loaded, re.M):
        return None
    found = re.search(r"^-P FORWARD (\S+)", host.run([iptables, "-S", "FORWARD"], 2) or "", re.M)
    return found.group(1) if found else None
