# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives in a directory of an SSH server, by OpenSSH's sftp. Standard library only.

https://man.openbsd.org/sftp: in batch mode it asks nothing, and ends at the first command that fails.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from typing import Any, List, Mapping

from ..base import commands
from ..node import downloads
from .places import Place, PlaceError

# The longest transfer.
SECONDS = 6 * 3600
OPTIONS = {
    "BatchMode": "yes",
    "StrictHostKeyChecking": "yes",
    "ConnectTimeout": "20",
    "ServerAliveInterval": "15",
    "ServerAliveCountMax": "4",
    "LogLevel": "ERROR",
    "ClearAllForwardings": "yes",
    "PermitLocalCommand": "no",
}
PROMPT = "sftp> "


def quoted(text: str) -> str:
    """Return text as one argument of a command of sftp, without a pattern in it."""
    return '"%s"' % text.replace("\\", "\\\\").replace('"', '\\"')


class Server(Place):
    """A directory of an SSH server. Its key and known_hosts are in files of mode 0600 only while sftp runs."""

    def __init__(self, settings: Mapping[str, Any], work: str | None = None) -> None:
        """settings: host, port, user, path, key, known_hosts. work: directory with space for an archive."""
        self._settings, self._work = settings, work
        host, user = settings["host"], settings.get("user")
        self._host = "[%s]" % host if ":" in host else host
        self._user, self._path = user + "@" if user else "", settings.get("path") or "."
        port = ":%d" % settings["port"] if settings.get("port") else ""
        path = self._path.strip("/")
        self.label = "sftp://%s%s%s/%s" % (self._user, self._host, port, path + "/" if path not in ("", ".") else "")

    def put(self, path: str, name: str, sha256: str, partial: str) -> None:
        """See Place."""
        with tempfile.TemporaryDirectory(dir=self._work, prefix=".kubewright-") as place:
            back = os.path.join(place, "back")
            made = "-mkdir " + quoted(self._path) if self._path != "." else ""
            sent = "put -f %s %s" % (quoted(path), quoted(partial))
            try:
                self._run([made, *self._there(), sent, "get %s %s" % (quoted(partial), quoted(back))])
            except PlaceError as error:
                # On a full disk, the parts of archives would keep it full.
                if error.id == "destination.refused":
                    with contextlib.suppress(PlaceError):
                        self._run([*self._there(), "rm " + quoted(partial)])
                raise
            there = downloads.sha256(back)
            if there != sha256:
                self._run([*self._there(), "rm " + quoted(partial)])
                raise self.wrong(name, there, sha256)
            self._run([*self._there(), "rename %s %s" % (quoted(partial), quoted(name))])

    def fetch(self, name: str, target: str) -> None:
        """See Place."""
        self._run([*self._there(), "get %s %s" % (quoted(name), quoted(target))])

    def names(self, start: str) -> List[str]:
        """See Place."""
        lines = self._run([*self._there(), "ls -1a"]).splitlines()
        return [line for line in lines if line.startswith(start) and not line.startswith(PROMPT)]

    def delete(self, names: List[str]) -> None:
        """See Place."""
        if names:
            self._run([*self._there(), *("rm " + quoted(name) for name in names)])

    def _there(self) -> List[str]:
        return ["cd " + quoted(self._path)] if self._path != "." else []

    def _run(self, lines: List[str]) -> str:
        """Run commands in one session and return the output. Raise PlaceError."""
        if not shutil.which("sftp", path=commands.environment()["PATH"]):
            text = "%s: the program sftp is missing on %s. Install the OpenSSH client there."
            raise PlaceError("no_program", text % (self.label, os.uname()[1]))
        with tempfile.TemporaryDirectory(prefix="kubewright-sftp-") as place:
            options = dict(OPTIONS)
            for name, option in (("key", "IdentityFile"), ("known_hosts", "UserKnownHostsFile")):
                if self._settings.get(name):
                    options[option] = os.path.join(place, name)
                    with os.fdopen(os.open(options[option], os.O_WRONLY | os.O_CREAT, 0o600), "w") as stream:
                        stream.write(self._settings[name].rstrip("\n") + "\n")
            if "IdentityFile" in options:
                options["IdentitiesOnly"] = "yes"
            if "UserKnownHostsFile" in options:
                options["GlobalKnownHostsFile"] = "none"
            argv = ["sftp", "-b", "-", *("-o%s=%s" % item for item in options.items())]
            argv += ["-P", str(self._settings["port"])] if self._settings.get("port") else []
            batch = "\n".join(filter(None, lines)) + "\n"
            done = commands.run([*argv, self._user + self._host], timeout=SECONDS, stdin=batch)
        if done.rc:
            raise self._failed(done)
        return done.out

    def _failed(self, done: commands.Result) -> PlaceError:
        said = done.complaint(3)
        if "Host key verification failed" in done.err or "HOST IDENTIFICATION HAS CHANGED" in done.err:
            text = "%s: the server's host key is not in known_hosts. Compare it, and put it there."
            return PlaceError("host_key", text % self.label)
        if "Permission denied (" in done.err or "Too many authentication failures" in done.err:
            text = "%s: the server does not let the key in (%s). Put its public part into the user's authorized_keys."
            return PlaceError("denied", text % (self.label, said))
        connected = done.rc == 1  # 255 is ssh's own failure
        kind = "refused" if connected else "unreachable"
        text = "%s: the server refuses it (%s)" if connected else "%s: the server cannot be reached, or was lost (%s)"
        return PlaceError(kind, text % (self.label, said))
