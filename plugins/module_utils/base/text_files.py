# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read and write small files. Standard library only."""

from __future__ import annotations

import glob
import os
import tempfile
import time

# How long nobody writes to a file that is written in one step; older ones were left by a process that was killed.
STALE_SECONDS = 600


def read_text(path: str) -> str:
    """Return the text of a file, or "" if it does not exist or cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""


def write_atomically(path: str, content: bytes, mode: int, owner: int = -1, group: int = -1) -> None:
    """Replace a file in one step, flushed to disk, with its mode and owner set before it becomes visible."""
    handle, temporary = tempfile.mkstemp(prefix=".kubewright-", dir=os.path.dirname(path))
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.chown(temporary, owner, group)
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


def leftovers(directory: str, age: float = STALE_SECONDS) -> list[str]:
    """Return the temporary files of write_atomically that processes which were killed left in a directory.

    age: seconds since they were last written to.
    """
    found = []
    for path in glob.glob(os.path.join(glob.escape(directory), ".kubewright-*")):
        try:
            info = os.lstat(path)
        except OSError:
            continue
        if time.time() - info.st_mtime >= age:
            found.append(path)
    return found


def differs(path: str, text: str) -> bool:
    """Return True if write_secret would change the file. White space at both ends does not count."""
    return read_text(path).strip() != text


def write_secret(path: str, text: str) -> bool:
    """Write a file of mode 0600, and its directory, if the text differs. Return True if it was written."""
    if not differs(path, text):
        return False
    os.makedirs(os.path.dirname(path), exist_ok=True)
    write_atomically(path, (text + "\n").encode(), 0o600)
    return True
