# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Detect what this host's container engine can do."""

from __future__ import annotations

import functools
import ipaddress
import json
import resource
import shutil
import subprocess
from pathlib import Path

from .catalog import LabError

CAP_SYS_RESOURCE = 24
# Podman's defaults. A host may not allow limits this high.
PODMAN_LIMITS = {"nofile": (resource.RLIMIT_NOFILE, 1048576), "nproc": (resource.RLIMIT_NPROC, 4194304)}


def cgroup_version(mounts):
    """Return "v1", "v2" or "hybrid" from the text of /proc/mounts."""
    kinds = {words[1]: words[2] for words in (line.split() for line in mounts.splitlines()) if len(words) > 2}
    if kinds.get("/sys/fs/cgroup") == "cgroup2":
        return "v2"
    unified = any(kind == "cgroup2" and path.startswith("/sys/fs/cgroup/") for path, kind in kinds.items())
    return "hybrid" if unified else "v1"


def raises_limits(status):
    """Return True if the text of /proc/self/status shows CAP_SYS_RESOURCE."""
    for line in status.splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> CAP_SYS_RESOURCE & 1)
    return False


def limit_arguments(hard):
    """Return --ulimit arguments for the limits whose hard value {name: value} is below Podman's default."""
    words = []
    for name, (_which, wanted) in PODMAN_LIMITS.items():
        if 0 <= hard[name] < wanted:
            words += ["--ulimit", f"{name}={hard[name]}:{hard[name]}"]
    return words


def hard_limits():
    """Return the hard limits of this process. Podman lowers nproc to pid_max and cannot raise it again."""
    hard = {name: resource.getrlimit(which)[1] for name, (which, _wanted) in PODMAN_LIMITS.items()}
    most = int(Path("/proc/sys/kernel/pid_max").read_text(encoding="utf-8"))
    return dict(hard, nproc=min(hard["nproc"], most) if hard["nproc"] >= 0 else most)


def routed(table):
    """Return the networks of this host's routes, without the default. `table` is the JSON of `ip -json route`."""
    found = []
    for route in table:
        destination = route.get("dst", "default")
        if destination != "default":
            found.append(ipaddress.ip_network(destination, strict=False))
    return found


def free_subnet(networks):
    """Return the first /24 from 10.131.0.0 on that overlaps no route of this host."""
    for third in range(131, 200):
        subnet = ipaddress.ip_network(f"10.{third}.0.0/24")
        if not any(network.version == 4 and network.overlaps(subnet) for network in networks):
            return str(subnet)
    raise LabError("Every network from 10.131.0.0/24 to 10.199.0.0/24 overlaps a route of this host.")


class Engine:
    """Podman or Docker."""

    def __init__(self, name):
        self.name = name
        self.program = shutil.which(name)

    def run(self, *words, check=True):
        """Run the engine and return its output. Raise LabError if it fails."""
        done = subprocess.run([self.program, *words], capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise LabError(f"{self.name} {' '.join(words[:2])}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout.strip() if done.returncode == 0 else ""

    def inspect(self, kind, name):
        """Return what the engine reports about an object, or None if it does not exist."""
        return next(iter(json.loads(self.run(kind, "inspect", name, check=False) or "[]")), None)

    @functools.cached_property
    def info(self):
        """Return the output of `info`."""
        return json.loads(self.run("info", "--format", "{{json .}}"))

    def global_arguments(self):
        """Return arguments that select runc where crun does not work: on hosts with cgroups in hybrid mode."""
        if self.name != "podman" or cgroup_version(Path("/proc/mounts").read_text(encoding="utf-8")) != "hybrid":
            return []
        if self.info["host"]["ociRuntime"]["name"] == "runc":
            return []
        if not shutil.which("runc", path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"):
            raise LabError("This host has cgroups in hybrid mode, which crun does not support: install runc.")
        return ["--runtime", "runc"]

    def limit_arguments(self):
        """Return --ulimit arguments. Podman's defaults can exceed the host's limits; Docker's daemon has its own."""
        if self.name != "podman" or raises_limits(Path("/proc/self/status").read_text(encoding="utf-8")):
            return []
        return limit_arguments(hard_limits())


@functools.cache
def engine():
    """Return the first engine of this host that works."""
    for name in ("podman", "docker"):
        found = Engine(name)
        if found.program and found.run("version", check=False):
            return found
    raise LabError(
        "Neither Podman nor Docker works here: run `apt-get install podman runc` (all packages: tests/lab/apt.txt)."
    )


def host_networks():
    """Return the networks that a new one must not overlap."""
    done = subprocess.run(["ip", "-json", "route"], capture_output=True, text=True, check=False)
    return routed(json.loads(done.stdout or "[]"))
