# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One look at a machine: all parts together."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from . import cluster, disks, hardware, network, place, software, system
from .host import Host

DATA_PATHS = ("/var/lib/etcd", "/var/lib/containerd", "/var/lib/kubelet")
KUBEADM_LOCK = "/run/kubewright-kubeadm.lock"
# What a decision needs; where it is unknown the operator is told so.
NEEDED = {
    "machine_id": "/etc/machine-id is missing or empty",
    "memory.total_bytes": "/proc/meminfo tells no total memory",
    "cgroup.version": "no cgroup file system is mounted",
    "kernel.version": "the kernel's release is no version",
    "os.id": "/etc/os-release names no system",
    "dns.resolv_conf": "/etc/resolv.conf is missing",
    "network.interfaces": "the network interfaces are unknown",
}
CLUSTER = {
    "kind": None,
    "foreign": False,
    "ca_sha256": None,
    "role": None,
    "kubelet_conf": False,
    "admin_conf": False,
    "manifests": [],
    "etcd_data": False,
    "server": None,
    "cni_conf": [],
    "certificates": {},
    "live": None,
}
# What stands for a part that could not be read at all.
EMPTY = {
    "architecture": {"name": None, "raw": None, "bits": None},
    "cpus": {"count": None, "host_count": None, "limit": None},
    "memory": {"total_bytes": None, "limit_bytes": None, "usable_bytes": None, "available_bytes": None},
    "swap": {"total_bytes": None, "devices": [], "fstab": []},
    "disks": {},
    "cgroup": {"version": None, "controllers": []},
    "kernel": {"release": None, "version": None, "modules": {}, "sysctls": {}},
    "os": {"id": None, "id_like": [], "version_id": None, "name": None, "family": "other"},
    "virtualization": {"container": None, "vm": None},
    "board": {"model": None, "raspberry_pi": False, "cmdline_file": None, "cmdline": None},
    "clock": {"epoch": None, "offset_seconds": None, "synchronised": None, "source": None},
    "network": {"interfaces": [], "routes": [], "default_ipv4": None, "default_ipv6": None, "probe_source": None},
    "dns": {"resolv_conf": None, "nameservers": [], "search": [], "loopback": False},
    "ports": [],
    "commands": {},
    "security": {"selinux": None, "apparmor": None},
    "firewall": {"ufw": None, "firewalld": None, "nftables": None, "iptables_forward_policy": None},
    "installed": {},
    "services": {},
    "files": {},
    "artifacts": {},
    "cluster": CLUSTER,
}


def look(probe=None, controller_epoch=None, paths=(), data_paths=(), arrived=None, host=None):
    """Everything that node_info says.

    arrived: the time at which the question reached the machine; host: a recording instead of this machine.
    """
    host = host or Host()
    with ThreadPoolExecutor(12) as pool:
        found = _parts(host, pool, probe, controller_epoch, paths, list(data_paths) or DATA_PATHS, arrived)
    host.close()
    for path, sentence in NEEDED.items():
        part, _dot, name = path.partition(".")
        if not (found[part][name] if name else found[part]):
            host.warn(sentence)
    return {**found, "warnings": sorted(host.warnings)}


def _parts(host, pool, probe, controller_epoch, paths, data_paths, arrived):
    """The parts that wait for others (commands, the API) run beside those that only read files."""
    now, machine = arrived or host.time(), host.machine()
    boot = host.time() - uptime(host.read("/proc/uptime"))
    record, own = software.owned(host), host.read("/proc/self/cgroup")

    def part(name, function, *arguments):
        try:
            return function(*arguments)
        except Exception as error:  # one part that cannot be read must not hide the others
            host.warn("%s: %s: %s" % (name, type(error).__name__, error))
            return EMPTY.get(name)

    def units():
        return part("services", software.services, host, boot, machine["ticks"])

    units_asked = pool.submit(units)
    network_asked = pool.submit(part, "network", network.network, host, probe, pool)
    commands = part("commands", system.commands, host)
    # The cluster's kind depends on the services, its API does not: they are waited for inside.
    firewall_asked = pool.submit(lambda: part("firewall", software.firewall, host, units_asked.result(), commands))
    cluster_asked = pool.submit(lambda: part("cluster", cluster.cluster, host, record, units_asked, now, pool))
    known = part("artifacts", software.artifacts, host, record)
    installed_asked = pool.submit(part, "installed", software.installed, host, known, pool)
    found = {
        "schema": 1,
        "hostname": machine["hostname"],
        "machine_id": host.line("/etc/machine-id"),
        "product_uuid": host.line("/sys/class/dmi/id/product_uuid"),
        "architecture": part("architecture", hardware.architecture, host, machine),
        "cpus": part("cpus", hardware.cpus, host, own, machine["affinity"]),
        "memory": part("memory", hardware.memory, host, own),
        "swap": part("swap", hardware.swap, host),
        "disks": part("disks", disks.disks, host, data_paths),
        "cgroup": part("cgroup", system.cgroup, host),
        "kernel": part("kernel", system.kernel, host, machine),
        "init": system.init(host),
        "os": part("os", system.release, host),
        "virtualization": part("virtualization", place.virtualization, host),
        "board": part("board", place.board, host),
        "dns": part("dns", system.resolver, host),
        "ports": part("ports", network.ports, host),
        "usr_read_only": system.usr_read_only(host),
        "python": {"version": machine["python"], "executable": machine["executable"]},
        "commands": commands,
        **part("security", system.security, host),
        "files": part("files", software.files, host, paths, record),
        "owned": record,
        "artifacts": known,
        "busy": host.locked(KUBEADM_LOCK),
        "services": units_asked.result(),
        "network": network_asked.result(),
        "firewall": firewall_asked.result(),
        "installed": installed_asked.result(),
        "cluster": cluster_asked.result(),
    }
    return {**found, "clock": part("clock", system.clock, host, found["services"], now, controller_epoch)}


def uptime(text):
    """Seconds since the kernel started; 0 where it does not say."""
    try:
        return float((text or "0").split()[0])
    except (ValueError, IndexError):
        return 0.0
