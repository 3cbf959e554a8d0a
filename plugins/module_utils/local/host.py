# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the host allows, and the engine's arguments for a node that follow from it.

Only the functions at the end that read the host have side effects.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import shutil
import socket
import struct
from typing import Any, Callable, Dict

from ..base.commands import Result
from ..base.text_files import read_text
from .nodes import (
    ADDRESS_LABEL,
    CLUSTER_LABEL,
    GROUPS_LABEL,
    NETWORK_LABEL,
    SPEC_LABEL,
    LocalError,
    Node,
    mac_of,
    port_argument,
    spec_of,
)

# The host's facts: read_host and engine_facts together.
Host = Dict[str, Any]

CAP_SYS_RESOURCE = 24
PROGRAMS = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
# What Podman asks for by default; a host may not allow it.
PODMAN_LIMITS = {"nofile": 1048576, "nproc": 4194304}
# Overlay file systems do not stack, and etcd is faster without one.
VOLUMES = ("/var/lib/containerd", "/var/lib/kubelet", "/var/lib/etcd", "/var/lib/rancher")


def cgroup_version(mounts: str) -> str:
    """Return v1, v2 or hybrid, by the text of /proc/mounts."""
    kinds = {fields[1]: fields[2] for fields in (line.split() for line in mounts.splitlines()) if len(fields) > 2}
    if kinds.get("/sys/fs/cgroup") == "cgroup2":
        return "v2"
    unified = any(kind == "cgroup2" and path.startswith("/sys/fs/cgroup/") for path, kind in kinds.items())
    return "hybrid" if unified else "v1"


def has_capability(status: str, number: int) -> bool:
    """Return True if the process has a capability, by the text of /proc/self/status."""
    match = re.search(r"^CapEff:\s*([0-9a-f]+)", status, re.MULTILINE)
    return bool(match and int(match[1], 16) >> number & 1)


def ipv4_routes(table: str) -> list[str]:
    """Return the networks of all but the default routes, by the text of /proc/net/route."""
    networks = []
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 8 or fields[1] == "00000000":
            continue
        address, mask = (socket.inet_ntoa(struct.pack("<L", int(fields[column], 16))) for column in (1, 7))
        networks.append(str(ipaddress.ip_network(f"{address}/{mask}", strict=False)))
    return networks


def engine_facts(name: str, info: dict[str, Any]) -> Host:
    """Return {engine, version, rootless, runtime} of the output of `podman info` or `docker info`."""
    if "host" in info:
        host = info["host"]
        return {
            "engine": "podman",
            "version": info.get("version", {}).get("Version"),
            "rootless": bool(host.get("security", {}).get("rootless")),
            "runtime": host.get("ociRuntime", {}).get("name"),
        }
    options = info.get("SecurityOptions") or []
    return {
        "engine": name,
        "version": info.get("ServerVersion"),
        "rootless": any("rootless" in option or "userns" in option for option in options),
        "runtime": info.get("DefaultRuntime"),
    }


def refusals(host: Host) -> list[str]:
    """Return why nodes cannot run here."""
    found = []
    if host["rootless"]:
        found.append(
            f"{host['engine']} does not run as the host's root here: a node needs the kernel's settings, real devices"
            " and an address that this machine can reach. Run the playbook as root (sudo), or use a Docker daemon that"
            " runs as root."
        )
    if global_arguments(host) and "runc" not in host["runtimes"]:
        found.append(f"{host['runtime']} does not run with cgroups in hybrid mode, which this host has: install runc.")
    return found


def global_arguments(host: Host) -> list[str]:
    """Return arguments before the engine's command: another OCI runtime if the engine's own does not work."""
    if host["engine"] == "podman" and host["cgroup"] == "hybrid" and host["runtime"] != "runc":
        return ["--runtime", "runc"]
    return []


def init_arguments(host: Host) -> list[str]:
    """Return the arguments that make systemd the first process."""
    if host["engine"] == "podman" and host["cgroup"] == "v2":
        return ["--systemd=always"]
    # On cgroup v1 Podman's systemd mode shares the host's named hierarchy among all containers: a node that starts
    # removes the groups of the others. So each gets its own namespace, and what systemd needs is set here.
    arguments = ["--cgroupns=private", "--env", f"container={host['engine']}", "--stop-signal", "SIGRTMIN+3"]
    if host["engine"] == "podman":
        arguments.insert(1, "--systemd=false")
    for path in ("/run", "/run/lock", "/tmp"):
        arguments += ["--tmpfs", f"{path}:exec"]
    return arguments


def limit_arguments(host: Host) -> list[str]:
    """Return the hard limits if Podman would ask for more, which a host without CAP_SYS_RESOURCE cannot give."""
    if host["engine"] != "podman" or host["raises_limits"]:
        return []
    arguments = []
    for name, default in sorted(PODMAN_LIMITS.items()):
        hard = host["limits"][name]
        if 0 <= hard < default:
            arguments += ["--ulimit", f"{name}={hard}:{hard}"]
    return arguments


def network_arguments(host: Host, network: str, address: str, resolv_conf: str | None) -> list[str]:
    """Return the arguments for a fixed address and the host's resolvers. Pods would inherit a search list: set none."""
    arguments = ["--network", network, "--ip", address]
    if host["engine"] == "podman":
        return arguments + ["--mac-address", mac_of(address), "--dns-search", "."]
    # Docker's resolver listens on a loopback address that pods cannot reach.
    return arguments + ["--volume", f"{resolv_conf}:/etc/resolv.conf:ro"]


def run_arguments(host: Host, cluster: dict[str, Any], node: Node) -> list[str]:
    """Return the command that makes a node. cluster: {name, network, image, key, resolv_conf}."""
    name = node["name"]
    arguments = global_arguments(host) + ["run", "--detach", "--name", name, "--hostname", name, "--privileged"]
    labels = {
        CLUSTER_LABEL: cluster["name"],
        GROUPS_LABEL: ",".join(node["groups"]),
        ADDRESS_LABEL: node["address"],
        SPEC_LABEL: spec_of(node),
    }
    for label, value in labels.items():
        arguments += ["--label", f"{label}={value}"]
    arguments += init_arguments(host) + limit_arguments(host)
    arguments += network_arguments(host, cluster["network"], node["address"], cluster["resolv_conf"])
    for path in VOLUMES:
        arguments += ["--volume", path]
    if host["modules"]:
        arguments += ["--volume", "/lib/modules:/lib/modules:ro"]
    for option, value in (("--memory", node["memory"]), ("--cpus", node["cpus"])):
        arguments += [option, str(value)] if value else []
    for port in node["ports"]:
        arguments += ["--publish", port_argument(port)]
    for key, value in sorted(dict(node["env"], KUBEWRIGHT_AUTHORIZED_KEY=cluster["key"]).items()):
        arguments += ["--env", f"{key}={value}"]
    return arguments + [cluster["image"], "/sbin/init"]


def network_create_arguments(host: Host, name: str, subnet: str) -> list[str]:
    """Return the command that makes a bridge network of our own, without the engine's name server."""
    plain = ["--disable-dns"] if host["engine"] == "podman" else []
    return ["network", "create", *plain, "--subnet", subnet, "--label", f"{NETWORK_LABEL}=local", name]


def nameservers(*texts: str) -> list[str]:
    """Return the servers of the first resolver file that has some that containers can reach too."""
    for text in texts:
        found = re.findall(r"^nameserver\s+(\S+)", text, re.MULTILINE)
        usable = [server for server in found if not server.startswith("127.") and server != "::1"]
        if usable:
            return usable
    return []


def process_limit(hard: int, pid_max: str) -> int:
    """Return the limit of processes: Podman lowers its own to the kernel's highest process number."""
    limits = [limit for limit in (hard, int(pid_max or 0)) if limit > 0]
    return min(limits) if limits else -1


def read_host() -> Host:
    """Return what this machine allows, with any engine."""
    import resource  # not available on every platform where sanity tests import this

    return {
        "cgroup": cgroup_version(read_text("/proc/mounts")),
        "raises_limits": has_capability(read_text("/proc/self/status"), CAP_SYS_RESOURCE),
        "limits": {
            "nofile": resource.getrlimit(resource.RLIMIT_NOFILE)[1],
            "nproc": process_limit(resource.getrlimit(resource.RLIMIT_NPROC)[1], read_text("/proc/sys/kernel/pid_max")),
        },
        "modules": os.path.isdir("/lib/modules"),
        "runtimes": [name for name in ("crun", "runc") if shutil.which(name, path=PROGRAMS)],
        "nameservers": nameservers(read_text("/etc/resolv.conf"), read_text("/run/systemd/resolve/resolv.conf")),
        "routes": ipv4_routes(read_text("/proc/net/route")),
    }


def inotify_shortage(nodes: int, limit: int | None) -> int | None:
    """Return the number of inotify instances that these container nodes need, None if the limit is enough or unknown.

    systemd, kubelet, containerd and the pods of a node hold about thirty, all counted for one user of the machine.
    """
    wanted = 128 + 64 * nodes
    return wanted if limit is not None and limit < wanted else None


def choose_engine(wanted: str, run: Callable[[list[str]], Result]) -> tuple[str, Host]:
    """Return (program, facts) of the engine to use. Raise LocalError with the reasons if there is none."""
    reasons = []
    for name in ("podman", "docker") if wanted == "auto" else (wanted,):
        program = shutil.which(name)
        if not program:
            reasons.append(f"{name} is not installed.")
            continue
        done = run([program, "info", "--format", "{{json .}}"])
        info = json.loads(done.out) if done.rc == 0 else {}
        if not info or info.get("ServerErrors"):
            hint = " Nodes need an engine that runs as root: run the playbook as root (sudo)." if os.geteuid() else ""
            reasons.append(f"{name} does not answer: {(done.err.strip() or done.out.strip())[-300:]}.{hint}")
            continue
        facts = dict(read_host(), **engine_facts(name, info))
        problems = refusals(facts)
        if not problems:
            return program, facts
        reasons += problems
    raise LocalError(*reasons)
