# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way to the system: files and commands, with limits, so that a recording can take its place."""

from __future__ import annotations

import glob
import os
import subprocess

LIMIT = 1 << 20


class Host:
    """Reads files and runs commands. Whatever is missing, unreadable or too long for it is None, and said in `warnings`."""

    def __init__(self):
        self.warnings = []

    def read(self, path):
        """Text of a file, at most 1 MiB of it; None where there is none or it cannot be read."""
        try:
            with open(path, "rb") as stream:
                return stream.read(LIMIT).decode("utf-8", "replace")
        except OSError:
            return None

    def line(self, path):
        """The text without blanks around it; None where there is none."""
        text = self.read(path)
        return text.strip("\x00 \t\r\n") if text is not None else None

    def exists(self, path):
        return os.path.exists(path)

    def list(self, pattern):
        """Paths that match a pattern, sorted."""
        return sorted(glob.glob(pattern))

    def real(self, path):
        return os.path.realpath(path)

    def run(self, argv, timeout=3):
        """Output of a command; None where it is missing, fails or takes too long."""
        try:
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=timeout, check=False, env={"PATH": PATH, "LC_ALL": "C"})
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout[:LIMIT].decode("utf-8", "replace") if done.returncode == 0 else None


PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def number(text):
    """A whole number, or None."""
    try:
        return int(str(text).strip().split()[0], 0)
    except (ValueError, IndexError):
        return None
