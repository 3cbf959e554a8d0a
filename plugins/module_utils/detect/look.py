# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One look at a machine: all parts together."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from . import cluster, disks, hardware, network, software, system, virtualization as place
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
    "made_by": None,
    "ca_sha256": None,
    "role": None,
    "kubelet_conf": False,
    "admin_conf": False,
    "manifests": [],
    "etcd_data": False,
    "server": None,
    "cluster_init": False,
    "data_dir": None,
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
    "gpus": [],
    "cgroup": {"version": None, "controllers": []},
    "kernel": {"release": None, "version": None, "modules": {}, "sysctls": {}},
    "os": {"id": None, "id_like": [], "version_id": None, "name": None, "family": "other"},
    "virtualization": {"container": None, "vm": None},
    "board": {"model": None, "raspberry_pi": False, **dict.fromkeys(("cmdline_file", "cmdline_next", "cmdline", "boot", "journal"))},
    "clock": {"epoch": None, "offset_seconds": None, "synchronised": None, "source": None},
    "network": {"interfaces": [], "routes": [], "default_ipv4": None, "default_ipv6": None, "probe_source": None},
    "dns": {"resolv_conf": None, "nameservers": [], "search": [], "loopback": False},
    "ports": [],
    "commands": {},
    "security": {"selinux": None, "selinux_k3s": None, "apparmor": None},
    "firewall": {"ufw": None, "firewalld": None, "nftables": None, "iptables_forward_policy": None},
    "installed": {},
    "services": {},
    "files": {},
    "artifacts": {},
    "cluster": CLUSTER,
}


def look(probe=None, controller_epoch=None, paths=(), data_paths=(), arrived=None, host=None, reach=(), programs=None):
    """Everything that node_info says.

    arrived: the time at which the question reached the machine; host: a recording instead of this machine; reach: ["host:port"] to connect to;
    programs: {name: path} of those that may be elsewhere than usual.
    """
    host = host or Host()
    with ThreadPoolExecutor(12) as pool:
        tried = {target: pool.submit(host.reach, target) for target in reach}
        found = _parts(host, pool, probe, controller_epoch, paths, list(data_paths) or DATA_PATHS, arrived, programs)
        found["reach"] = {target: answer.result() for target, answer in tried.items()}
    host.close()
    for path, sentence in NEEDED.items():
        part, _dot, name = path.partition(".")
        if not (found[part][name] if name else found[part]):
            host.warn(sentence)
    return {**found, "warnings": sorted(host.warnings)}


class Look:
    """One look: the host, and how a part is made so that it alone fails."""

    def __init__(self, host, pool):
        self.host, self.pool = host, pool
        self.machine = host.machine()
        self.record = software.owned(host)

    def part(self, name, function, *arguments):
        """What a function says of the host; where it fails, what stands for nothing known, and a warning."""
        try:
            return function(self.host, *arguments)
        except Exception as error:  # one part that cannot be read must not hide the others
            self.host.warn("%s: %s: %s" % (name, type(error).__name__, error))
            return EMPTY[name]

    def later(self, name, function, *arguments):
        """The same, beside what goes on meanwhile."""
        return self.pool.submit(self.part, name, function, *arguments)


def _parts(host, pool, probe, controller_epoch, paths, data_paths, arrived, places):
    """The parts that wait for others (commands, the API) run beside those that only read files."""
    now = arrived or host.time()
    boot = host.time() - uptime(host.read("/proc/uptime"))
    one = Look(host, pool)
    units = one.later("services", software.services, boot, one.machine["ticks"])
    net = one.later("network", network.network, probe, pool)
    member = one.later("cluster", cluster.cluster, one.record, units, now, pool)
    commands = one.part("commands", system.commands)
    walls = one.later("firewall", software.firewall, units, commands)
    known = one.part("artifacts", software.artifacts, one.record)
    programs = one.later("installed", software.installed, known, pool, one.record, places)
    found = {
        **_from_files(one, data_paths),
        "commands": commands,
        "files": one.part("files", software.files, paths, one.record),
        "owned": one.record,
        "artifacts": known,
        "busy": host.locked(KUBEADM_LOCK),
        "services": units.result(),
        "network": net.result(),
        "firewall": walls.result(),
        "installed": programs.result(),
        "cluster": member.result(),
    }
    return {**found, "clock": one.part("clock", system.clock, found["services"], now, controller_epoch)}


def _from_files(one, data_paths):
    """The parts that only read files."""
    host, machine, own = one.host, one.machine, one.host.read("/proc/self/cgroup")
    return {
        "schema": 1,
        "hostname": machine["hostname"],
        "machine_id": host.line("/etc/machine-id"),
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
        "virtualization": one.part("virtualization", place.virtualization),
        "board": one.part("board", place.board),
        "dns": one.part("dns", system.resolver),
        "ports": one.part("ports", network.ports),
        "usr_read_only": system.usr_read_only(host),
        "python": {"version": machine["python"], "executable": machine["executable"]},
        **one.part("security", system.security),
    }


def uptime(text):
    """Seconds since the kernel started; 0 where it does not say."""
    try:
        return float((text or "0").split()[0])
    except (ValueError, IndexError):
        return 0.0
