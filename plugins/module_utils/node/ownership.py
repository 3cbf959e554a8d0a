# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record on a node of what the collection made there: /etc/kubewright/owned.json. Standard library only.

It does not say what is done (that is read from the node itself) but what is ours, so that reset takes away that and nothing else.
An entry is written before the thing is put in place: a run that is killed in between leaves nothing that nobody knows.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile

PATH = "/etc/kubewright/owned.json"
BACKUPS = "/etc/kubewright/before"
LOCK = "/run/kubewright.lock"


def take_turn(path: str = LOCK):
    """Wait until no other module of ours changes this node, such as one that a killed run left at work; no entry is lost then.

    Returns the open lock file: the turn ends with it, at the latest with the process.
    """
    lock = open(path, "w", encoding="utf-8")  # noqa: SIM115
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def read(path: str = PATH) -> dict:
    """The record, empty where there is none or it cannot be read."""
    try:
        with open(path, encoding="utf-8") as stream:
            record = json.load(stream)
    except (OSError, ValueError):
        record = {}
    if not isinstance(record, dict):
        record = {}
    for key, empty in (("files", {}), ("artifacts", {}), ("directories", []), ("settings", {})):
        record.setdefault(key, empty)
    record["schema"] = 1
    return record


def write(record: dict, path: str = PATH) -> None:
    """Replace the record as a whole."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    write_atomically(path, (json.dumps(record, indent=1, sort_keys=True) + "\n").encode(), 0o644)


def write_atomically(path: str, content: bytes, mode: int, owner: int = -1, group: int = -1) -> None:
    """Put a file in place at once, with its mode and owner set before it can be seen."""
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


def make_directory(path: str, record: dict, mode: int = 0o755) -> None:
    """Make a directory and its parents, and note those that were not there."""
    missing = []
    here = path
    while not os.path.isdir(here):
        missing.append(here)
        here = os.path.dirname(here)
    for directory in reversed(missing):
        if directory not in record["directories"]:
            record["directories"].append(directory)
        os.mkdir(directory, mode)


def keep_former(path: str, record: dict) -> None:
    """Note a file as ours; one that stood there before us is kept aside once."""
    if path in record["files"]:
        return
    backup = None
    if os.path.lexists(path):
        backup = os.path.join(BACKUPS, path.strip("/").replace("/", "--"))
        os.makedirs(BACKUPS, mode=0o700, exist_ok=True)
        copy_whole(path, backup)
    record["files"][path] = {"backup": backup}


def copy_whole(source: str, path: str) -> None:
    """Copy a file or link with mode, owner and times; it is there at once or not at all."""
    temporary = os.path.join(os.path.dirname(path), ".kubewright-" + os.path.basename(path))
    if os.path.lexists(temporary):
        os.unlink(temporary)
    shutil.copy2(source, temporary, follow_symlinks=False)
    info = os.lstat(source)
    os.chown(temporary, info.st_uid, info.st_gid, follow_symlinks=False)
    if not os.path.islink(temporary):
        os.chmod(temporary, info.st_mode & 0o7777)
    os.replace(temporary, path)
