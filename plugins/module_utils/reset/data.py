# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove the data that the cluster made on a host: only what was not there before, nothing behind a mount point.

Standard library only.
"""

from __future__ import annotations

import os
import re
import shutil
from typing import Callable, Collection, Dict, Iterable, List, Sequence

from ..node import data_places, paths

# Mount points of pods: of their volumes, of containerd's containers and sandboxes in Kubernetes' namespace, and of
# network namespaces. Other namespaces of a containerd belong to other programs, such as moby to Docker.
MOUNTS = (
    paths.KUBELET_DATA + "/",
    "/run/containerd/io.containerd.grpc.v1.cri/",
    "/run/containerd/io.containerd.runtime.v2.task/k8s.io/",
    "/run/k3s/",
    "/run/netns/cni-",
)


class Data:
    """The data on one host. note and failed are those of Cleanup.

    check: only report. keep: paths that stay, with what is in them.
    """

    def __init__(
        self,
        recorded: Dict[str, Dict[str, List[str]]],
        note: Callable[[str], bool],
        failed: Callable[[str, str], None],
        check: bool = False,
        keep: Sequence[str] = (),
    ) -> None:
        """recorded: the part `data` of the record of ownership."""
        self.recorded, self.note, self.failed, self.check = recorded, note, failed, check
        self.keep = set(keep)

    def remove_all(self) -> None:
        """Remove what the cluster made in all recorded places."""
        for path in self._order():
            if path in self.keep:
                continue
            if path == paths.ETCD_DATA and not _has_own_etcd() and data_places.content(path):
                if not self.recorded[path]["before"]:
                    why = "%s/etcd.yaml is missing, so another etcd may have made them" % paths.MANIFESTS
                    self.failed(path, why)
                continue
            self.remove(path, self.recorded[path]["before"])

    def _order(self) -> Iterable[str]:
        """Return the recorded places: etcd's first, and what is inside another place before that."""
        return sorted(self.recorded, key=lambda path: (path != paths.ETCD_DATA, -len(path), path))

    def remove(self, path: str, before: Sequence[str] = ()) -> None:
        """Remove a file or tree, but nothing behind a mount point, no mount point, and nothing that was there before.

        before: names in it that stay. A link to a directory stays too: where data are is the host's choice.
        """
        if not os.path.lexists(path) or data_places.ITSELF in before:
            return
        real = os.path.realpath(path)
        tree = os.path.isdir(path)
        inner = mounts_below(real) if tree else []
        if inner and not (self.check and any(point.startswith(MOUNTS) for point in inner)):
            self.failed(path, "%s is mounted there" % ", ".join(inner))
            return
        partly = any(_inside(place, path) for place in self.keep)
        if tree and (before or partly or os.path.islink(path) or os.path.ismount(real)):
            self._empty(path, before)
        elif self.note("remove %s" % path):
            delete(path)

    def _empty(self, path: str, before: Sequence[str]) -> None:
        """Remove what is in a directory, except names that were there before."""
        stay = sorted({*before} & {*os.listdir(path)})
        found = list(self._removable(path, {"lost+found", *before}))
        shown = "%s (%s)" % (path, os.path.realpath(path)) if os.path.islink(path) else path
        text = "empty %s" % shown + (", except what was there before: %s" % ", ".join(stay) if stay else "")
        if found and self.note(text):
            for inner in found:
                delete(inner)

    def _removable(self, path: str, stay: Collection[str] = ()) -> Iterable[str]:
        """Return the paths in a directory without which only kept ones are left. stay: names that are left out."""
        for name in sorted(set(os.listdir(path)) - set(stay)):
            inner = os.path.join(path, name)
            if inner not in self.keep:
                partly = any(_inside(place, inner) for place in self.keep)
                yield from self._removable(inner) if partly else [inner]

    def still_there(self) -> Dict[str, Dict[str, List[str]]]:
        """Return the recorded places in which something of the cluster's is left."""
        return {
            path: entry
            for path, entry in self.recorded.items()
            if set(data_places.content(path)) - set(entry["before"])
        }


def _inside(path: str, directory: str) -> bool:
    return path.startswith(directory.rstrip("/") + "/")


def _has_own_etcd() -> bool:
    return os.path.exists(paths.MANIFESTS + "/etcd.yaml")


def delete(path: str) -> None:
    """Delete a file, a link or a tree. Do nothing if it does not exist."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def mount_points() -> list[str]:
    """Return all mount points, in the order in which they were mounted. Raise OSError if they are unknown."""
    with open("/proc/mounts", encoding="utf-8", errors="surrogateescape") as stream:
        return [_unescaped(line.split()[1]) for line in stream]


def mounts_below(path: str) -> list[str]:
    """Return the mount points inside a directory. Raise OSError if they are unknown."""
    return sorted({point for point in mount_points() if _inside(point, path)})


def _unescaped(text: str) -> str:
    """Return a path of /proc/mounts as it is: blanks and some others are octal numbers there (proc_mounts(5))."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found.group(1), 8)), text)
