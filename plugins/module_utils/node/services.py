# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start, stop and query services with systemd or OpenRC. Standard library only.

Both managers answer the same questions. https://github.com/OpenRC/openrc/blob/master/supervise-daemon-guide.md
"""

from __future__ import annotations

import os
import re
import time
from abc import ABC, abstractmethod
from typing import Callable, List, NamedTuple, Optional

from ..base import commands
from ..base.commands import Result
from ..base.text_files import read_text

Runner = Callable[[List[str]], Result]


class Process(NamedTuple):
    """The main process of a service.

    number: its process ID. invocation: systemd's ID of this start, "" with OpenRC. restarts: how often it was started
    again after a failure. settled: False while the manager starts or stops it. started: seconds since 1970.
    """

    number: str
    invocation: str
    restarts: int
    settled: bool
    started: float

    def is_same(self, other: Optional[Process]) -> bool:
        """Return True if this is the same start of the service."""
        return other is not None and (self.number, self.invocation) == (other.number, other.invocation)


def started_at(number: str, root: str = "/proc") -> float:
    """Return when a process started, in seconds since 1970 by the clock as it is now; 0 if there is none.

    https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html: field 22 counts from boot, with the time asleep.
    """
    words = read_text("%s/%s/stat" % (root, number)).rpartition(")")[2].split()
    if len(words) < 20 or not words[19].isdigit():
        return 0.0
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - int(words[19]) / os.sysconf("SC_CLK_TCK")
    return time.time() - age


def run_merged(argv: list[str]) -> Result:
    """Run a command with its error output in `out`."""
    return commands.run(argv, merge=True)


def here(run: Runner | None = None) -> Manager:
    """Return the service manager of this machine. run: runs a command, for tests and for reset."""
    return (Systemd if os.path.isdir("/run/systemd/system") else OpenRC)(run)


class Manager(ABC):
    """A service manager. Names are those of services, without a suffix."""

    def __init__(self, run: Runner | None = None) -> None:
        self.run = run or run_merged

    @staticmethod
    @abstractmethod
    def path(name: str) -> str:
        """Return the path of a service's unit or script."""

    @abstractmethod
    def start(self, name: str, restart: bool) -> Result:
        """Enable a service and start it (or restart it), without waiting for it if the manager can do that."""

    @abstractmethod
    def stop(self, name: str) -> Result:
        """Stop a service and wait until it has stopped."""

    @abstractmethod
    def active(self, name: str) -> bool:
        """Return True if a service runs."""

    @abstractmethod
    def is_down(self, name: str) -> bool:
        """Return True if a service neither runs, nor starts, nor waits to be started again. One that waits for other
        nodes, as K3s does for a majority of etcd, is not active and is not down."""

    @abstractmethod
    def process(self, name: str) -> Process | None:
        """Return a service's main process, None if none runs."""

    @abstractmethod
    def restarts(self, name: str) -> int:
        """Return how often the manager has restarted a service after a failure."""

    @abstractmethod
    def log(self, name: str, lines: int) -> str:
        """Return the last lines that a service logged."""

    @abstractmethod
    def in_use(self, name: str) -> bool:
        """Return True if a service runs, is about to, has failed, or starts at boot."""

    @abstractmethod
    def remove(self, name: str) -> bool:
        """Stop and disable a service. Return True if it does not run any more."""


class Systemd(Manager):
    """systemd's units."""

    @staticmethod
    def path(name: str) -> str:
        return "/etc/systemd/system/%s.service" % name

    def start(self, name: str, restart: bool) -> Result:
        self.run(["systemctl", "daemon-reload"])
        enabled = self.run(["systemctl", "enable", name])
        if enabled.rc:
            return enabled
        return self.run(["systemctl", "restart" if restart else "start", "--no-block", name])

    def stop(self, name: str) -> Result:
        return self.run(["systemctl", "stop", name])

    def active(self, name: str) -> bool:
        return self.run(["systemctl", "is-active", "--quiet", name]).rc == 0

    def is_down(self, name: str) -> bool:
        state = self.run(["systemctl", "show", "-p", "ActiveState", "--value", name]).out.strip()
        return state in ("inactive", "failed")  # one that is still "deactivating" uses its data

    def process(self, name: str) -> Process | None:
        wanted = "--property=MainPID,InvocationID,NRestarts,ActiveState,Job"
        lines = self.run(["systemctl", "show", wanted, name]).out.splitlines()
        values = dict(line.split("=", 1) for line in lines if "=" in line)
        number = values.get("MainPID", "0")
        if not number.isdigit() or number == "0":
            return None
        # A start or restart that is queued or still going on is a job of the unit:
        # https://www.freedesktop.org/software/systemd/man/latest/org.freedesktop.systemd1.html (Unit, Job)
        settled = values.get("ActiveState") == "active" and values.get("Job", "") in ("", "0")
        restarts = int(values.get("NRestarts") or 0)
        return Process(number, values.get("InvocationID", ""), restarts, settled, started_at(number))

    def restarts(self, name: str) -> int:
        found = re.search(r"NRestarts=(\d+)", self.run(["systemctl", "show", "--property=NRestarts", name]).out)
        return int(found.group(1)) if found else 0

    def log(self, name: str, lines: int) -> str:
        return self.run(["journalctl", "-u", name, "-n", str(lines), "--no-pager", "-o", "cat"]).out

    def in_use(self, name: str) -> bool:
        words = self.run(["systemctl", "show", "-p", "ActiveState,UnitFileState", "--value", name]).out.split()
        return words[:1] == ["active"] or bool({"enabled", "failed", "activating"} & set(words))

    def remove(self, name: str) -> bool:
        self.run(["systemctl", "disable", "--now", name])
        self.run(["systemctl", "reset-failed", name])
        return self.is_down(name)


class OpenRC(Manager):
    """OpenRC's scripts with supervise-daemon, which keeps its state in files."""

    started, starting = "/run/openrc/started/", "/run/openrc/starting/"
    options = "/run/openrc/options/"
    runlevels = "/etc/runlevels"

    @staticmethod
    def path(name: str) -> str:
        return "/etc/init.d/" + name

    def start(self, name: str, restart: bool) -> Result:
        # Its exit status says nothing: a service that is in the runlevel already is an error to some releases.
        self.run(["rc-update", "add", name, "default"])
        return self.run(["rc-service", name, "restart" if restart else "start"])

    def stop(self, name: str) -> Result:
        return self.run(["rc-service", "--ifstarted", name, "stop"])

    def active(self, name: str) -> bool:
        return os.path.exists(self.started + name) and self.run(["rc-service", name, "status"]).rc == 0

    def is_down(self, name: str) -> bool:
        return not os.path.exists(self.started + name) and not os.path.exists(self.starting + name)

    def process(self, name: str) -> Process | None:
        number = read_text("%s%s/child_pid" % (self.options, name)).strip()
        started = started_at(number) if number.isdigit() else 0.0
        running = os.path.exists(self.started + name)
        return Process(number, "", self.restarts(name), running, started) if started else None

    def restarts(self, name: str) -> int:
        count = read_text("%s%s/start_count" % (self.options, name)).strip()
        return max(int(count) - 1, 0) if count.isdigit() else 0

    def log(self, name: str, lines: int) -> str:
        try:
            with open("/var/log/%s.log" % name, "rb") as stream:
                stream.seek(max(os.fstat(stream.fileno()).st_size - 400 * lines, 0))
                return "\n".join(stream.read().decode("utf-8", "replace").splitlines()[-lines:])
        except OSError:
            return ""

    def in_use(self, name: str) -> bool:
        levels = os.listdir(self.runlevels) if os.path.isdir(self.runlevels) else []
        return os.path.exists(self.started + name) or any(
            os.path.lexists("%s/%s/%s" % (self.runlevels, level, name)) for level in levels
        )

    def remove(self, name: str) -> bool:
        self.stop(name)
        self.run(["rc-update", "--all", "del", name])
        return not self.active(name)
