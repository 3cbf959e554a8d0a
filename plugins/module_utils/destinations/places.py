# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where archives are kept beside the machine that made them. Standard library only."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from abc import ABC, abstractmethod
from typing import List

from ..base.text_files import read_text
from ..node import downloads
from ..node.paths import FSTAB
from .naming import TIME

PARTIAL = ".partial"


class PlaceError(Exception):
    """An archive was not kept at a place. id: what is wrong, for tests and programs. The text has no secrets."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.id = "destination." + kind


class Place(ABC):
    """A place for archives. Each method raises PlaceError."""

    # What messages call it; without secrets.
    label = ""

    @abstractmethod
    def put(self, path: str, name: str, sha256: str, partial: str) -> None:
        """Keep a file under a name after it was read back and has the digest. partial: its name until then."""

    @abstractmethod
    def fetch(self, name: str, target: str) -> None:
        """Write what is kept under a name to a file."""

    @abstractmethod
    def names(self, start: str) -> List[str]:
        """Return all names that begin like this. An incomplete answer is an error."""

    @abstractmethod
    def delete(self, names: List[str]) -> None:
        """Delete what is kept under these names."""

    def wrong(self, name: str, there: str, wanted: str) -> PlaceError:
        """Return the error of a file that is read back with another digest."""
        text = "%s%s: what is read back is not what was sent (SHA-256 %s, not %s). It was deleted; run this again."
        return PlaceError("damaged", text % (self.label, name, there[:16], wanted[:16]))


class Directory(Place):
    """A directory of this machine, such as a mounted file system."""

    def __init__(self, path: str) -> None:
        self._path, self.label = path, path.rstrip("/") + "/"

    def put(self, path: str, name: str, sha256: str, partial: str) -> None:
        """See Place."""
        target = os.path.join(self._path, partial)
        self._refuse_unmounted()
        try:
            os.makedirs(self._path, mode=0o700, exist_ok=True)
            with open(path, "rb") as source, os.fdopen(_new(target), "wb") as stream:
                shutil.copyfileobj(source, stream, 1 << 20)
                stream.flush()
                os.fsync(stream.fileno())
            there = downloads.sha256(target)
            if there != sha256:
                raise self.wrong(name, there, sha256)
            os.replace(target, os.path.join(self._path, name))
        except BaseException as error:
            # On a full disk, the parts of archives would keep it full.
            with contextlib.suppress(OSError):
                os.unlink(target)
            if isinstance(error, OSError):
                raise self._failed(error) from None
            raise

    def fetch(self, name: str, target: str) -> None:
        """See Place."""
        try:
            shutil.copyfile(os.path.join(self._path, name), target)
        except OSError as error:
            raise self._failed(error) from None

    def names(self, start: str) -> List[str]:
        """See Place."""
        try:
            return [name for name in os.listdir(self._path) if name.startswith(start)]
        except OSError as error:
            raise self._failed(error) from None

    def delete(self, names: List[str]) -> None:
        """See Place."""
        try:
            for name in names:
                os.unlink(os.path.join(self._path, name))
        except OSError as error:
            raise self._failed(error) from None

    def _refuse_unmounted(self) -> None:
        """Raise PlaceError if the directory is on a file system of fstab that is not mounted now.

        The archive would be written to the disk below the mount point, where nobody looks for it.
        """
        words = [line.split() for line in read_text(FSTAB).splitlines() if not line.lstrip().startswith("#")]
        points = [row[1].rstrip("/") for row in words if len(row) > 1 and row[1].startswith("/")]
        above = [point for point in points if point and (self._path + "/").startswith(point + "/")]
        missing = [point for point in above if not os.path.ismount(point)]
        if missing:
            text = "%s: %s is not mounted, and /etc/fstab has it. Mount it: mount %s"
            raise PlaceError("not_mounted", text % (self.label, missing[0], missing[0]))

    def _failed(self, error: OSError) -> PlaceError:
        return PlaceError("refused", "%s: %s" % (self.label, error.strerror or error))


def _new(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)


def keep(place: Place, path: str, name: str, start: str, newest: int) -> List[str]:
    """Keep a finished archive at a place; then delete older ones of its cluster. Return the names of those.

    name: of the archive. start: how the names of all archives of its cluster begin. newest: how many stay, 0 for all.
    Nothing is deleted unless the place lists the archive that was just kept. Raise PlaceError.
    """
    pattern = re.compile(re.escape(start) + TIME)
    hidden = "." + start
    place.put(path, name, downloads.sha256(path), "." + name + PARTIAL)
    if not newest:
        return []
    there = sorted(found for found in place.names(start) if pattern.fullmatch(found))
    if name not in there:
        text = "%s: the archive %s was sent, and is not in the listing. Nothing was deleted there."
        raise PlaceError("listing", text % (place.label, name))
    older = [found for found in there if found < name]
    count = max(0, min(len(there) - newest, len(older)))
    # What a run that was killed left behind.
    cut = [found for found in place.names(hidden) if pattern.fullmatch(found[1 : -len(PARTIAL)]) and found[1:] < name]
    place.delete([*older[:count], *cut])
    return older[:count]
