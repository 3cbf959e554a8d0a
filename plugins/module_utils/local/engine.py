# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Podman or Docker as a program: its containers and networks, and commands that run at the same time."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any, Callable, Iterable, Iterator, TypeVar

from ..base import commands
from ..base.commands import Result
from .nodes import ADDRESS_LABEL, CLUSTER_LABEL, GROUPS_LABEL, SPEC_LABEL, Box, LocalError, Node

POLL_SECONDS = 0.05
# Building and loading images takes long; what takes longer than this hangs.
COMMAND_SECONDS = 3600
Item = TypeVar("Item")
Answer = TypeVar("Answer")


def run(command: list[str], stdin: IO[bytes] | None = None) -> Result:
    """Run a command of the engine."""
    return commands.run(command, timeout=COMMAND_SECONDS, stdin=stdin)


def words(text: str) -> str:
    """Return the end of a program's error output on one line."""
    return " ".join(text.split())[-600:]


def together(function: Callable[[Item], Answer], items: Iterable[Item]) -> list[Answer]:
    """Call a function for all items at the same time and return the results. Raise LocalError with every failure."""
    items = list(items)
    if not items:
        return []
    with ThreadPoolExecutor(max_workers=min(16, len(items))) as pool:
        futures = [pool.submit(function, item) for item in items]
    errors = [future.exception() for future in futures]
    problems = [problem for error in errors if error for problem in _problems_of(error)]
    if problems:
        raise LocalError(*problems)
    return [future.result() for future in futures]


def _problems_of(error: BaseException) -> list[str]:
    return error.problems if isinstance(error, LocalError) else [f"{type(error).__name__}: {error}"]


@contextlib.contextmanager
def locked(path: str, seconds: int = 300) -> Iterator[None]:
    """Hold a lock: one run at a time assigns addresses or builds an image."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    end = time.monotonic() + seconds
    with open(path, "w", encoding="utf-8") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > end:
                    text = f"Another run has held {path} for {seconds} s: wait until it ends, or stop it."
                    raise LocalError(text) from error
                time.sleep(POLL_SECONDS)
        yield


class Engine:
    """The engine's commands that are needed here. A failure raises LocalError with the engine's own message."""

    def __init__(self, program: str, host: dict[str, Any]) -> None:
        self.program = program
        self.host = host

    def __call__(self, *arguments: str, stdin: IO[bytes] | None = None) -> str:
        done = run([self.program, *arguments], stdin)
        if done.rc != 0:
            reason = words(done.err) or f"exit status {done.rc}"
            raise LocalError(f"{self.host['engine']} {' '.join(arguments[:2])} failed: {reason}")
        return done.out

    def failure(self, *arguments: str) -> str | None:
        """Run a command. Return why it failed, None if it did not."""
        done = run([self.program, *arguments])
        return None if done.rc == 0 else words(done.err) or words(done.out) or f"exit status {done.rc}"

    def containers(self, network: str) -> list[Box]:
        """Return every container of the engine, ours or not, as described() does."""
        for _attempt in range(3):
            identifiers = self("ps", "--all", "--quiet", "--no-trunc").split()
            if not identifiers:
                return []
            done = run([self.program, "inspect", "--type", "container", *identifiers])
            if done.rc == 0:
                return [described(box, network, self._lost(box["State"])) for box in json.loads(done.out)]
        # A container that was removed between the two commands makes inspect fail, but not three times in a row.
        raise LocalError(f"{self.host['engine']} inspect failed: {words(done.err)}")

    def _lost(self, state: dict[str, Any]) -> bool:
        """Return True if Podman reports a container as running although it was killed together with its monitor."""
        here = self.host["engine"] == "podman" and os.path.isdir("/proc/self")
        return bool(here and state.get("Pid") and not os.path.isdir(f"/proc/{state['Pid']}"))

    def networks(self) -> dict[str, list[str | None]]:
        """Return the subnets of the engine's networks by name."""
        names = self("network", "ls", "--format", "{{.Name}}").split()
        found = json.loads(self("network", "inspect", *names)) if names else []
        return {net.get("name") or net.get("Name"): _subnets(net) for net in found}


def _subnets(net: dict[str, Any]) -> list[str | None]:
    listed = net.get("subnets") or (net.get("IPAM") or {}).get("Config") or []
    return [entry.get("subnet") or entry.get("Subnet") for entry in listed]


def described(box: dict[str, Any], network: str, lost: bool = False) -> Box:
    """Return {name, cluster, groups, address, spec, image, running, lost, status, attached} of a container."""
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


def ssh_problem(address: str, port: int = 22, timeout: float = 1.0) -> str | None:
    """Return None if an SSH server answers at an address, else what happened."""
    try:
        with socket.create_connection((address, port), timeout=timeout) as connection:
            connection.settimeout(timeout)
            return None if connection.recv(4) == b"SSH-" else "it is not an SSH server"
    except OSError as error:
        return str(error)


def wait_for_ssh(nodes: list[Node], seconds: int) -> None:
    """Wait until every node answers SSH. Raise LocalError with those that do not, and the last problem of each."""
    end = time.monotonic() + seconds

    def wait(node: Node) -> None:
        while True:
            last = ssh_problem(node["address"])
            if last is None:
                return
            if time.monotonic() > end:
                raise LocalError(f"{node['name']} does not answer SSH on {node['address']} after {seconds} s: {last}.")
            time.sleep(POLL_SECONDS)

    together(wait, nodes)
