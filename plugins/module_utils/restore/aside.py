# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a control plane had before a restore: kept in dated directories beside it, and put back by undo. Nothing is
deleted. Standard library only.

How far a restore has come is in the record of ownership, so that a run that was killed is finished by the next.
"""

from __future__ import annotations

import os
import shutil
from typing import Any, Dict, List, Tuple

from ..base.text_files import write_atomically
from ..node import ownership, paths

# The steps of a control plane: its former data are being moved, have been moved, have been replaced.
STOPPING, STOPPED, PLACED = "stopping", "stopped", "placed"
STATIC_PODS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd")
KUBECONFIGS = ("admin.conf", "super-admin.conf", "controller-manager.conf", "scheduler.conf")
CA = "pki/ca.crt"
Row = Dict[str, Any]


class Journal:
    """The restore of this node in the record of ownership; the caller holds the node's lock.

    root: for tests. former: the directory in which the former files are kept.
    """

    def __init__(self, root: str = "", former: str = paths.KUBERNETES) -> None:
        self.root, self.path, self.former = root, root + paths.OWNERSHIP_RECORD, former

    def read(self) -> Row:
        """Return {archive, at, first, step, made}, {} if no restore is unfinished. Raise OwnershipError."""
        return ownership.read(self.path)["settings"].get(ownership.RESTORING) or {}

    def write(self, row: Row) -> None:
        """Record how far the restore is. Its directory of former files is ours from now on: reset removes it."""
        record = ownership.read(self.path)
        record["settings"][ownership.RESTORING] = row
        record["data"].setdefault(self.former + "/before-" + row["at"], {"before": []})
        ownership.write(record, self.path)

    def end(self) -> None:
        """Record that the restore of this node is complete, or undone."""
        record = ownership.read(self.path)
        if record["settings"].pop(ownership.RESTORING, None) is not None:
            ownership.write(record, self.path)


class Aside:
    """The former files of this control plane. row: what Journal.read() returned, or begins with {at, first}."""

    def __init__(self, row: Row, root: str = "") -> None:
        self.row, self.root = row, root
        self.kubernetes, self.etcd = root + paths.KUBERNETES, root + paths.ETCD_DATA
        self.place = "%s/before-%s" % (self.kubernetes, row["at"])
        self.data = "%s/before-%s" % (self.etcd, row["at"])

    def _moves(self) -> List[Tuple[str, str]]:
        """Return (where it is, where it is kept), the manifests first.

        A control plane that joins again keeps its kubelet's identity, so that its Node and its pods stay.
        """
        names = ["manifests/%s.yaml" % name for name in STATIC_PODS] + ["pki", *KUBECONFIGS]
        if self.row["first"]:
            names.append("kubelet.conf")
        moves = [(os.path.join(self.kubernetes, name), os.path.join(self.place, name)) for name in names]
        return [*moves, (self.etcd + "/member", self.data + "/member")]

    def move(self) -> bool:
        """Move what is there into the dated directories. Return True if anything was moved. Safe to repeat."""
        moved = False
        for source, target in self._moves():
            if os.path.lexists(source) and not os.path.lexists(target):
                os.makedirs(self.data if source.startswith(self.etcd) else self.place, mode=0o700, exist_ok=True)
                os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
                os.rename(source, target)
                moved = True
        # The kubelet does not start without it, and join fetches the rest.
        kept, authority = os.path.join(self.place, CA), os.path.join(self.kubernetes, CA)
        if not self.row["first"] and os.path.exists(kept) and not os.path.exists(authority):
            os.makedirs(os.path.dirname(authority), mode=0o755, exist_ok=True)
            ownership.copy_with_attributes(kept, authority)
        return moved

    def put_back(self, journal: Journal) -> bool:
        """Put everything back in its place, and remove what the restore put there. Return True if anything was.

        Safe to repeat: what has no former one goes first, and what has its place after that is a former one.
        """
        changed = False
        for path in self.row.get("made") or []:
            changed = os.path.lexists(self.root + path) or changed
            delete(self.root + path)
        kept = self.place + "/files"
        for folder, _folders, names in os.walk(kept):
            for name in names:
                source = os.path.join(folder, name)
                ownership.copy_with_attributes(source, self.root + source[len(kept) :])
                changed = True
        delete(kept)
        if self.row["step"] != STOPPING:
            for source, target in self._moves():
                if os.path.lexists(source) and not os.path.lexists(target):
                    delete(source)
                    changed = True
            self.row["step"] = STOPPING
            journal.write(self.row)
        for source, target in reversed(self._moves()):
            if os.path.lexists(target):
                delete(source)
                os.rename(target, source)
                changed = True
        for place in (self.place + "/manifests", self.place, self.data):
            if os.path.isdir(place) and not os.listdir(place):
                os.rmdir(place)
        return changed

    # -- files of the user -----------------------------------------------------------------------------------------

    def put_file(self, path: str, content: bytes, mode: int, owner: int, group: int, journal: Journal) -> bool:
        """Write a file of the archive in its place, and keep a former one that differs. Return True if it was done."""
        target, kept = self.root + path, self.place + "/files" + path
        if os.path.isfile(target):
            with open(target, "rb") as stream:
                if stream.read() == content:
                    return False
            if not os.path.lexists(kept) and path not in self.row.get("made", []):
                os.makedirs(os.path.dirname(kept), mode=0o700, exist_ok=True)
                ownership.copy_with_attributes(target, kept)
        else:
            self.row.setdefault("made", []).append(path)
            journal.write(self.row)
        os.makedirs(os.path.dirname(target), mode=0o755, exist_ok=True)
        write_atomically(target, content, mode, owner, group)
        return True


def delete(path: str) -> None:
    """Delete a file or a directory, if it is there."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)
