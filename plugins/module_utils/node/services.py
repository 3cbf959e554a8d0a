# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting, stopping and asking about a service, by systemd or OpenRC. Standard library only.

Both give: start, stop, active, restarts, log, remove. https://github.com/OpenRC/openrc/blob/master/supervise-daemon-guide.md
"""

from __future__ import annotations

import os
import re
import subprocess


def command(*argv, timeout=120, environment=None):
    """(exit status, output) of a command. environment: all that it has, in place of this process's own."""
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, check=False, env=environment
        )
    except (OSError, subprocess.SubprocessError) as error:
        return 127, str(error)
    return done.returncode, done.stdout.decode("utf-8", "replace")


def here(run=None):
    """What keeps the services of this machine. run: runs a list of words, as command does with each of them."""
    return (Systemd if os.path.isdir("/run/systemd/system") else OpenRC)(run)


class Manager:
    """What runs the commands."""

    def __init__(self, run=None):
        self.run = run or (lambda argv: command(*argv))


class Systemd(Manager):
    """systemd's units."""

    @staticmethod
    def path(name):
        return "/etc/systemd/system/%s.service" % name

    def start(self, name, again):
        """Start it, or start it anew, and at boot. It is not waited for. (exit status, output)"""
        self.run(["systemctl", "daemon-reload"])
        self.run(["systemctl", "enable", name])
        return self.run(["systemctl", "restart" if again else "start", "--no-block", name])

    def stop(self, name):
        return self.run(["systemctl", "stop", name])

    def active(self, name):
        return self.run(["systemctl", "is-active", "--quiet", name])[0] == 0

    def restarts(self, name):
        """How often it was started anew by itself."""
        found = re.search(r"NRestarts=(\d+)", self.run(["systemctl", "show", "--property=NRestarts", name])[1])
        return int(found.group(1)) if found else 0

    def log(self, name, lines):
        """The last lines that it wrote."""
        return self.run(["journalctl", "-u", name, "-n", str(lines), "--no-pager", "-o", "cat"])[1]

    def wanted(self, name):
        """Whether it runs, is about to, failed, or starts at boot."""
        _status, state = self.run(["systemctl", "show", "-p", "ActiveState,UnitFileState", "--value", name])
        words = state.split()
        return words[:1] == ["active"] or bool({"enabled", "failed", "activating"} & set(words))

    def remove(self, name):
        """Stop it, and start it at boot no more. Whether it stands still."""
        self.run(["systemctl", "disable", "--now", name])
        self.run(["systemctl", "reset-failed", name])
        return self.run(["systemctl", "show", "-p", "ActiveState", "--value", name])[1].split()[:1] != ["active"]


class OpenRC(Manager):
    """OpenRC's scripts, with supervise-daemon, which keeps what it knows in files."""

    started = "/run/openrc/started/"
    kept = "/run/openrc/options/"

    @staticmethod
    def path(name):
        return "/etc/init.d/" + name

    def start(self, name, again):
        self.run(["rc-update", "add", name, "default"])
        return self.run(["rc-service", name, "restart" if again else "start"])

    def stop(self, name):
        return self.run(["rc-service", "--ifstarted", name, "stop"])

    def active(self, name):
        return os.path.exists(self.started + name) and self.run(["rc-service", name, "status"])[0] == 0

    def restarts(self, name):
        try:
            with open("%s%s/start_count" % (self.kept, name), encoding="utf-8") as stream:
                return max(int(stream.read().strip() or 1) - 1, 0)
        except (OSError, ValueError):
            return 0

    def log(self, name, lines):
        try:
            with open("/var/log/%s.log" % name, "rb") as stream:
                stream.seek(max(os.fstat(stream.fileno()).st_size - 400 * lines, 0))
                return "\n".join(stream.read().decode("utf-8", "replace").splitlines()[-lines:])
        except OSError:
            return ""

    def wanted(self, name):
        return os.path.exists(self.started + name) or any(
            os.path.lexists("/etc/runlevels/%s/%s" % (level, name)) for level in _levels()
        )

    def remove(self, name):
        self.stop(name)
        self.run(["rc-update", "--all", "del", name])
        return not self.active(name)


def _levels():
    try:
        return os.listdir("/etc/runlevels")
    except OSError:
        return []
