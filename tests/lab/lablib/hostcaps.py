# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What this host's container engine can do, found out and not assumed."""

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
# What Podman gives a container by itself; a host may not allow it.
PODMAN_LIMITS = {"nofile": (resource.RLIMIT_NOFILE, 1048576), "nproc": (resource.RLIMIT_NPROC, 4194304)}


def cgroup_version(mounts):
    """v1, v2 or hybrid, from the text of /proc/mounts."""
    kinds = {words[1]: words[2] for words in (line.split() for line in mounts.splitlines()) if len(words) > 2}
    if kinds.get("/sys/fs/cgroup") == "cgroup2":
        return "v2"
    unified = any(kind == "cgroup2" and path.startswith("/sys/fs/cgroup/") for path, kind in kinds.items())
    return "hybrid" if unified else "v1"


def raises_limits(status):
    """Whether CAP_SYS_RESOURCE is there, from the text of /proc/self/status."""
    for line in status.splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> CAP_SYS_RESOURCE & 1)
    return False


def limit_arguments(hard):
    """Asks for no more than the hard limits {name: value} allow."""
    words = []
    for name, (_which, wanted) in PODMAN_LIMITS.items():
        if 0 <= hard[name] < wanted:
            words += ["--ulimit", f"{name}={hard[name]}:{hard[name]}"]
    return words


def hard_limits():
    """What this process may raise its limits to. Podman itself comes down to pid_max, and cannot go up from there."""
    hard = {name: resource.getrlimit(which)[1] for name, (which, _wanted) in PODMAN_LIMITS.items()}
    most = int(Path("/proc/sys/kernel/pid_max").read_text(encoding="utf-8"))
    return dict(hard, nproc=min(hard["nproc"], most) if hard["nproc"] >= 0 else most)


def routed(table):
    """The networks this host reaches other than by default, from the JSON of `ip -json route`."""
    found = []
    for route in table:
        destination = route.get("dst", "default")
        if destination != "default":
            found.append(ipaddress.ip_network(destination, strict=False))
    return found


def free_subnet(networks):
    """The first /24 of ours that no route of this host touches."""
    for third in range(131, 200):
        subnet = ipaddress.ip_network(f"10.{third}.0.0/24")
        if not any(network.version == 4 and network.overlaps(subnet) for network in networks):
            return str(subnet)
    raise LabError("every network from 10.131.0.0/24 to 10.199.0.0/24 collides with a route of this host.")


class Engine:
    """Podman or Docker."""

    def __init__(self, name):
        self.name = name
        self.program = shutil.which(name)

    def run(self, *words, check=True):
        """Runs the engine; what it prints, or its complaint as an error."""
        done = subprocess.run([self.program, *words], capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise LabError(f"{self.name} {' '.join(words[:2])}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout.strip() if done.returncode == 0 else ""

    def inspect(self, kind, name):
        """What the engine knows of a thing, nothing when it is not there."""
        return next(iter(json.loads(self.run(kind, "inspect", name, check=False) or "[]")), None)

    @functools.cached_property
    def info(self):
        """The engine's own account."""
        return json.loads(self.run("info", "--format", "{{json .}}"))

    def global_arguments(self):
        """Another OCI runtime, where the engine's own does not work: crun does not with cgroups in hybrid mode."""
        if self.name != "podman" or cgroup_version(Path("/proc/mounts").read_text(encoding="utf-8")) != "hybrid":
            return []
        if self.info["host"]["ociRuntime"]["name"] == "runc":
            return []
        if not shutil.which("runc", path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"):
            raise LabError("this host has cgroups in hybrid mode, with which crun does not run: install runc.")
        return ["--runtime", "runc"]

    def limit_arguments(self):
        """Docker's daemon has limits of its own; Podman asks for more than a confined host gives."""
        if self.name != "podman" or raises_limits(Path("/proc/self/status").read_text(encoding="utf-8")):
            return []
        return limit_arguments(hard_limits())


@functools.cache
def engine():
    """The engine of this host: the first that answers."""
    for name in ("podman", "docker"):
        found = Engine(name)
        if found.program and found.run("version", check=False):
            return found
    raise LabError(
        "neither Podman nor Docker answers here: `apt-get install podman runc` (tests/lab/apt.txt lists all)."
    )


def host_networks():
    """The networks that a new one must not collide with."""
    done = subprocess.run(["ip", "-json", "route"], capture_output=True, text=True, check=False)
    return routed(json.loads(done.stdout or "[]"))
