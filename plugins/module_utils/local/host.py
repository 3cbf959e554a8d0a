# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the host allows, and the engine's arguments for a node that follow from it. Pure, but for the readers at the end."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import shutil
import socket
import struct

from .nodes import ADDRESS_LABEL, CLUSTER_LABEL, GROUPS_LABEL, SPEC_LABEL, LocalError, mac_of, port_argument, spec_of

CAP_SYS_RESOURCE = 24
PROGRAMS = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
# What Podman asks for by itself; a host may not allow it.
PODMAN_LIMITS = {"nofile": 1048576, "nproc": 4194304}
# Overlay file systems do not stack, and etcd's data is better off without one.
VOLUMES = ("/var/lib/containerd", "/var/lib/kubelet", "/var/lib/etcd", "/var/lib/rancher")


def cgroup_version(mounts):
    """v1, v2 or hybrid, from the text of /proc/mounts."""
    kinds = {fields[1]: fields[2] for fields in (line.split() for line in mounts.splitlines()) if len(fields) > 2}
    if kinds.get("/sys/fs/cgroup") == "cgroup2":
        return "v2"
    unified = any(kind == "cgroup2" and path.startswith("/sys/fs/cgroup/") for path, kind in kinds.items())
    return "hybrid" if unified else "v1"


def has_capability(status, number):
    """From the text of /proc/self/status."""
    match = re.search(r"^CapEff:\s*([0-9a-f]+)", status, re.MULTILINE)
    return bool(match and int(match[1], 16) >> number & 1)


def ipv4_routes(table):
    """The networks that the host reaches other than by default, from the text of /proc/net/route."""
    networks = []
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 8 or fields[1] == "00000000":
            continue
        address, mask = (socket.inet_ntoa(struct.pack("<L", int(fields[column], 16))) for column in (1, 7))
        networks.append(str(ipaddress.ip_network(f"{address}/{mask}", strict=False)))
    return networks


def engine_facts(name, info):
    """The few things to know from `podman info` or `docker info`."""
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


def refusals(host):
    """Why no node can run here, if so."""
    found = []
    if host["rootless"]:
        found.append(
            f"{host['engine']} does not run as the host's root here: a node needs the kernel's settings, real devices and an"
            " address that this machine can reach. Run the playbook as root (sudo), or use a Docker daemon that runs as root."
        )
    if global_arguments(host) and "runc" not in host["runtimes"]:
        found.append(f"{host['runtime']} does not run with cgroups in hybrid mode, which this host has: install runc.")
    return found


def global_arguments(host):
    """Before the engine's command: another OCI runtime, where the engine's own does not work."""
    if host["engine"] == "podman" and host["cgroup"] == "hybrid" and host["runtime"] != "runc":
        return ["--runtime", "runc"]
    return []


def init_arguments(host):
    """How systemd gets to be the first process."""
    if host["engine"] == "podman" and host["cgroup"] == "v2":
        return ["--systemd=always"]
    # Podman's own systemd mode shares the host's named hierarchy among all containers on cgroup v1: a node that starts
    # sweeps away what its siblings have there. So each gets a namespace, and what systemd needs by hand.
    arguments = ["--cgroupns=private", "--env", f"container={host['engine']}", "--stop-signal", "SIGRTMIN+3"]
    if host["engine"] == "podman":
        arguments.insert(1, "--systemd=false")
    for path in ("/run", "/run/lock", "/tmp"):
        arguments += ["--tmpfs", f"{path}:exec"]
    return arguments


def limit_arguments(host):
    """Podman asks for more than a host without CAP_SYS_RESOURCE may give: then its hard limits."""
    if host["engine"] != "podman" or host["raises_limits"]:
        return []
    arguments = []
    for name, default in sorted(PODMAN_LIMITS.items()):
        hard = host["limits"][name]
        if 0 <= hard < default:
            arguments += ["--ulimit", f"{name}={hard}:{hard}"]
    return arguments


def network_arguments(host, network, address, resolv_conf):
    """A fixed address. Names: the host's resolvers and no search list, as pods inherit it."""
    arguments = ["--network", network, "--ip", address]
    if host["engine"] == "podman":
        return arguments + ["--mac-address", mac_of(address), "--dns-search", "."]
    # Docker's resolver listens on a loopback address that pods cannot reach.
    return arguments + ["--volume", f"{resolv_conf}:/etc/resolv.conf:ro"]


def run_arguments(host, cluster, node):
    """The whole command that makes a node, for `cluster` {name, network, image, key, resolv_conf}."""
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


def network_create_arguments(host, name, subnet):
    """A bridge network of our own; the engine's name server is not wanted."""
    plain = ["--disable-dns"] if host["engine"] == "podman" else []
    return ["network", "create", *plain, "--subnet", subnet, "--label", f"{CLUSTER_LABEL}=lab", name]


def nameservers(*texts):
    """The first of these resolver files that names a server which containers can reach too."""
    for text in texts:
        found = re.findall(r"^nameserver\s+(\S+)", text, re.MULTILINE)
        usable = [server for server in found if not server.startswith("127.") and server != "::1"]
        if usable:
            return usable
    return []


def process_limit(hard, pid_max):
    """Podman lowers its own limit to the kernel's highest process number before it starts a container."""
    limits = [limit for limit in (hard, int(pid_max or 0)) if limit > 0]
    return min(limits) if limits else -1


def read(path):
    """The text of a file, nothing where it is not there."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def read_host():
    """What this machine allows, whatever the engine."""
    import resource  # not there on every platform that sanity checks import on

    return {
        "cgroup": cgroup_version(read("/proc/mounts")),
        "raises_limits": has_capability(read("/proc/self/status"), CAP_SYS_RESOURCE),
        "limits": {
            "nofile": resource.getrlimit(resource.RLIMIT_NOFILE)[1],
            "nproc": process_limit(resource.getrlimit(resource.RLIMIT_NPROC)[1], read("/proc/sys/kernel/pid_max")),
        },
        "modules": os.path.isdir("/lib/modules"),
        "runtimes": [name for name in ("crun", "runc") if shutil.which(name, path=PROGRAMS)],
        "nameservers": nameservers(read("/etc/resolv.conf"), read("/run/systemd/resolve/resolv.conf")),
        "routes": ipv4_routes(read("/proc/net/route")),
    }


def inotify_shortage(nodes, limit):
    """The number of inotify instances to allow for so many container nodes, or None where the limit is enough.

    systemd, kubelet, containerd and the pods of a node hold about thirty, all counted for one user of the machine.
    """
    wanted = 128 + 64 * nodes
    return wanted if limit is not None and limit < wanted else None


def choose_engine(wanted, run):
    """The engine to use: (program, facts). `run` takes a command and returns (code, out, err)."""
    reasons = []
    for name in ("podman", "docker") if wanted == "auto" else (wanted,):
        program = shutil.which(name)
        if not program:
            reasons.append(f"{name} is not installed.")
            continue
        code, out, err = run([program, "info", "--format", "{{json .}}"])
        info = json.loads(out) if code == 0 else {}
        if not info or info.get("ServerErrors"):
            reasons.append(f"{name} does not answer: {(err.strip() or out.strip())[-300:]}")
            continue
        facts = dict(read_host(), **engine_facts(name, info))
        problems = refusals(facts)
        if not problems:
            return program, facts
        reasons += problems
    raise LocalError(*reasons)
