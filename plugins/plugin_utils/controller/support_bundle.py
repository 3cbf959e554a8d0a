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
from collections.abc import Iterable

SUFFIX = ".tar.gz"


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
            with tarfile.open(os.path.join(parts(path), name)) as part:
                _add_part(bundle, top, part)
    os.replace(temporary, path)
    shutil.rmtree(parts(path))
    return [name[: -len(SUFFIX)] for name in names]


def _add_part(bundle: tarfile.TarFile, top: str, part: tarfile.TarFile) -> None:
    """Add the regular files of a node's part. A node cannot bring links or names that lead out of the bundle."""
    for member in part:
        if not member.isreg() or member.name.startswith("/") or ".." in member.name.split("/"):
            continue
        data = part.extractfile(member)
        # A long name has its own header, which would win.
        member.name, member.pax_headers = "%s/%s" % (top, member.name), {}
        bundle.addfile(member, data)


def _add_text(bundle: tarfile.TarFile, name: str, text: str) -> None:
    data = text.encode()
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = len(data), 0o600, int(time.time())
    bundle.addfile(entry, io.BytesIO(data))
