# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The disk and kernel that every machine starts from: built by mmdebstrap, and kept in the cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from lablib import catalog, gobuild, rootfs
from lablib.catalog import LabError

HERE = Path(__file__).resolve().parent.parent
INPUTS = ("packages", "setup.sh")
PROGRAMS = {
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "qemu-img": "qemu-utils",
    "qemu-system-x86_64": "qemu-system-x86",
}
DISK = "8G"
# Inode tables are not zeroed here, and the mount option noinit_itable keeps machines from doing it later.
FORMAT = ("-q", "-t", "ext4", "-L", "root", "-m", "0", "-E", "lazy_itable_init=1,nodiscard")


def check_host():
    """Raise LabError with all programs that are missing on this host."""
    if catalog.host_arch() != "amd64":
        raise LabError("Virtual machines need an amd64 host.")
    missing = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    if missing:
        raise LabError(f"Virtual machines need more packages: run `apt-get install {' '.join(missing)}`.")


def packages():
    """Return the packages of the disk."""
    lines = (HERE / "packages").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def key():
    """Return a digest of everything that the disk is built from, except Debian's updates."""
    text = b"".join((HERE / name).read_bytes() for name in INPUTS) + repr((rootfs.SUITE, DISK, FORMAT)).encode()
    return hashlib.sha256(text).hexdigest()[:12]


def folder():
    """Return the directory of the disk (root.raw) and kernel (vmlinuz)."""
    return catalog.cache("vm", f"base-{key()}")


def apt_settings():
    """Return this host's apt settings for downloads: proxies, certificates, timeouts."""
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=False).stdout
    return "".join(f"{line}\n" for line in dump.splitlines() if line.startswith("Acquire::"))


def debootstrap(work, log):
    """Build the root file system as a directory."""
    (work / "apt.conf").write_text(apt_settings(), encoding="utf-8")
    (work / "sources.list").write_text(rootfs.host_sources(), encoding="utf-8")
    words = ["mmdebstrap", "--variant=minbase", "--format=directory", f"--aptopt={work / 'apt.conf'}"]
    words += [f"--include={','.join(packages())}"]
    words += [f"--dpkgopt=path-exclude={pattern}" for pattern in rootfs.LEFT_OUT]
    words += [f"--customize-hook=sh '{HERE / 'setup.sh'}' \"$1\""]
    words += [rootfs.SUITE, str(work / "root"), str(work / "sources.list")]
    gobuild.run_logged(words, log, env=dict(os.environ, TMPDIR=str(work)))


def make(target):
    """Build disk and kernel. They are renamed to `target` at the end, so a killed build leaves nothing incomplete."""
    if os.geteuid() != 0:
        raise LabError("The disk of virtual machines must be built as root.")
    log = catalog.cache("build", "logs", "vm.log")
    log.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".new-") as made:
        work = Path(made)
        work.chmod(0o755)
        debootstrap(work, log)
        base = work / "base"
        base.mkdir()
        kernel = max((work / "root" / "boot").glob("vmlinuz-*"))
        shutil.copy(kernel, base / "vmlinuz")
        gobuild.run_logged(["mke2fs", *FORMAT, "-d", str(work / "root"), str(base / "root.raw"), DISK], log)
        base.rename(target)


def ensure():
    """Return the directory of disk and kernel. Build them if they do not exist."""
    target = folder()
    target.parent.mkdir(parents=True, exist_ok=True)
    with catalog.locked("vm"):
        if not target.exists():
            print("building the disk of virtual machines (one to two minutes, only once)", flush=True)
            make(target)
    return target
