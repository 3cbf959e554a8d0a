# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Leaving a host as it was before the collection came: what the record of ownership names goes, what stood before comes back.

Standard library only. Safe to be killed anywhere and run again: the record goes last.
"""

from __future__ import annotations

import errno
import glob
import os
import re
import shutil
import signal
import subprocess
import time

from ..node import os_settings as settings, ownership as owned, paths as places, services
from ..node.downloads import sha256
from .network import Network

# The kubelet tells logind how long a shutdown may wait for it:
# https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/nodeshutdown/systemd/inhibit_linux.go
LOGIND = "/etc/systemd/logind.conf.d/99-kubelet.conf"
K3S_UNITS = ("k3s", "k3s-agent")
UNITS = ("kubelet", *K3S_UNITS, "kube-endpoint-vip", "kube-endpoint", "kube-bridge")
# What Kubernetes makes by itself while it runs; taken away where the kubelet is ours.
DATA = (
    "/etc/kubernetes/manifests",
    "/etc/kubernetes/pki",
    "/etc/kubernetes/tmp",
    "/etc/kubernetes/admin.conf",
    "/etc/kubernetes/super-admin.conf",
    "/etc/kubernetes/kubelet.conf",
    "/etc/kubernetes/bootstrap-kubelet.conf",
    "/etc/kubernetes/controller-manager.conf",
    "/etc/kubernetes/scheduler.conf",
    "/var/lib/etcd",
    "/var/lib/kubelet",
    "/var/lib/cni",
    "/var/lib/kubewright",
    "/var/log/pods",
    "/var/log/containers",
    "/usr/libexec/kubernetes",
    "/run/kubewright-kubeadm.lock",
    "/etc/cni/net.d/10-kuberouter.conflist",
    LOGIND,
)
# What containerd makes; taken away where it is ours.
RUNTIME = ("/run/containerd", "/etc/cni/net.d/10-containerd-net.conflist")
IMAGES = ("/var/lib/containerd", "/opt/containerd")
# What K3s makes, beside its data directory: https://docs.k3s.io/installation/uninstall
K3S_DATA = (
    "/etc/rancher/k3s/k3s.yaml",
    "/etc/rancher/k3s/token",
    "/etc/rancher/k3s/agent-token",
    "/etc/rancher/node",
    LOGIND,
    "/var/log/k3s.log",
    "/var/log/k3s-agent.log",
    "/run/k3s",
    "/run/flannel",
    "/var/lib/kubelet",
    "/var/lib/cni",
    "/var/lib/kubewright",
    "/var/log/pods",
    "/var/log/containers",
    "/usr/libexec/kubernetes",
)
K3S_IMAGES = ("containerd", "images")
EMPTY_AFTERWARDS = (
    "/etc/rancher/k3s/config.yaml.d",
    "/etc/rancher/k3s",
    "/etc/rancher",
    "/var/lib/rancher",
    "/etc/cni/net.d",
    "/etc/cni",
    "/etc/containerd/conf.d",
    "/etc/containerd",
    "/etc/kubernetes",
)
MOUNTS = ("/var/lib/kubelet/", "/run/containerd/", "/run/k3s/", "/run/netns/cni-")


class Cleanup:
    """One host's reset. check: only say what would go. keep_images, keep_programs: for a quick new install."""

    def __init__(self, check=False, keep_images=False, keep_programs=False):
        self.check, self.keep_images, self.keep_programs = check, keep_images, keep_programs
        self.record = owned.read()
        self.removed, self.left = [], []

    def note(self, sentence):
        """Note what goes. Returns whether it is to be carried out."""
        self.removed.append(sentence)
        return not self.check

    @staticmethod
    def run(argv, text=None):
        """(exit status, output) of a command; a missing one is a failure like any other."""
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        try:
            done = subprocess.run(
                argv, input=None if text is None else text.encode(), stdin=subprocess.DEVNULL if text is None else None,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=120, check=False, env={"PATH": path},
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError):
            return 127, ""
        return done.returncode, done.stdout.decode("utf-8", "replace")

    def anything(self):
        """Whether the collection made anything here."""
        return bool(
            self.record["files"] or self.record["artifacts"] or self.record["settings"] or os.path.exists(owned.PATH)
        )

    def ours(self, unit):
        """Whether we made a service here: another's kubelet or containerd keeps its data, pods and network."""
        return any(manager.path(unit) in self.record["files"] for manager in (services.Systemd, services.OpenRC))

    def all(self):
        self.stop_units()
        light = any(map(self.ours, K3S_UNITS))
        if self.ours("containerd") or light:
            self.stop_pods()
            self.unmount()
        if self.ours("kubelet") or light:
            Network(self.run, self.note, places.K3s().pods() if light else ()).clean()
        waited_for_kubelet = os.path.exists(LOGIND)
        for path in self.data():
            self.remove(path)
        if waited_for_kubelet and not os.path.exists(LOGIND):
            if not os.listdir(os.path.dirname(LOGIND)):
                os.rmdir(os.path.dirname(LOGIND))
            self.run(["systemctl", "try-reload-or-restart", "systemd-logind"])
        self.restore_settings()
        self.remove_programs()
        self.remove_files()
        self.remove_directories()
        self.finish()

    def data(self):
        """Paths of the data that goes."""
        paths = DATA if self.ours("kubelet") else ()
        if self.ours("containerd"):
            paths += RUNTIME
            if not self.keep_images:
                paths += IMAGES + tuple(filter(None, [self.containerd_root()]))
        if any(map(self.ours, K3S_UNITS)):
            paths += self.k3s_data() + K3S_DATA
        return dict.fromkeys(paths)

    def k3s_data(self):
        """K3s's data directory, or with keep_images what is in it but for them."""
        place = places.K3s().data
        if not self.keep_images:
            return (place,)
        kept = [os.path.join(place, "agent", name) for name in K3S_IMAGES]
        inner = glob.glob(place + "/agent/*")
        return (*(path for path in inner if path not in kept), *glob.glob(place + "/[!a]*"))

    def containerd_root(self):
        try:
            with open("/etc/containerd/config.toml", encoding="utf-8") as stream:
                found = re.search(r'^root = "([^"]+)"', stream.read(), re.M)
        except OSError:
            return None
        return found.group(1) if found and found.group(1).endswith("/containerd") else None

    def stop_units(self):
        manager = services.here(self.run)
        for name in filter(self.ours, UNITS + ("containerd",)):
            if manager.wanted(name) and self.note("stop and disable %s" % name) and not manager.remove(name):
                raise OSError(errno.EBUSY, "the service does not stop; nothing was removed yet", name)

    def stop_pods(self):
        """End the shims and the processes of pods: containerd leaves them running when it stops."""
        found = pods()
        if not found or not self.note("end %d processes of pods" % len(found)):
            return
        for _attempt in range(50):
            for pid in found:
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    continue
            found = pods()
            if not found:
                return
            time.sleep(0.1)

    def unmount(self):
        with open("/proc/mounts", encoding="utf-8") as stream:
            points = [line.split()[1].replace("\\040", " ") for line in stream]
        used = network_namespaces()
        ours = [
            point
            for point in reversed(points)
            if point.startswith(MOUNTS) and ("/netns/cni-" not in point or inode(point) not in used)
        ]
        if ours and self.note("unmount %d file systems of pods" % len(ours)):
            for point in ours:
                if self.run(["umount", point])[0]:
                    self.run(["umount", "-l", point])
                if "/netns/cni-" in point and os.path.exists(point):
                    os.unlink(point)

    def remove(self, path):
        """Remove a file or tree; nothing on the other side of a mount point, and no mount point itself."""
        if not os.path.lexists(path):
            return
        tree = os.path.isdir(path) and not os.path.islink(path)
        inner = mounts_below(path) if tree else []
        if inner and not (self.check and any(point.startswith(MOUNTS) for point in inner)):
            self.left.append({"path": path, "why": "%s is mounted there" % ", ".join(inner)})
        elif tree and os.path.ismount(path):
            names = [name for name in os.listdir(path) if name != "lost+found"]
            if names and self.note("empty %s" % path):
                for name in names:
                    delete(os.path.join(path, name))
        elif self.note("remove %s" % path):
            delete(path)

    def restore_settings(self):
        changed = self.record["settings"]
        swap = changed.get("swap") or {}
        if swap.get("fstab"):
            with open(settings.FSTAB, encoding="utf-8") as stream:
                before = stream.read()
            after = settings.with_swap(before)
            if before != after and self.note("bring the swap lines of %s back" % settings.FSTAB):
                info = os.stat(settings.FSTAB)
                owned.write_atomically(settings.FSTAB, after.encode(), info.st_mode & 0o777, info.st_uid, info.st_gid)
        for unit in swap.get("units") or []:
            if self.note("unmask %s" % unit):
                self.run(["systemctl", "unmask", unit])
        if (swap.get("fstab") or swap.get("units")) and self.note("turn swap on"):
            self.run(["systemctl", "daemon-reload"])
            self.run(["swapon", "-a"])
            for unit in swap.get("units") or []:
                self.run(["systemctl", "start", unit])
        boot = changed.get("kernel_arguments") or {}
        if boot.get("words") and os.path.isfile(boot["file"]):
            before = settings.command_line(boot["file"])
            after = settings.without_arguments(before, boot["words"])
            if before != after and self.note("take %s out of %s, for the next boot" % (" ".join(boot["words"]), boot["file"])):
                owned.write_atomically(boot["file"], after.encode("latin-1"), os.stat(boot["file"]).st_mode & 0o777)
        for name in reversed(changed.get("modules") or []):
            if os.path.isdir("/sys/module/" + name) and self.note("unload the module %s" % name):
                self.run(["modprobe", "-r", name])  # one that somebody else uses by now stays
        for name, value in sorted((changed.get("sysctls") or {}).items()):
            if settings.sysctl_value(name) not in (value, None) and self.note("set %s back to %s" % (name, value)):
                with open(settings.sysctl_path(name), "w", encoding="utf-8") as stream:
                    stream.write(value)

    def remove_programs(self):
        for path, entry in sorted(self.record["artifacts"].items()):
            if self.keep_programs or not os.path.lexists(path) or self.is_back(entry):
                continue
            if os.path.islink(path) or sha256(path) != entry.get("sha256"):
                why = "it was changed after it was installed"
                if entry.get("backup"):
                    why += "; what stood there before is %s" % entry["backup"]
                self.left.append({"path": path, "why": why})
            else:
                self.take_back(path, entry)

    def remove_files(self):
        for path, entry in sorted(self.record["files"].items()):
            if not self.is_back(entry):
                self.take_back(path, entry)
        if settings.JOURNAL_FILE in self.record["files"] and not self.check:
            self.run(["systemctl", "restart", "systemd-journald"])

    @staticmethod
    def is_back(entry):
        """Whether a reset that was killed has brought back already what stood there before."""
        return bool(entry.get("backup")) and not os.path.lexists(entry["backup"])

    def take_back(self, path, entry):
        """Bring back what stood there before, else remove what is ours. The backup goes last: a killed reset starts here again."""
        if entry.get("backup"):
            if self.note("bring %s back as it was" % path):
                os.makedirs(os.path.dirname(path), exist_ok=True)
                owned.copy_whole(entry["backup"], path)
                os.unlink(entry["backup"])
        elif os.path.lexists(path) and self.note("remove %s" % path):
            os.unlink(path)

    def remove_directories(self):
        made = sorted(self.record["directories"], key=len, reverse=True)
        for path in made + [path for path in EMPTY_AFTERWARDS if path not in made]:
            if (
                os.path.isdir(path)
                and not os.path.ismount(path)
                and not os.listdir(path)
                and self.note("remove the empty %s" % path)
            ):
                os.rmdir(path)

    def finish(self):
        if self.check:
            return
        self.run(["systemctl", "daemon-reload"])
        if self.keep_programs:
            there = [path for path in self.record["directories"] if os.path.isdir(path)]
            self.record.update(files={}, settings={}, directories=there)
            owned.write(self.record)
        else:
            self.forget()

    def forget(self):
        """Remove our own directory: the record last, and what somebody may still want back not at all."""
        place = os.path.dirname(owned.PATH)
        if not os.path.isdir(place):
            return
        kept = any(
            entry.get("backup") and os.path.lexists(entry["backup"]) for entry in self.record["artifacts"].values()
        )
        for name in os.listdir(place):
            path = os.path.join(place, name)
            if path != owned.PATH and not (kept and path == owned.BACKUPS):
                delete(path)
        delete(owned.PATH)
        if not kept:
            os.rmdir(place)


def delete(path):
    """Delete a file, a link or a tree; no error where it is gone."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def inode(path):
    try:
        return os.stat(path).st_ino
    except OSError:
        return None


def network_namespaces():
    """Inodes of the network namespaces in use by others than our pods: Podman's containers have theirs under the same names."""
    ours = set(pods())
    return {
        inode("/proc/%s/ns/net" % pid) for pid in filter(str.isdigit, os.listdir("/proc")) if int(pid) not in ours
    } - {None}


def pods():
    """Processes of pods and their shims, by command line and control group."""
    found, here = [], inode("/proc/self/ns/pid")
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as stream:
                command = stream.read()
            with open("/proc/%s/cgroup" % pid, encoding="utf-8") as stream:
                group = stream.read()
        except OSError:
            continue
        shim = b"containerd-shim" in command.split(b"\0")[0] and b"k8s.io" in command
        # A node in a container on this host has shims and pods too: other process namespace, control group further down.
        if ":/kubepods" in group or (shim and inode("/proc/%s/ns/pid" % pid) == here):
            found.append(int(pid))
    return found


def mounts_below(path):
    """Mount points inside a directory."""
    with open("/proc/mounts", encoding="utf-8") as stream:
        return sorted({line.split()[1] for line in stream if line.split()[1].startswith(path.rstrip("/") + "/")})
