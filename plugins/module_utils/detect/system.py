# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Operating system: cgroups, kernel, init, release, clock, resolver, security modules, programs."""

from __future__ import annotations

import os
import re
from typing import Any, List

from ..base.commands import PATH
from ..node.os_settings import MODULE_TRACES
from . import disks
from .host import Host

MODULES = (
    "overlay br_netfilter nf_conntrack vxlan ip_tables nf_tables ip_vs wireguard nft_compat ip_set xt_set xt_comment "
    "xt_conntrack xt_addrtype xt_MASQUERADE ipt_MASQUERADE xt_mark xt_nat xt_statistic"
).split()
# In bytes: the list of all modules is longer than the limit for other files.
MODULE_LIST_LIMIT = 8 << 20
SYSCTLS = (
    "net.ipv4.ip_forward net.ipv6.conf.all.forwarding net.bridge.bridge-nf-call-iptables "
    "net.bridge.bridge-nf-call-ip6tables net.ipv6.conf.default.forwarding net.ipv4.ip_nonlocal_bind net.ipv4.neigh.default.gc_thresh1 "
    "net.ipv4.neigh.default.gc_thresh2 net.ipv4.neigh.default.gc_thresh3 vm.overcommit_memory "
    "kernel.panic kernel.panic_on_oops vm.panic_on_oom kernel.keys.root_maxkeys kernel.keys.root_maxbytes "
    "fs.inotify.max_user_watches fs.inotify.max_user_instances"
).split()
COMMANDS = (
    "conntrack iptables nft ip mount socat ethtool ebtables modprobe swapoff systemctl tar haproxy keepalived "
    "nsenter ipset"
).split()

K3S_POLICY = "/usr/share/selinux/packages/k3s.pp"
FAMILIES = {
    "debian": "debian",
    "ubuntu": "debian",
    "raspbian": "debian",
    "rhel": "redhat",
    "fedora": "redhat",
    "centos": "redhat",
    "rocky": "redhat",
    "almalinux": "redhat",
    "ol": "redhat",
    "amzn": "redhat",
    "suse": "suse",
    "sles": "suse",
    "opensuse": "suse",
    "openeuler": "redhat",
    "anolis": "redhat",
    "kylin": "redhat",
    "uos": "redhat",
    "alpine": "alpine",
    "arch": "arch",
}
# Service -> the program that sets the clock. CLOCK_TRACES: files of the same programs, for machines without systemd.
CLOCKS = {
    "chrony": "chrony",
    "chronyd": "chrony",
    "systemd-timesyncd": "systemd-timesyncd",
    "ntpd": "ntpd",
    "ntp": "ntpd",
    "ntpsec": "ntpd",
    "openntpd": "openntpd",
}
CLOCK_TRACES = {
    "/run/chrony/chronyd.pid": "chrony",
    "/run/chronyd.pid": "chrony",
    "/run/ntpd.pid": "ntpd",
    "/run/openntpd.pid": "openntpd",
}
# Resolver on a loopback address -> the file with the servers behind it.
STUB_RESOLVERS = (
    ("127.0.0.53", "/run/systemd/resolve/resolv.conf"),
    ("127.0.0.54", "/run/systemd/resolve/resolv.conf"),
    ("127.0.0.1", "/run/NetworkManager/no-stub-resolv.conf"),
)


def cgroup(host: Host) -> dict[str, Any]:
    """Return {version, controllers}. version: v2 if the unified tree is the root, hybrid if it is beside v1 trees."""
    lines = [line.split() for line in (host.read("/proc/mounts") or "").splitlines()]
    table = [(words[1], words[2]) for words in lines if len(words) > 3 and words[2] in ("cgroup", "cgroup2")]
    if ("/sys/fs/cgroup", "cgroup2") in table:
        return {"version": "v2", "controllers": (host.line("/sys/fs/cgroup/cgroup.controllers") or "").split()}
    rows = [
        line.split() for line in (host.read("/proc/cgroups") or "").splitlines() if line and not line.startswith("#")
    ]
    kinds = {kind for _point, kind in table}
    version = "hybrid" if len(kinds) == 2 else "v1" if kinds == {"cgroup"} else None
    return {"version": version, "controllers": sorted(row[0] for row in rows if len(row) > 3 and row[3] == "1")}


def kernel(host: Host, machine: dict[str, Any]) -> dict[str, Any]:
    """Return {release, version, modules, sysctls}. version: [major, minor, patch]."""
    release = host.line("/proc/sys/kernel/osrelease") or machine["release"]
    found = re.match(r"([0-9]{1,9})\.([0-9]{1,9})(?:\.([0-9]{1,9}))?", release)
    values = {}
    for name in SYSCTLS:
        text = host.line("/proc/sys/" + name.replace(".", "/"))
        values[name] = " ".join(text.split()) if text is not None else None
    return {
        "release": release,
        "version": [int(part or 0) for part in found.groups()] if found else None,
        "modules": modules(host, release),
        "sysctls": values,
    }


def modules(host: Host, release: str) -> dict[str, str]:
    """Return the state of each kernel module: loaded, builtin, available, missing or unknown (no module list found)."""
    loaded = {line.split()[0] for line in (host.read("/proc/modules") or "").splitlines() if line.strip()}
    filesystems = (host.read("/proc/filesystems") or "").split()
    states = {}
    for name in MODULES:
        if name in loaded:
            states[name] = "loaded"
        elif (
            host.exists("/sys/module/" + name)
            or name in filesystems
            or any(map(host.exists, MODULE_TRACES.get(name, ())))
        ):
            states[name] = "builtin"
    place = _modules_place(host, release)
    lists: List[str | None] = (
        [host.read("%s/modules.%s" % (place, kind), MODULE_LIST_LIMIT) for kind in ("builtin", "dep")]
        if len(states) < len(MODULES)
        else []
    )
    for name in MODULES:
        states.setdefault(name, listed(name, lists))
    return states


def _modules_place(host: Host, release: str) -> str:
    places = [
        place + release
        for place in ("/lib/modules/", "/usr/lib/modules/", "/run/booted-system/kernel-modules/lib/modules/")
    ]
    return next((place for place in places if host.exists(place)), places[0])


def listed(name: str, lists: list[str | None]) -> str:
    """Return the state of a module that has no trace in the running kernel.

    lists: the texts of modules.builtin and modules.dep, None for one that is missing.
    """
    pattern = r"(?:^|/)%s\.ko" % name.replace("_", "[-_]")
    for text, state in zip(lists, ("builtin", "available")):
        if text and re.search(pattern, text, re.M):
            return state
    return "unknown" if not any(lists) else "missing"


def init(host: Host) -> str:
    """Return the init system: systemd, openrc or other."""
    if host.exists("/run/systemd/system"):
        return "systemd"
    return "openrc" if host.exists("/run/openrc") or host.exists("/sbin/openrc-run") else "other"


def release(host: Host) -> dict[str, Any]:
    """Return {id, id_like, version_id, name, family} from os-release."""
    text = host.read("/etc/os-release") or host.read("/usr/lib/os-release") or ""
    values = {key: value.strip().strip("\"'") for key, value in re.findall(r"^([A-Z_]+)=(.*)$", text, re.M)}
    like = values.get("ID_LIKE", "").split()
    # Kylin and UOS have editions of both families; ID_LIKE tells them apart.
    names = [name.lower() for name in (*like, values.get("ID", ""))]
    family = next(
        (FAMILIES[name] for name in names if name in FAMILIES),
        "suse" if values.get("ID", "").startswith(("opensuse", "sle")) else "other",
    )
    return {
        "id": values.get("ID") or None,
        "id_like": like,
        "version_id": values.get("VERSION_ID") or None,
        "name": values.get("PRETTY_NAME") or None,
        "family": family,
    }


def resolver(host: Host) -> dict[str, Any]:
    """Return {resolv_conf, nameservers, search, loopback}.

    resolv_conf: the file that names the real servers, for the kubelet.
    https://kubernetes.io/docs/tasks/administer-cluster/dns-debugging-resolution/#known-issues
    """
    path = "/etc/resolv.conf"
    servers, search = nameservers(host.read(path))
    for stub, real in STUB_RESOLVERS:
        if stub in servers and host.exists(real):
            path = real
            servers, search = nameservers(host.read(path))
            break
    loopback = any(name.startswith("127.") or name == "::1" for name in servers)
    return {
        "resolv_conf": path if host.exists(path) else None,
        "nameservers": servers,
        "search": search,
        "loopback": loopback,
    }


def nameservers(text: str | None) -> tuple[list[str], list[str]]:
    """Return (servers, search domains) of a resolv.conf. Of several search lines the last counts."""
    servers = re.findall(r"^[ \t]*nameserver[ \t]+(\S+)", text or "", re.M)
    lines = re.findall(r"^[ \t]*(?:search|domain)[ \t]+(.+)$", text or "", re.M)
    return servers, lines[-1].split() if lines else []


def clock(host: Host, services: dict[str, Any], now: float, reference: float | None) -> dict[str, Any]:
    """Return {epoch, offset_seconds, synchronised, source}. reference: the controller's time in seconds since 1970."""
    source = next(
        (label for unit, label in CLOCKS.items() if (services.get(unit) or {}).get("active") == "active"), None
    )
    source = source or next((label for path, label in CLOCK_TRACES.items() if host.exists(path)), None)
    unsynchronised = host.unsynchronised()
    synchronised = host.exists("/run/systemd/timesync/synchronized") or (
        None if unsynchronised is None else not unsynchronised
    )
    return {
        "epoch": now,
        "offset_seconds": None if reference is None else round(now - reference, 3),
        "synchronised": synchronised,
        "source": source,
    }


def security(host: Host) -> dict[str, Any]:
    """Return {selinux, selinux_k3s, selinux_haproxy, apparmor}.

    The policy of K3s is looked for only if SELinux enforces, at the path that upstream's script uses (setup_selinux).
    selinux_haproxy: the boolean haproxy_connect_any, None if the policy has none.
    """
    enforce = host.line("/sys/fs/selinux/enforce")
    unreadable = None if host.exists("/sys/fs/selinux/enforce") else "disabled"
    selinux = {"1": "enforcing", "0": "permissive"}.get(enforce or "", unreadable)
    policy = host.exists(K3S_POLICY) if selinux == "enforcing" else None
    # The current value and the pending one: "1 1".
    boolean = (host.line("/sys/fs/selinux/booleans/haproxy_connect_any") or "")[:1]
    apparmor = host.line("/sys/module/apparmor/parameters/enabled") == "Y"
    return {
        "selinux": selinux,
        "selinux_k3s": policy,
        "selinux_haproxy": {"1": True, "0": False}.get(boolean),
        "apparmor": apparmor,
    }


def usr_read_only(host: Host) -> bool:
    """Return True if /usr is on a file system that is mounted read-only, whoever asks."""
    return "ro" in disks.mount_of(disks.mounts(host.read("/proc/mounts")), host.real("/usr"))[3]


def commands(host: Host) -> dict[str, str | None]:
    """Return the path of each program that Kubernetes calls on a node, None for one that is missing."""
    return {
        name: next(
            (path for path in (os.path.join(place, name) for place in PATH.split(":")) if host.exists(path)), None
        )
        for name in COMMANDS
    }
