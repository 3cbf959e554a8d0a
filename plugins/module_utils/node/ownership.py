# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record on a node of what the collection made there: /etc/kubewright/owned.json. Standard library only.

It does not say what is installed (that is read from the node itself) but what is ours, so that reset removes only that.
An entry is written before the thing itself is put in place: a run that is killed in between leaves nothing unrecorded.
"""

from __future__ import annotations

import contextlib
import fcntl
import filecmp
import json
import os
import shutil
import time
from typing import IO, Any, Dict, Iterator

from ..base.text_files import read_text, write_atomically
from . import paths

PATH, BACKUPS, LOCK = paths.OWNERSHIP_RECORD, paths.BACKUPS, paths.LOCK
# data: by path the names that were in it before (data_places). interfaces: those that were there before.
PARTS: dict[str, type] = {
    "files": dict,
    "artifacts": dict,
    "directories": list,
    "settings": dict,
    "data": dict,
    "interfaces": list,
}
Record = Dict[str, Any]
# The longest work under the lock is the download of all programs.
LOCK_SECONDS = 900
# The setting that says how far a restore of this control plane is.
RESTORING = "restore"


class OwnershipError(Exception):
    """The record cannot be used, so nothing may be changed; the message says what to do."""


def lock_node(path: str | None = None, seconds: float = LOCK_SECONDS, inherited: bool = False) -> IO[str]:
    """Wait until no other module of the collection changes this node, such as one that a killed run left behind.

    Return the open lock file, with this process's number in it. The lock ends when it is closed, at the latest with the
    process. inherited: a program that is started meanwhile, and outlives this process, keeps it.
    Raise OwnershipError after so many seconds, with the number of the process that took it.
    """
    path = path or LOCK
    try:
        lock = open(path, "a+", encoding="utf-8")  # noqa: SIM115
    except OSError as error:
        raise OwnershipError(
            "%s cannot be opened: %s. Run the play as root (ansible_become: true)." % (path, error.strerror)
        ) from None
    os.set_inheritable(lock.fileno(), inherited)
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError:
            if time.monotonic() > deadline:
                holder = read_text(path).strip() or "unknown"
                lock.close()
                text = (
                    "another run has been changing this node for %d s (%s, process %s or a program that it started). "
                    "Wait for it or end it, then run this again."
                )
                raise OwnershipError(text % (seconds, path, holder)) from None
            time.sleep(0.2)
    lock.truncate(0)
    lock.write("%d\n" % os.getpid())
    lock.flush()
    return lock


@contextlib.contextmanager
def changing(check_mode: bool) -> Iterator[Record]:
    """Hold the node's lock, which check mode does not need, and return the record. Raise OwnershipError."""
    with contextlib.nullcontext() if check_mode else lock_node():
        yield read()


def parsed(text: str) -> Record:
    """Return the record in a text. Raise ValueError if it is not one."""
    record = json.loads(text)
    if not isinstance(record, dict):
        raise ValueError("it is not a JSON object")
    for key, kind in PARTS.items():
        if not isinstance(record.setdefault(key, kind()), kind):
            raise ValueError("%s is not a JSON %s" % (key, "object" if kind is dict else "array"))
    for key in ("files", "artifacts", "data"):
        if not all(isinstance(entry, dict) for entry in record[key].values()):
            raise ValueError("%s has an entry that is not a JSON object" % key)
    if not all(isinstance(entry.get("before"), list) for entry in record["data"].values()):
        raise ValueError("data has an entry without the names that were there before")
    record["schema"] = 1
    return record


def read(path: str | None = None) -> Record:
    """Return the record, an empty one if there is none. Raise OwnershipError if it is damaged or cannot be read."""
    path = path or PATH
    try:
        with open(path, encoding="utf-8") as stream:
            return parsed(stream.read())
    except FileNotFoundError:
        return parsed("{}")
    except (OSError, ValueError, RecursionError) as error:
        raise OwnershipError(
            "%s is damaged (%s): what belongs to the collection on this node is unknown, so nothing was changed. "
            "Restore the file, or move it away if reset does not need to remove what earlier runs made."
            % (path, getattr(error, "strerror", None) or error)
        ) from None


def write(record: Record, path: str | None = None) -> None:
    """Replace the record as a whole."""
    path = path or PATH
    os.makedirs(os.path.dirname(path), exist_ok=True)
    write_atomically(path, (json.dumps(record, indent=1, sort_keys=True) + "\n").encode(), 0o644)


def make_directory(path: str, record: Record, mode: int = 0o755) -> None:
    """Make a directory and its parents, and record those that did not exist."""
    missing = []
    here = path
    while not os.path.isdir(here):
        missing.append(here)
        here = os.path.dirname(here)
    for directory in reversed(missing):
        if directory not in record["directories"]:
            record["directories"].append(directory)
        os.mkdir(directory)
        os.chmod(directory, mode)  # whatever this process's umask is


def back_up_former(path: str, record: Record) -> None:
    """Record a file as ours. One that was there before is copied to BACKUPS first, once."""
    if path in record["files"]:
        return
    backup = None
    if os.path.lexists(path):
        backup = _place_of_backup(path)
        os.makedirs(BACKUPS, mode=0o700, exist_ok=True)
        copy_with_attributes(path, backup)
    record["files"][path] = {"backup": backup}


def _place_of_backup(path: str) -> str:
    """Return where the backup of a file goes. A backup left by a lost record is not overwritten."""
    first = found = os.path.join(BACKUPS, path.strip("/").replace("/", "--"))
    number = 1
    while os.path.lexists(found) and not _is_same(path, found):
        found, number = "%s.%d" % (first, number), number + 1
    return found


def _is_same(path: str, other: str) -> bool:
    if os.path.islink(path) or os.path.islink(other):
        return os.path.islink(path) and os.path.islink(other) and os.readlink(path) == os.readlink(other)
    return filecmp.cmp(path, other, shallow=False)


def take_back(path: str, record: Record) -> None:
    """Remove a file of ours and restore what was there before. If a run is killed in between, the next continues.

    Directories that we made for it, and that are empty now, go with it: containerd takes an empty one for a registry's
    settings.
    """
    backup = record["files"][path].get("backup")
    if backup and os.path.lexists(backup):
        copy_with_attributes(backup, path)
        os.unlink(backup)
    elif not backup and os.path.lexists(path):
        os.unlink(path)
    del record["files"][path]
    here = os.path.dirname(path)
    while here in record["directories"] and os.path.isdir(here) and not os.listdir(here):
        os.rmdir(here)
        record["directories"].remove(here)
        here = os.path.dirname(here)
    write(record)


def copy_with_attributes(source: str, path: str) -> None:
    """Copy a file or link with its mode, owner and times. The copy appears in one step, flushed to disk."""
    temporary = os.path.join(os.path.dirname(path), ".kubewright-" + os.path.basename(path))
    if os.path.lexists(temporary):
        os.unlink(temporary)
    try:
        shutil.copy2(source, temporary, follow_symlinks=False)
        info = os.lstat(source)
        os.chown(temporary, info.st_uid, info.st_gid, follow_symlinks=False)
        if not os.path.islink(temporary):
            os.chmod(temporary, info.st_mode & 0o7777)
            with open(temporary, "rb") as stream:
                os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        if os.path.lexists(temporary):
            os.unlink(temporary)
        raise
