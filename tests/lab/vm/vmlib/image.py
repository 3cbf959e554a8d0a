# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The disk and the kernel that every machine starts from: made by mmdebstrap, kept in the cache by what went into them."""

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
# A tables' worth of zeroes is not written: the machines are told not to do it later either.
FORMAT = ("-q", "-t", "ext4", "-L", "root", "-m", "0", "-E", "lazy_itable_init=1,nodiscard")


def check_host():
    """What is missing here, all of it in one message."""
    if catalog.host_arch() != "amd64":
        raise LabError("virtual machines are made on amd64 hosts only.")
    missing = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    if missing:
        raise LabError(f"virtual machines need `apt-get install {' '.join(missing)}` (tests/lab/apt.txt lists all).")


def packages():
    """The packages of the disk."""
    lines = (HERE / "packages").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def key():
    """Changes with everything that the disk is made from, other than Debian's own updates."""
    text = b"".join((HERE / name).read_bytes() for name in INPUTS) + repr((rootfs.SUITE, DISK, FORMAT)).encode()
    return hashlib.sha256(text).hexdigest()[:12]


def folder():
    """Where disk (root.raw) and kernel (vmlinuz) are."""
    return catalog.cache("vm", f"base-{key()}")


def apt_settings():
    """How this host's own apt reaches its mirrors: proxies, certificates, time limits."""
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=False).stdout
    return "".join(f"{line}\n" for line in dump.splitlines() if line.startswith("Acquire::"))


def debootstrap(work, log):
    """The root file system as a directory."""
    (work / "apt.conf").write_text(apt_settings(), encoding="utf-8")
    (work / "sources.list").write_text(rootfs.host_sources(), encoding="utf-8")
    words = ["mmdebstrap", "--variant=minbase", "--format=directory", f"--aptopt={work / 'apt.conf'}"]
    words += [f"--include={','.join(packages())}"]
    words += [f"--dpkgopt=path-exclude={pattern}" for pattern in rootfs.LEFT_OUT]
    words += [f"--customize-hook=sh '{HERE / 'setup.sh'}' \"$1\""]
    words += [rootfs.SUITE, str(work / "root"), str(work / "sources.list")]
    gobuild.run_logged(words, log, env=dict(os.environ, TMPDIR=str(work)))


def make(target):
    """Makes disk and kernel in the folder `target`; one rename at the end, so that a killed build leaves nothing that looks whole."""
    if os.geteuid() != 0:
        raise LabError("the disk of virtual machines is made as root.")
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


def have():
    """The folder of disk and kernel, which are made now if they are not there."""
    target = folder()
    target.parent.mkdir(parents=True, exist_ok=True)
    with catalog.locked("vm"):
        if not target.exists():
            print("making the disk of virtual machines (one to two minutes; once)", flush=True)
            make(target)
    return target
