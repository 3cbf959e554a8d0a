# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a host back to its state before the collection: remove what the record of ownership names, restore the rest.

Standard library only. It may be killed at any point and run again: the record is removed last.
"""

from __future__ import annotations

import errno
import glob
import os
import signal
import time
from typing import Any, Dict, List

from ..base import commands
from ..base.commands import Result
from ..base.text_files import leftovers, write_atomically
from ..node import os_settings, ownership, paths, services
from ..node.data_places import LOGIND, content, image_places, of_service
from ..node.downloads import sha256
from ..node.ownership import Record
from .data import MOUNTS, Data, delete, mount_points
from .network import Network
from .processes import inode, network_namespaces, pods

K3S_IMAGES = ("containerd", "images")
EMPTY_AFTERWARDS = (
    paths.K3S_CONFIG_D,
    paths.K3S,
    "/etc/rancher",
    "/var/lib/rancher",
    paths.CNI_CONF,
    "/etc/cni",
    paths.CONTAINERD + "/conf.d",
    paths.CONTAINERD,
    paths.KUBERNETES,
)
# Prefixes of containerd's namespaces that Kubernetes and verify use; others are other programs', such as Docker's moby.
NAMESPACES = ("k8s.io", "kubewright")
# Directories whose entries are the namespaces with containers, in containerd's state and in its data.
TASKS = "/io.containerd.runtime.v2.task"


class Cleanup:
    """The reset of one host.

    check: only report what would be removed. keep_images, keep_programs: for a quick new installation.
    """

    def __init__(self, check: bool = False, keep_images: bool = False, keep_programs: bool = False) -> None:
        """Raise OwnershipError if the record is damaged."""
        self.check, self.keep_images, self.keep_programs = check, keep_images, keep_programs
        self.record: Record = ownership.read()
        self.removed: List[str] = []
        self.left: List[Dict[str, str]] = []
        self.data = Data(self.record["data"], self.note, self.failed, check, self.kept() if keep_images else ())

    def note(self, sentence: str) -> bool:
        """Record a change. Return True if it has to be made, False in check mode."""
        self.removed.append(sentence)
        return not self.check

    def failed(self, what: str, why: str) -> None:
        """Record something that could not be removed."""
        self.left.append({"path": what, "why": why})

    @staticmethod
    def run(argv: list[str], stdin: str | None = None) -> Result:
        """Run a command; one that is missing fails like any other."""
        # K3s has its own iptables and ipset, and uses them where the host has none; as in its k3s-killall.sh.
        own = [found + more for found in glob.glob(paths.K3s().data + "/data/*/bin") for more in ("", "/aux")]
        return commands.run(argv, stdin=stdin, env={"PATH": ":".join([commands.PATH, *own])}, clean=True)

    def change(self, what: str, argv: list[str]) -> None:
        """Run a command that changes the host, and record its failure."""
        done = self.run(argv)
        if done.rc:
            self.failed(what, done.complaint(2))

    def anything(self) -> bool:
        """Return True if the collection made anything here."""
        parts = any(self.record[part] for part in ("files", "artifacts", "settings"))
        return bool(parts or os.path.exists(ownership.PATH))

    def ours(self, unit: str) -> bool:
        """Return True if we made a service here: others' kubelets and runtimes keep their data, pods and network."""
        return any(manager.path(unit) in self.record["files"] for manager in (services.Systemd, services.OpenRC))

    def all(self) -> None:
        """Reset the host. Raise OSError if a step fails; running it again continues."""
        if self.ours("containerd"):
            self.check_namespaces()
        self.stop_backups()
        self.stop_units()
        is_k3s = any(map(self.ours, paths.K3S_SERVICES))
        if self.ours("containerd") or is_k3s:
            self.stop_pods()
            self.unmount()
        if self.ours("kubelet") or is_k3s:
            pod_networks = paths.K3s().pod_networks() if is_k3s else ()
            Network(self.run, self.note, self.failed, pod_networks, self.record["interfaces"]).clean()
        self.remove_data()
        self.restore_settings()
        self.remove_programs()
        self.remove_files()
        self.remove_leftovers()
        self.remove_directories()
        self.finish()

    def check_namespaces(self) -> None:
        """Raise OSError if other programs have containers or images in our containerd: they would be lost."""
        used = self.foreign_namespaces()
        if used:
            text = (
                "other programs keep containers or images in it (namespace %s). Nothing was removed yet. Remove those"
            )
            text += " first, for example with ctr -n %s"
            raise OSError(errno.EBUSY, text % (", ".join(used), used[0]), "containerd")

    def foreign_namespaces(self) -> list[str]:
        """Return containerd's namespaces of other programs that are not empty."""
        ctr = [paths.PROGRAMS + "/ctr", "--address", paths.CONTAINERD_SOCKET]
        listed = self.run([*ctr, "namespaces", "list", "-q"])
        if listed.rc == 0:
            others = [name for name in listed.out.split() if not name.startswith(NAMESPACES)]
            kinds = ("containers", "images")
            return [
                name
                for name in others
                if any(self._has_content([*ctr, "-n", name, kind, "list", "-q"]) for kind in kinds)
            ]
        # It does not run: its directories show whose containers it has.
        roots = [root for root in self.data.recorded if os.path.isdir(root + TASKS)]
        names = {name for root in roots for name in os.listdir(root + TASKS) if os.listdir(root + TASKS + "/" + name)}
        return sorted(name for name in names if not name.startswith(NAMESPACES))

    def _has_content(self, argv: list[str]) -> bool:
        """Return True if a list is not empty, or is unknown because the command failed."""
        done = self.run(argv)
        return done.rc != 0 or bool(done.out.strip())

    def remove_data(self) -> None:
        """Remove data; logind reads its configuration again if the kubelet changed it."""
        waited_for_kubelet = os.path.exists(LOGIND)
        for path in self.unknown_data():
            self.failed(path, "the record does not say whether it was there before the collection")
        self.data.remove_all()
        if waited_for_kubelet and not os.path.exists(LOGIND):
            if not os.listdir(os.path.dirname(LOGIND)):
                os.rmdir(os.path.dirname(LOGIND))
            self.change("the kubelet's setting in logind", ["systemctl", "try-reload-or-restart", "systemd-logind"])

    def unknown_data(self) -> list[str]:
        """Return places of our services that are not empty and not in the record."""
        places = [path for name in filter(self.ours, paths.SERVICES) for path in of_service(name)]
        return [path for path in dict.fromkeys(places) if path not in self.record["data"] and content(path)]

    @staticmethod
    def kept() -> list[str]:
        """Return the places of images, which keep_images keeps."""
        return [*image_places(), *(os.path.join(paths.K3s().data, "agent", name) for name in K3S_IMAGES)]

    def stop_units(self) -> None:
        """Stop and disable our services. Raise OSError if one does not stop."""
        manager = services.here(self.run)
        for name in filter(self.ours, paths.STOP_ORDER):
            if manager.in_use(name) and self.note("stop and disable %s" % name) and not manager.remove(name):
                raise OSError(errno.EBUSY, "the service does not stop; nothing was removed yet", name)

    def stop_backups(self) -> None:
        """Stop the timer of scheduled backups, and a backup that is being made. Archives at destinations stay."""
        there = [path for path in paths.BACKUP_UNITS if path in self.record["files"] and os.path.exists(path)]
        if there and self.note("stop and disable %s" % paths.BACKUP_TIMER):
            self.run(["systemctl", "disable", "--now", paths.BACKUP_TIMER])
            self.change(paths.BACKUP_SERVICE, ["systemctl", "stop", paths.BACKUP_SERVICE])
            self.run(["systemctl", "reset-failed", paths.BACKUP_SERVICE])
        if there and os.path.exists(paths.BACKUP_STAMP) and self.note("remove %s" % paths.BACKUP_STAMP):
            os.unlink(paths.BACKUP_STAMP)

    def stop_pods(self) -> None:
        """End the shims and the processes of pods: containerd leaves them running when it stops."""
        found = pods()
        if not found or not self.note("end %d processes of pods" % len(found)):
            return
        for _attempt in range(50):
            for pid in found:
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    continue  # it has ended
            found = pods()
            if not found:
                return
            time.sleep(0.1)
        self.failed("processes of pods", "%d did not end when they were killed" % len(found))

    def unmount(self) -> None:
        """Unmount the file systems of pods, and delete their network namespaces."""
        points, mounts = mount_points(), (*MOUNTS, os.path.realpath(paths.KUBELET_DATA) + "/")
        used = network_namespaces()
        ours = [
            point
            for point in reversed(points)
            if point.startswith(mounts) and ("/netns/cni-" not in point or inode(point) not in used)
        ]
        if ours and self.note("unmount %d file systems of pods" % len(ours)):
            for point in ours:
                if self.run(["umount", point]).rc:
                    self.change(point, ["umount", "-l", point])
                if "/netns/cni-" in point and os.path.exists(point):
                    os.unlink(point)

    # -- settings --------------------------------------------------------------------------------------------------

    def restore_settings(self) -> None:
        """Restore swap, kernel arguments, kernel modules and sysctls."""
        changed = self.record["settings"]
        self._restore_swap(changed.get("swap") or {})
        self._restore_kernel_arguments(changed.get("kernel_arguments") or {})
        for name in reversed(changed.get("modules") or []):
            if os.path.isdir("/sys/module/" + name) and self.note("unload the module %s" % name):
                self.run(["modprobe", "-r", name])  # one that is in use by now stays
        for name, value in sorted((changed.get("sysctls") or {}).items()):
            if os_settings.sysctl_value(name) not in (value, None) and self.note("set %s back to %s" % (name, value)):
                with open(os_settings.sysctl_path(name), "w", encoding="utf-8") as stream:
                    stream.write(value)

    def _restore_swap(self, swap: dict[str, Any]) -> None:
        units = swap.get("units") or []
        if swap.get("fstab"):
            before = os_settings.exact_text(paths.FSTAB)
            after = os_settings.with_swap(before)
            if before != after and self.note("restore the swap lines of %s" % paths.FSTAB):
                info = os.stat(paths.FSTAB)
                content = after.encode("latin-1")
                write_atomically(paths.FSTAB, content, info.st_mode & 0o777, info.st_uid, info.st_gid)
        for unit in units:
            if self.note("unmask %s" % unit):
                self.change(unit, ["systemctl", "unmask", unit])
        if (swap.get("fstab") or units) and self.note("turn swap on"):
            self.run(["systemctl", "daemon-reload"])
            self.change("swap", ["swapon", "-a"])
            for unit in units:
                self.change(unit, ["systemctl", "start", unit])

    def _restore_kernel_arguments(self, boot: dict[str, Any]) -> None:
        if not boot.get("words") or not os.path.isfile(boot["file"]):
            return
        before = os_settings.exact_text(boot["file"])
        after = os_settings.without_arguments(before, boot["words"])
        text = "remove %s from %s, for the next boot" % (" ".join(boot["words"]), boot["file"])
        if before != after and self.note(text):
            write_atomically(boot["file"], after.encode("latin-1"), os.stat(boot["file"]).st_mode & 0o777)

    # -- programs and files ----------------------------------------------------------------------------------------

    def remove_programs(self) -> None:
        """Remove the programs that we installed, except those that were changed since."""
        for path, entry in sorted(self.record["artifacts"].items()):
            if self.keep_programs or not os.path.lexists(path) or self.is_restored(entry):
                continue
            if not os.path.isfile(path) or os.path.islink(path) or sha256(path) != entry.get("sha256"):
                why = "it was changed after it was installed"
                if entry.get("backup"):
                    why += "; the file that was there before is %s" % entry["backup"]
                self.failed(path, why)
            else:
                self.take_back(path, entry)

    def remove_files(self) -> None:
        """Remove the files that we wrote, and restore what was there before."""
        for path, entry in sorted(self.record["files"].items()):
            if not self.is_restored(entry):
                self.take_back(path, entry)
        if paths.JOURNAL_FILE in self.record["files"] and not self.check:
            self.change("systemd-journald", ["systemctl", "restart", "systemd-journald"])

    @staticmethod
    def is_restored(entry: dict[str, Any]) -> bool:
        """Return True if a reset that was killed has already restored what was there before."""
        return bool(entry.get("backup")) and not os.path.lexists(entry["backup"])

    def take_back(self, path: str, entry: dict[str, Any]) -> None:
        """Restore the former file, or remove ours if there was none. The backup goes last: a reset may be killed."""
        if os.path.isdir(path) and not os.path.islink(path):
            self.failed(path, "it is a directory now, not the file that was made")
        elif entry.get("backup"):
            if self.note("restore %s" % path):
                os.makedirs(os.path.dirname(path), exist_ok=True)
                ownership.copy_with_attributes(entry["backup"], path)
                os.unlink(entry["backup"])
        elif os.path.lexists(path) and self.note("remove %s" % path):
            os.unlink(path)

    def remove_leftovers(self) -> None:
        """Remove temporary files that runs which were killed left beside ours."""
        beside = {os.path.dirname(path) for part in ("files", "artifacts") for path in self.record[part]}
        for path in [name for directory in sorted(beside) for name in leftovers(directory, age=0)]:
            if self.note("remove %s" % path):
                delete(path)

    def remove_directories(self) -> None:
        """Remove the directories that we made or that Kubernetes left, if they are empty."""
        made = sorted(self.record["directories"], key=len, reverse=True)
        for path in made + [path for path in EMPTY_AFTERWARDS if path not in made]:
            if (
                os.path.isdir(path)
                and not os.path.ismount(path)
                and not os.listdir(path)
                and self.note("remove the empty directory %s" % path)
            ):
                os.rmdir(path)

    def finish(self) -> None:
        """Remove the record; what is kept or left stays in it, so that a later reset removes it."""
        if self.check:
            return
        self.run(["systemctl", "daemon-reload"])
        data = self.data.still_there()
        if not (self.keep_programs or data):
            self.forget()
            return
        there = [path for path in self.record["directories"] if os.path.isdir(path)]
        artifacts = self.record["artifacts"] if self.keep_programs else {}
        self.record.update(files={}, settings={}, artifacts=artifacts, directories=there, data=data, interfaces=[])
        ownership.write(self.record)

    def forget(self) -> None:
        """Remove our own directory, the record last. Backups that were not restored stay."""
        place = os.path.dirname(ownership.PATH)
        if not os.path.isdir(place):
            return
        backups = {entry.get("backup") for part in ("files", "artifacts") for entry in self.record[part].values()}
        kept = os.listdir(ownership.BACKUPS) if os.path.isdir(ownership.BACKUPS) else []
        for path in sorted({os.path.join(ownership.BACKUPS, name) for name in kept} - backups):
            self.failed(path, "it is a file from before the collection, and the record does not name it")
        for name in os.listdir(place):
            path = os.path.join(place, name)
            if path != ownership.PATH and not (kept and path == ownership.BACKUPS):
                delete(path)
        delete(ownership.PATH)
        if not kept:
            os.rmdir(place)
