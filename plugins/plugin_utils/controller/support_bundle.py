# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A support bundle on the controller: a part from each node, then one file with mode 0600."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import time
import zlib
from collections.abc import Iterable

SUFFIX = ".tar.gz"
# What one node's files may be long together.
PART_LIMIT = 256 << 20


def parts(path: str) -> str:
    """Return the directory in which the parts of a bundle are kept until it is packed. Only its owner can read it."""
    return path + ".parts"


def keep(path: str, host: str, archive: bytes) -> None:
    """Keep a node's part."""
    os.makedirs(parts(path), mode=0o700, exist_ok=True)
    target = os.path.join(parts(path), host.replace("/", "_") + SUFFIX)
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        stream.write(archive)


def pack(path: str, report: Iterable[str]) -> list[str]:
    """Put the parts and the report into one tar.gz and delete the parts. Return the hosts that are in it."""
    os.makedirs(parts(path), mode=0o700, exist_ok=True)
    names = sorted(os.listdir(parts(path)))
    top = os.path.basename(path).split(".")[0]
    temporary = path + ".new"
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream, tarfile.open(
        fileobj=stream, mode="w:gz"
    ) as bundle:
        _add_text(bundle, top + "/report.txt", "\n".join(report) + "\n")
        for name in names:
            _add_part(bundle, "%s/%s" % (top, name[: -len(SUFFIX)]), os.path.join(parts(path), name))
    os.replace(temporary, path)
    shutil.rmtree(parts(path))
    return [name[: -len(SUFFIX)] for name in names]


def _add_part(bundle: tarfile.TarFile, folder: str, path: str) -> None:
    """Add the regular files of a node's part below the host's folder, and a note if the part cannot be read.

    A node decides what is in its part: only names and contents are taken, no links, no modes, and nothing that leads
    out of its folder.
    """
    room = PART_LIMIT
    try:
        with tarfile.open(path) as part:
            for member in part:
                inner = _inner_name(member)
                data = part.extractfile(member) if inner else None
                if data is None:
                    continue
                room -= member.size
                if room < 0:
                    raise tarfile.ReadError("it has more than %d MiB" % (PART_LIMIT >> 20))
                # Read first: half a file would spoil the rest of the bundle.
                _add(bundle, "%s/%s" % (folder, inner), data.read(), int(member.mtime))
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        _add_text(bundle, folder + "/incomplete.txt", "The rest of this part cannot be read: %s\n" % error)


def _inner_name(member: tarfile.TarInfo) -> str:
    """Return the name of a regular file below the part's top folder, "" if it is none that is taken."""
    pieces = member.name.split("/")[1:]
    safe = member.isreg() and member.name.isprintable() and pieces and not {"", ".", ".."} & set(pieces)
    return "/".join(pieces) if safe and not member.name.startswith(("/", "..")) else ""


def _add_text(bundle: tarfile.TarFile, name: str, text: str) -> None:
    _add(bundle, name, text.encode(), int(time.time()))


def _add(bundle: tarfile.TarFile, name: str, data: bytes, changed: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = len(data), 0o600, changed
    bundle.addfile(entry, io.BytesIO(data))
