# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A support bundle on the controller: parts of the nodes, then one file of mode 0600."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import time


def parts(path: str) -> str:
    """The directory in which the parts of a bundle wait, for their owner alone."""
    return path + ".parts"


def keep(path: str, host: str, archive: bytes) -> None:
    """Keep a node's part."""
    os.makedirs(parts(path), mode=0o700, exist_ok=True)
    target = os.path.join(parts(path), host.replace("/", "_") + ".tar.gz")
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        stream.write(archive)


def pack(path: str, report: list) -> list:
    """Put the parts and the report into one tar.gz and take the parts away. Returns the hosts that are in it."""
    os.makedirs(parts(path), mode=0o700, exist_ok=True)
    names = sorted(os.listdir(parts(path)))
    top = os.path.basename(path).split(".")[0]
    temporary = path + ".new"
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream, tarfile.open(
        fileobj=stream, mode="w:gz"
    ) as bundle:
        _add(bundle, top + "/report.txt", "\n".join(report) + "\n")
        for name in names:
            with tarfile.open(os.path.join(parts(path), name)) as part:
                for member in part:
                    data = part.extractfile(member)
                    # A long name has its own header, which would win.
                    member.name, member.pax_headers = "%s/%s" % (top, member.name), {}
                    bundle.addfile(member, data)
    os.replace(temporary, path)
    shutil.rmtree(parts(path))
    return [name[: -len(".tar.gz")] for name in names]


def _add(bundle, name, text):
    data = text.encode()
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = len(data), 0o600, int(time.time())
    bundle.addfile(entry, io.BytesIO(data))
