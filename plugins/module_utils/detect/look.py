# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One look at a machine: all parts together. Standard library only."""

from __future__ import annotations

import os
import pwd
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Callable, Dict, Sequence

from ..node import data_places, paths
from . import cluster, disks, hardware, network, software, system, virtualization
from .host import Host

Facts = Dict[str, Any]
# Facts that the plan needs, and the warning if one is unknown.
NEEDED = {
    "machine_id": "/etc/machine-id is missing or empty",
    "memory.total_bytes": "/proc/meminfo has no total memory",
    "cgroup.version": "no cgroup file system is mounted",
    "kernel.version": "the kernel's release is not a version",
    "os.id": "/etc/os-release does not name the operating system",
    "dns.resolv_conf": "/etc/resolv.conf is missing",
    "network.interfaces": "the network interfaces are unknown",
}
CLUSTER: Facts = {
    "kind": None,
    "foreign": False,
    "made_by": None,
    "ca_sha256": None,
    "role": None,
    "kubelet_conf": False,
    "admin_conf": False,
    "manifests": [],
    "etcd_data": False,
    "server": None,
    "finished": False,
    "cluster_init": False,
    "node_ips": [],
    "kubelet_args": {},
    "proxy_mode": None,
    "database": None,
    "data_dir": None,
    "node_name": None,
    "cni_conf": [],
    "certificates": {},
    "renewal": None,
    "admin_sha256": None,
    "live": None,
}
# The value of a part that could not be read.
EMPTY: Facts = {
    "architecture": {"name": None, "raw": None, "bits": None},
    "cpus": {"count": None, "host_count": None, "limit": None},
    "memory": {"total_bytes": None, "limit_bytes": None, "usable_bytes": None, "available_bytes": None},
    "swap": {"total_bytes": None, "devices": [], "fstab": []},
    "disks": {},
    "gpus": [],
    "cgroup": {"version": None, "controllers": []},
    "kernel": {"release": None, "version": None, "modules": {}, "sysctls": {}},
    "os": {"id": None, "id_like": [], "version_id": None, "name": None, "family": "other"},
    "virtualization": {"container": None, "vm": None},
    "board": {
        "model": None,
        "raspberry_pi": False,
        "cmdline_file": None,
        "cmdline_next": None,
        "cmdline": None,
        "boot": None,
        "journal": None,
    },
    "clock": {"epoch": None, "offset_seconds": None, "synchronised": None, "source": None},
    "network": {
        "interfaces": [],
        "routes": [],
        "default_ipv4": None,
        "default_ipv6": None,
        "probe_source": None,
        "sources": {},
    },
    "dns": {"resolv_conf": None, "nameservers": [], "search": [], "loopback": False},
    "ports": [],
    "commands": {},
    "security": {"selinux": None, "selinux_k3s": None, "selinux_haproxy": None, "apparmor": None},
    "firewall": {"ufw": None, "firewalld": None, "nftables": None, "iptables_forward_policy": None},
    "installed": {},
    "services": {},
    "files": {},
    "artifacts": {},
    "occupied": {},
    "endpoint_drained": [],
    "cluster": CLUSTER,
}


def look(
    probes: Sequence[str] = (),
    controller_epoch: float | None = None,
    wanted_paths: Sequence[str] = (),
    data_paths: Sequence[str] = (),
    arrived: float | None = None,
    host: Host | None = None,
    reach: Sequence[str] = (),
    programs: dict[str, str] | None = None,
) -> Facts:
    """Return everything that node_info returns.

    arrived: the time at which the request reached the machine, in seconds since 1970. host: a recording in place of
    this machine. reach: ["host:port"] to connect to. programs: {name: path} of programs in unusual places.
    """
    host = host or Host()
    data_paths = list(data_paths) or paths.DATA_BY_DISTRIBUTION["kubeadm"]
    with ThreadPoolExecutor(12) as pool:
        tried = {target: pool.submit(host.reach, target) for target in reach}
        found = _parts(Look(host, pool), probes, controller_epoch, wanted_paths, data_paths, arrived, programs)
        found["reach"] = {target: answer.result() for target, answer in tried.items()}
    host.close()
    for path, sentence in NEEDED.items():
        part, _dot, name = path.partition(".")
        if not (found[part][name] if name else found[part]):
            host.warn(sentence)
    return {**found, "warnings": sorted(host.warnings)}


class Look:
    """One run of node_info: the host, and parts that fail independently of each other."""

    def __init__(self, host: Host, pool: ThreadPoolExecutor | None) -> None:
        self.host, self.pool = host, pool
        # Parts that could not be read, and why. What they hold is unknown, not absent.
        self.failed: Dict[str, str] = {}
        self.machine = host.machine()
        try:
            self.record = software.owned(host)
        except ValueError as error:
            self.record = None
            self.failed["owned"] = str(error)

    def part(self, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return what a function finds on the host. If it fails: an empty part, a warning and an entry in `failed`."""
        try:
            return function(self.host, *arguments)
        except Exception as error:  # a part that cannot be read must not hide the others
            self.failed[name] = "%s: %s" % (type(error).__name__, error)
            self.host.warn("%s: %s" % (name, self.failed[name]))
            return EMPTY[name]

    def later(self, name: str, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Start to find a part while others are found."""
        if self.pool is None:
            raise AssertionError("this needs a thread pool")
        return self.pool.submit(self.part, name, function, *arguments)


def _parts(
    one: Look,
    probes: Sequence[str],
    controller_epoch: float | None,
    wanted_paths: Sequence[str],
    data_paths: Sequence[str],
    arrived: float | None,
    programs: dict[str, str] | None,
) -> Facts:
    """Return all parts. Those that wait for commands or the API run while others only read files."""
    host, pool = one.host, one.pool
    now = arrived or host.time()
    boot = host.time() - uptime(host.read("/proc/uptime"))
    units = one.later("services", software.services, boot, one.machine["ticks"])
    interfaces = one.later("network", network.network, probes, pool)
    member = one.later("cluster", cluster.cluster, one.record, units, now, pool)
    commands = one.part("commands", system.commands)
    firewall = one.later("firewall", software.firewall, units, commands)
    known = one.part("artifacts", software.artifacts, one.record)
    installed = one.later("installed", software.installed, known, pool, one.record, programs)
    found = {
        **_from_files(one, data_paths),
        "commands": commands,
        "files": one.part("files", software.files, wanted_paths, one.record),
        "owned": one.record,
        "occupied": one.part("occupied", software.occupied, dict.fromkeys([*data_places.SHARED, *data_paths])),
        "endpoint_drained": one.part("endpoint_drained", software.endpoint_drained),
        "artifacts": known,
        "busy": host.locked(paths.KUBEADM_LOCK),
        "services": units.result(),
        "network": interfaces.result(),
        "firewall": firewall.result(),
        "installed": installed.result(),
        "cluster": member.result(),
    }
    sysctls = {**found["kernel"]["sysctls"], **network.accept_ra(host, found["network"])}
    found["kernel"] = {**found["kernel"], "sysctls": sysctls}
    found["clock"] = one.part("clock", system.clock, found["services"], now, controller_epoch)
    return {**found, "failed_parts": dict(sorted(one.failed.items()))}


def _from_files(one: Look, data_paths: Sequence[str]) -> Facts:
    """Return the parts that only read files."""
    host, machine, own = one.host, one.machine, one.host.read("/proc/self/cgroup")
    return {
        "schema": 1,
        "hostname": machine["hostname"],
        "machine_id": host.line("/etc/machine-id"),
        "boot_id": host.line("/proc/sys/kernel/random/boot_id"),
        "product_uuid": host.line("/sys/class/dmi/id/product_uuid"),
        "architecture": one.part("architecture", hardware.architecture, machine),
        "cpus": one.part("cpus", hardware.cpus, own, machine["affinity"]),
        "memory": one.part("memory", hardware.memory, own),
        "swap": one.part("swap", hardware.swap),
        "disks": one.part("disks", disks.disks, data_paths),
        "gpus": one.part("gpus", hardware.gpus),
        "cgroup": one.part("cgroup", system.cgroup),
        "kernel": one.part("kernel", system.kernel, machine),
        "init": system.init(host),
        "os": one.part("os", system.release),
        "virtualization": one.part("virtualization", virtualization.virtualization),
        "board": one.part("board", virtualization.board),
        "dns": one.part("dns", system.resolver),
        "ports": one.part("ports", network.ports),
        "usr_read_only": system.usr_read_only(host),
        "python": {"version": machine["python"], "executable": machine["executable"]},
        "user": user(),
        **one.part("security", system.security),
    }


def user() -> Dict[str, Any]:
    """Return {uid, name} of the user that this look runs as."""
    uid = os.geteuid()
    try:
        return {"uid": uid, "name": pwd.getpwuid(uid).pw_name}
    except KeyError:
        return {"uid": uid, "name": str(uid)}


def uptime(text: str | None) -> float:
    """Return the seconds since the kernel started, 0 if they are unknown."""
    try:
        return float((text or "0").split()[0])
    except (ValueError, IndexError):
        return 0.0
