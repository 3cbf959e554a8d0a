# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stop a kubeadm control plane for a restore, and undo that. Standard library only.

Only the static pods end. The pods of users keep running, here and on all other nodes.
"""

from __future__ import annotations

import json
import os
from typing import Any, List, Mapping

from ..kubeadm.runner import Runner
from ..node import paths, services, space
from . import parts, survivor
from .aside import STATIC_PODS, STOPPED, STOPPING, Aside, Journal

CRICTL = paths.PROGRAMS + "/crictl"


class RestoreError(Exception):
    """The restore cannot go on; the message says why and what to do."""


def not_counted(error: Exception) -> RestoreError:
    """Return the failure of a restore whose data are in place, and whose objects nothing counts."""
    text = (
        "the restored control plane serves, and its etcd does not say how many objects it has: %s. Nothing was "
        "deleted. Look at etcd's log there, then run restore again: it goes on where it was."
    )
    return RestoreError(text % (error or type(error).__name__))


def refuse_without_space(place: str, needed: int) -> None:
    """Raise RestoreError if the restored data do not fit. needed: in bytes."""
    found = space.shortage(place, needed)
    if found:
        text = "%s has %d MiB free, and the restored data need %d MiB beside the former ones. Free some space."
        raise RestoreError(text % (place, *found))


class ControlPlane:
    """This node's control plane. name: of its Node. root, runner: replaced by tests."""

    def __init__(self, name: str, root: str = "", runner: Runner | None = None) -> None:
        self.name, self.root, self.runner = name, root, runner or Runner(root)
        self.journal = Journal(root)

    def stop(self, archive: str, at: str, leader: str, first: bool, files: List[Mapping[str, Any]]) -> bool:
        """Stop this control plane and put its data aside. Return True if anything was done.

        archive: its ID. at: when the run began, for the names of directories. leader: the host that is restored first.
        first: it is this one. files: of the user, {path, mode, owner, group, content}, for those that join.
        """
        row = self.journal.read()
        changed = row.get("archive") != archive or row["step"] == STOPPING
        if changed:
            if row.get("archive") != archive:
                if first:
                    survivor.refuse_changed(archive, self.root)
                row = {"archive": archive, "at": at, "leader": leader, "first": first, "step": STOPPING}
            self.journal.write(row)
            self.end_pods()
            Aside(row, self.root).move()
            row["step"] = STOPPED
            self.journal.write(row)
        if row["step"] == STOPPED and not row["first"]:
            aside = Aside(row, self.root)
            for each in files:
                owner = (each["mode"], each["owner"], each["group"])
                changed = aside.put_file(each["path"], each["content"], *owner, self.journal) or changed
            if changed and self.runner.has("kubelet.conf"):
                self.start_kubelet()
        return changed

    def undo(self) -> bool:
        """Put back what this control plane had, and start it. Return True if anything was done. Raise RestoreError."""
        row = self.journal.read()
        left = parts.clean(self.root)
        if not row:
            return left
        self.end_pods()
        Aside(row, self.root).put_back(self.journal)
        if self.runner.has("kubelet.conf"):
            self.start_kubelet()
        self.journal.end()
        return True

    def start_kubelet(self) -> None:
        """Start the kubelet again. It must not know objects that the restored cluster does not have."""
        done = services.here(lambda argv: self.runner.run(argv, 120)).start("kubelet", restart=True)
        if done.rc:
            raise RestoreError("the kubelet does not start: %s" % done.complaint())

    def end_pods(self) -> None:
        """Stop the kubelet and end the control plane's pods. Raise RestoreError unless none is left."""
        manager = services.here(lambda argv: self.runner.run(argv, 120))
        if not manager.is_down("kubelet"):
            done = manager.stop("kubelet")
            if done.rc:
                raise RestoreError("the kubelet does not stop: %s" % done.complaint())
        if not os.path.exists(self.root + CRICTL):
            return  # without a runtime nothing runs
        why = ""
        for pod in self._static_pods():
            # Removing a pod ends its containers first.
            done = self.runner.run([CRICTL, "--timeout", "60s", "rmp", "--force", pod], 90)
            why = done.complaint(1) if done.rc else why
        left = self._static_pods()
        if left:
            raise RestoreError("%d pods of the control plane do not end: %s" % (len(left), why or ", ".join(left)))

    def _static_pods(self) -> List[str]:
        """Return the IDs of the control plane's pods, also of those that have ended. Raise RestoreError."""
        listed = self.runner.run([CRICTL, "pods", "-o", "json"], 30)
        try:
            rows = json.loads(listed.out)["items"] or [] if listed.rc == 0 else None
        except (ValueError, KeyError, TypeError):
            rows = None
        if rows is None:
            raise RestoreError("containerd does not list its pods: %s" % (listed.complaint() or listed.out[:200]))
        names = ["%s-%s" % (kind, self.name.lower()) for kind in STATIC_PODS]
        mine = [row for row in rows if (row.get("metadata") or {}).get("namespace") == "kube-system"]
        return [row["id"] for row in mine if row["metadata"].get("name") in names]
