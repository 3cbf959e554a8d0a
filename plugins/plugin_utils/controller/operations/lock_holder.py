# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds the cluster's lock: this run, and whether a run that holds it has ended."""

from __future__ import annotations

import getpass
import hashlib
import os
import socket


def holder(operation: str) -> dict[str, str]:
    """Return {name, operation, run, dead}. Called by a worker of ansible-playbook: its parent is the run."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    host = socket.gethostname()
    return {
        "name": "%s@%s" % (user, host),
        "operation": operation,
        "run": _run(_controller(host), os.getppid()),
        "dead": "",
    }


def is_gone(run: str) -> bool:
    """Return True if a run was on this controller and has ended. Of a run elsewhere nothing is known: False."""
    host, _slash, rest = run.rpartition("/")
    number = rest.partition("-")[0]
    return host == _controller(socket.gethostname()) and number.isdigit() and _run(host, int(number)) != run


def _run(host: str, number: int) -> str:
    return "%s/%d-%d" % (host, number, _started(number))


def _controller(host: str) -> str:
    """Return the name of this controller. Containers, such as those of a CI, may have the same host name, and their
    processes the same numbers: what runs in one is not seen in the other."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
            where = stream.read() + os.readlink("/proc/self/ns/pid")
    except OSError:
        return host
    return "%s/%s" % (host, hashlib.sha256(where.encode()).hexdigest()[:12])


def _started(number: int) -> int:
    """Return when a process started, in ticks since boot; 0 if there is none."""
    try:
        with open("/proc/%d/stat" % number, encoding="utf-8", errors="replace") as stream:
            words = stream.read().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(words[19]) if len(words) > 19 else 0
