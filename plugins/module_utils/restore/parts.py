# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of an archive on the control plane that is restored: received in pieces, checked, unpacked.

Standard library only.

They are in a directory that only root can read, and that is deleted when the restore is complete or undone.
"""

from __future__ import annotations

import base64
import calendar
import contextlib
import glob
import hashlib
import os
import shutil
import time
import zlib
from typing import Any, Dict, List, Optional

from ..base.text_files import write_atomically
from ..node import paths

PREFIX = paths.OWN_DATA + "/restore-"
# etcd's data made of a snapshot, beside those that are in use until they are put in place.
BUILT = paths.ETCD_DATA + "/restored-"
Manifest = Dict[str, Any]
# Clients of the API have seen revisions that the restored data do not have. The restored ones begin so far after them
# that none is taken for an older one, and those before are marked as compacted, so that clients read everything again.
# https://github.com/kubernetes/kubernetes/issues/118501
# An archive may be restored twice: what was written after the first time is passed over by the time between the two.
LEAST, EACH_SECOND = 1000000000, 1000
CREATED, AT = "%Y-%m-%dT%H:%M:%SZ", "%Y%m%dT%H%M%SZ"


def raised_by(manifest: Manifest, at: str) -> int:
    """Return by how much the revisions of an archive are raised. at: when the restore began, as in its journal."""
    created = calendar.timegm(time.strptime(manifest["created"], CREATED))
    return LEAST + EACH_SECOND * max(0, calendar.timegm(time.strptime(at, AT)) - created)


def differing(wanted: Dict[str, int], counts: Optional[Dict[str, int]]) -> List[str]:
    """Return the kinds of which a restored cluster has another number of objects than the archive.

    counts: None if the cluster does not have the archive's revision any more, so that nothing can be compared.
    """
    if counts is None:
        return []
    return sorted(kind for kind in {**wanted, **counts} if wanted.get(kind, 0) != counts.get(kind, 0))


class PartsError(Exception):
    """A part of the archive did not arrive as it was saved; the message says which."""


class Parts:
    """The parts of one archive. archive: its ID. manifest: of the archive."""

    def __init__(self, archive: str, manifest: Manifest, root: str = "") -> None:
        self.archive, self.root, self.rows = archive, root, manifest["parts"]
        self.place = root + PREFIX + archive

    def path(self, name: str) -> str:
        """Return where a part is. Raise PartsError if it is not in the manifest."""
        if name not in self.rows or ".." in name.split("/") or os.path.isabs(name):
            raise PartsError("the archive has no part %s" % name)
        return os.path.join(self.place, name)

    def begin(self) -> List[str]:
        """Make the directory. Return the parts that have to be sent."""
        os.makedirs(self.place, mode=0o700, exist_ok=True)
        missing = [name for name in sorted(self.rows) if not self.is_complete(name)]
        for name in missing:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path(name))
        return missing

    def receive(self, name: str, offset: int, piece: str) -> None:
        """Append a piece, which is compressed and in base64. Raise PartsError if it is not the next one."""
        path = self.path(name)
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as stream:
            if stream.tell() != offset:
                raise PartsError("%s: the piece at %d does not follow the one before" % (name, offset))
            stream.write(zlib.decompress(base64.b64decode(piece)))

    def is_complete(self, name: str) -> bool:
        """Return True if a part is here as it was saved."""
        path, digest = self.path(name), hashlib.sha256()
        if not os.path.isfile(path) or os.path.getsize(path) != self.rows[name]["size"]:
            return False
        with open(path, "rb") as stream:
            for block in iter(lambda: stream.read(1 << 20), b""):
                digest.update(block)
        return bool(digest.hexdigest() == self.rows[name]["sha256"])

    def check(self) -> None:
        """Raise PartsError unless all parts are complete."""
        wrong = [name for name in sorted(self.rows) if not self.is_complete(name)]
        if wrong:
            raise PartsError("%s did not arrive as saved. Run this again." % ", ".join(wrong))

    def under(self, folder: str) -> List[str]:
        """Return the parts of a folder of the archive that have a place on the node."""
        return [name for name in sorted(self.rows) if name.startswith(folder) and self.rows[name].get("path")]

    def content(self, name: str) -> bytes:
        """Return a part. Raise OSError."""
        with open(self.path(name), "rb") as stream:
            return stream.read()

    def put(self, name: str, target: str) -> None:
        """Write a part to a file, with its mode and owner. Raise OSError."""
        row = self.rows[name]
        write_atomically(target, self.content(name), int(row["mode"], 8), row["owner"], row["group"])

    def remove(self) -> None:
        """Delete the parts."""
        shutil.rmtree(self.place, ignore_errors=True)


def clean(root: str = "") -> bool:
    """Delete the parts of all archives on this node, and the data made of them that no etcd uses. Return True if there
    were any."""
    found = [place for prefix in (PREFIX, BUILT) for place in glob.glob(glob.escape(root + prefix) + "*")]
    for place in found:
        shutil.rmtree(place, ignore_errors=True)
    return bool(found)
