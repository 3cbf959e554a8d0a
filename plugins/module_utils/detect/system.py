# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Operating system: cgroups, kernel, init, release, clock, resolver, security modules, programs."""

from __future__ import annotations

import os
import re

from .host import PATH

MODULES = ("overlay", "br_netfilter", "nf_conntrack", "vxlan", "ip_tables", "nf_tables", "ip_vs", "wireguard")
TRACES = {
    "br_netfilter": "/proc/sys/net/bridge/bridge-nf-call-iptables",
    "nf_conntrack": "/proc/sys/net/netfilter/nf_conntrack_max",
    "ip_tables": "/proc/net/ip_tables_names",
    "ip_vs": "/proc/net/ip_vs",
}
SYSCTLS = (
    "net.ipv4.ip_forward net.ipv6.conf.all.forwarding net.bridge.bridge-nf-call-iptables net.bridge.bridge-nf-call-ip6tables net.ipv4.ip_nonlocal_bind "
    "net.ipv4.neigh.default.gc_thresh1 net.ipv4.neigh.default.gc_thresh2 net.ipv4.neigh.default.gc_thresh3 vm.overcommit_memory kernel.panic kernel.panic_on_oops "
    "vm.panic_on_oom kernel.keys.root_maxkeys kernel.keys.root_maxbytes fs.inotify.max_user_watches fs.inotify.max_user_instances"
).split()
COMMANDS = "conntrack iptables nft ip mount socat ethtool ebtables modprobe swapoff systemctl tar haproxy keepalived nsenter ipset".split()


def cgroup(host):
    """{version, controllers}: v2 where the unified tree is the root, hybrid where it hangs beside v1 trees."""
    table = [(words[1], words[2]) for words in (line.split() for line in (host.read("/proc/mounts") or "").splitlines()) if len(words) > 3 and words[2].startswith("cgroup")]
    if ("/sys/fs/cgroup", "cgroup2") in table:
        return {"version": "v2", "controllers": (host.line("/sys/fs/cgroup/cgroup.controllers") or "").split()}
    rows = [line.split() for line in (host.read("/proc/cgroups") or "").splitlines() if line and not line.startswith("#")]
    version = "hybrid" if any(kind == "cgroup2" for _point, kind in table) else "v1"
    return {"version": version, "controllers": sorted(row[0] for row in rows if len(row) > 3 and row[3] == "1")}


def kernel(host):
    """{release, version, modules, sysctls, features}."""
    release = host.line("/proc/sys/kernel/osrelease") or ""
    found = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", release)
    values = {}
    for name in SYSCTLS:
        text = host.line("/proc/sys/" + name.replace(".", "/"))
        values[name] = " ".join(text.split()) if text is not None else None
    return {"release": release, "version": [int(part or 0) for part in found.groups()] if found else None, "modules": modules(host, release), "sysctls": values}


def modules(host, release):
    """By name loaded, builtin, available, missing or unknown (no list of modules to look in)."""
    loaded = {line.split()[0] for line in (host.read("/proc/modules") or "").splitlines() if line.strip()}
    filesystems = (host.read("/proc/filesystems") or "").split()
    builtin, available = host.read("/lib/modules/%s/modules.builtin" % release), host.read("/lib/modules/%s/modules.dep" % release)
    result = {}
    for name in MODULES:
        pattern = r"(?:^|/)%s\.ko" % name.replace("_", "[-_]")
        if name in loaded:
            result[name] = "loaded"
        elif host.exists("/sys/module/" + name) or name in filesystems or (name in TRACES and host.exists(TRACES[name])) or (builtin and re.search(pattern, builtin, re.M)):
            result[name] = "builtin"
        elif available is None and builtin is None:
            result[name] = "unknown"
        else:
            result[name] = "available" if available and re.search(pattern, available, re.M) else "missing"
    return result


def init(host):
    """systemd, openrc or other."""
    if host.exists("/run/systemd/system"):
        return "systemd"
    return "openrc" if host.exists("/run/openrc") or host.exists("/sbin/openrc-run") else "other"


def release(host):
    """{id, id_like, version_id, name, family} from os-release."""
    text = host.read("/etc/os-release") or host.read("/usr/lib/os-release") or ""
    values = {key: value.strip("\"'") for key, value in re.findall(r"^([A-Z_]+)=(.*)$", text, re.M)}
    like = values.get("ID_LIKE", "").split()
    families = {
        "debian": "debian", "ubuntu": "debian", "raspbian": "debian", "rhel": "redhat", "fedora": "redhat", "centos": "redhat", "rocky": "redhat", "almalinux": "redhat",
        "suse": "suse", "sles": "suse", "opensuse": "suse", "alpine": "alpine", "arch": "arch",
    }  # fmt: skip
    family = next((families[name] for name in [values.get("ID", "")] + like if name in families), "suse" if values.get("ID", "").startswith("opensuse") else "other")
    return {"id": values.get("ID"), "id_like": like, "version_id": values.get("VERSION_ID"), "name": values.get("PRETTY_NAME"), "family": family}


def resolver(host):
    """{resolv_conf, nameservers, search, loopback}: the file with the real servers, for the kubelet.

    https://kubernetes.io/docs/tasks/administer-cluster/dns-debugging-resolution/#known-issues
    """
    path = "/etc/resolv.conf"
    servers, search = _resolv(host.read(path))
    if "127.0.0.53" in servers and host.exists("/run/systemd/resolve/resolv.conf"):
        path = "/run/systemd/resolve/resolv.conf"
        servers, search = _resolv(host.read(path))
    return {"resolv_conf": path if host.exists(path) else None, "nameservers": servers, "search": search, "loopback": any(name.startswith("127.") or name == "::1" for name in servers)}


def _resolv(text):
    servers = re.findall(r"^\s*nameserver\s+(\S+)", text or "", re.M)
    return servers, [name for line in re.findall(r"^\s*search\s+(.+)$", text or "", re.M) for name in line.split()]


def clock(host, services, now, reference, unsynchronised):
    """{epoch, offset_seconds, synchronised, source}.

    reference: the controller's time, or None. unsynchronised: what the kernel says (STA_UNSYNC), or None.
    """
    names = {"chrony": "chrony", "chronyd": "chrony", "systemd-timesyncd": "systemd-timesyncd", "ntpd": "ntpd", "ntp": "ntpd", "openntpd": "openntpd"}
    source = next((label for unit, label in names.items() if (services.get(unit) or {}).get("active") == "active"), None)
    synchronised = host.exists("/run/systemd/timesync/synchronized") or (None if unsynchronised is None else not unsynchronised)
    return {"epoch": now, "offset_seconds": None if reference is None else round(now - reference, 3), "synchronised": synchronised, "source": source}


def security(host):
    """{selinux, apparmor}."""
    enforce = host.line("/sys/fs/selinux/enforce")
    selinux = {"1": "enforcing", "0": "permissive"}.get(enforce, "disabled")
    return {"selinux": selinux, "apparmor": host.line("/sys/module/apparmor/parameters/enabled") == "Y"}


def commands(host):
    """Path of each program that Kubernetes calls on a node, or None."""
    return {name: next((path for path in (os.path.join(place, name) for place in PATH.split(":")) if host.exists(path)), None) for name in COMMANDS}
