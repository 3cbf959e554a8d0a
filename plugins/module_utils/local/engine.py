# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Podman or Docker as a program: what is there, and commands run side by side."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor

from ..base import commands
from .nodes import ADDRESS_LABEL, CLUSTER_LABEL, GROUPS_LABEL, SPEC_LABEL, LocalError

POLL_SECONDS = 0.05


def run(command, stdin=None):
    """Run a command without a time limit: images are built and loaded."""
    return commands.run(command, timeout=None, stdin=stdin)


def words(text):
    """The end of a program's complaint, on one line."""
    return " ".join(text.split())[-600:]


def together(function, items):
    """Calls function for all items at once; every failure is told, not the first one only."""
    items = list(items)
    if not items:
        return []
    with ThreadPoolExecutor(max_workers=min(16, len(items))) as pool:
        futures = [pool.submit(function, item) for item in items]
    problems = [problem for future in futures if future.exception() for problem in _problems_of(future.exception())]
    if problems:
        raise LocalError(*problems)
    return [future.result() for future in futures]


def _problems_of(error):
    return error.problems if isinstance(error, LocalError) else [f"{type(error).__name__}: {error}"]


@contextlib.contextmanager
def locked(path, seconds=300):
    """One run at a time gives out addresses or builds an image."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    end = time.monotonic() + seconds
    with open(path, "w", encoding="utf-8") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > end:
                    raise LocalError(f"Another run has held {path} for {seconds} s: wait for it, or end it.") from error
                time.sleep(POLL_SECONDS)
        yield


class Engine:
    """The engine's commands that are needed here; a failing one raises LocalError with the engine's own words."""

    def __init__(self, program, host):
        self.program = program
        self.host = host

    def __call__(self, *arguments, stdin=None):
        code, out, err = run([self.program, *arguments], stdin)
        if code != 0:
            raise LocalError(f"{self.host['engine']} {' '.join(arguments[:2])} failed: {words(err) or f'code {code}'}")
        return out

    def failure(self, *arguments):
        """What the engine says against it, None when it did it."""
        code, out, err = run([self.program, *arguments])
        return None if code == 0 else words(err) or words(out) or f"code {code}"

    def containers(self, network):
        """Every container there is, ours or not: {name, cluster, groups, address, image, running, lost, status, spec}."""
        for _attempt in range(3):
            identifiers = self("ps", "--all", "--quiet", "--no-trunc").split()
            if not identifiers:
                return []
            code, out, err = run([self.program, "inspect", "--type", "container", *identifiers])
            if code == 0:
                return [described(box, network, self._lost(box["State"])) for box in json.loads(out)]
        # A container that went away between the two questions makes inspect fail; three times in a row is another matter.
        raise LocalError(f"{self.host['engine']} inspect failed: {words(err)}")

    def _lost(self, state):
        """Whether Podman calls it running though its processes are gone: it does when its own watcher was killed too."""
        here = self.host["engine"] == "podman" and os.path.isdir("/proc/self")
        return bool(here and state.get("Pid") and not os.path.isdir(f"/proc/{state['Pid']}"))

    def networks(self):
        """The subnets of the engine's networks: {name: [subnet]}."""
        names = self("network", "ls", "--format", "{{.Name}}").split()
        found = json.loads(self("network", "inspect", *names)) if names else []
        return {net.get("name") or net.get("Name"): _subnets(net) for net in found}


def _subnets(net):
    listed = net.get("subnets") or (net.get("IPAM") or {}).get("Config") or []
    return [entry.get("subnet") or entry.get("Subnet") for entry in listed]


def described(box, network, lost=False):
    """What matters of an inspected container."""
    labels = box["Config"].get("Labels") or {}
    attached = (box["NetworkSettings"].get("Networks") or {}).get(network) or {}
    wanted = (attached.get("IPAMConfig") or {}).get("IPv4Address")
    return {
        "name": box["Name"].lstrip("/"),
        "cluster": labels.get(CLUSTER_LABEL),
        "groups": [group for group in labels.get(GROUPS_LABEL, "").split(",") if group],
        "address": labels.get(ADDRESS_LABEL) or attached.get("IPAddress") or wanted,
        "spec": labels.get(SPEC_LABEL),
        "image": box.get("ImageName") or box["Config"].get("Image"),
        "running": bool(box["State"].get("Running")) and not lost,
        "lost": lost,
        "status": "lost" if lost else box["State"].get("Status"),
        "attached": bool(attached),
    }


def ssh_answers(address, port=22, timeout=1.0):
    """None when an SSH server greets there, else what happened."""
    try:
        with socket.create_connection((address, port), timeout=timeout) as connection:
            connection.settimeout(timeout)
            return None if connection.recv(4) == b"SSH-" else "no SSH greeting"
    except OSError as error:
        return str(error)


def wait_for_ssh(nodes, seconds):
    """Waits until every node lets an SSH client in; names those that do not, and what each said last."""
    end = time.monotonic() + seconds

    def wait(node):
        while True:
            last = ssh_answers(node["address"])
            if last is None:
                return
            if time.monotonic() > end:
                raise LocalError(f"{node['name']} does not answer SSH on {node['address']} after {seconds} s: {last}.")
            time.sleep(POLL_SECONDS)

    together(wait, nodes)
