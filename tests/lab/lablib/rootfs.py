# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Root file systems built by mmdebstrap with the host's apt mirrors and settings, and kept in the cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from . import catalog, gobuild
from .catalog import LabError

SUITE = "bookworm"
DEFAULTS = {"Debian": "http://deb.debian.org/debian", "Debian-Security": "http://deb.debian.org/debian-security"}
# Added to the variant "essential": Debian's essential packages, without apt.
ROOTS = {
    "network": ("iptables", "nftables", "conntrack", "kmod", "ipset", "iproute2"),
    "services": ("docker-registry", "python3", "ca-certificates"),
}
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")


def sources(targets):
    """Return a sources.list for the suite. `targets` has lines "label URL", as `apt-get indextargets` prints them."""
    found = dict(DEFAULTS)
    for line in reversed(targets.splitlines()):
        label, _space, address = line.partition(" ")
        found[label] = address.rstrip("/")
    main, security = found["Debian"], found["Debian-Security"]
    lines = (f"deb {main} {SUITE} main", f"deb {main} {SUITE}-updates main", f"deb {security} {SUITE}-security main")
    return "\n".join(lines) + "\n"


def host_sources():
    """Return a sources.list with the mirrors of this host."""
    words = ["apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages", "Origin: Debian"]
    return sources(subprocess.run(words, capture_output=True, text=True, check=False).stdout)


def key(name):
    """Return a digest of the suite and the package list. Debian's updates do not change it."""
    return hashlib.sha256(repr((SUITE, ROOTS[name], LEFT_OUT)).encode()).hexdigest()[:12]


def path(name, arch):
    """Return the path of a root file system's tar archive."""
    return catalog.cache("images", "roots", f"{name}-{SUITE}-{arch}-{key(name)}.tar")


def make(name, arch):
    """Build a root file system. It is renamed into place at the end, so a killed build leaves no incomplete archive."""
    if shutil.which("mmdebstrap") is None:
        raise LabError("mmdebstrap is missing: run `apt-get install mmdebstrap` (all packages: tests/lab/apt.txt).")
    target = path(name, arch)
    target.parent.mkdir(parents=True, exist_ok=True)
    log = catalog.cache("build", "logs", f"root-{name}-{arch}.log")
    log.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".new-") as work:
        folder = Path(work)
        folder.chmod(0o755)
        settings = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=False).stdout
        kept = [line for line in settings.splitlines() if line.startswith("Acquire::")]
        (folder / "apt.conf").write_text("\n".join(kept) + "\n", encoding="utf-8")
        (folder / "sources.list").write_text(host_sources(), encoding="utf-8")
        words = ["mmdebstrap", "--variant=essential", f"--architectures={arch}", f"--aptopt={folder / 'apt.conf'}"]
        words += [f"--include={','.join(ROOTS[name])}"]
        words += [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
        words += ["--skip=output/dev"]
        words += [SUITE, str(folder / "root.tar"), str(folder / "sources.list")]
        gobuild.run_logged(words, log, env=dict(os.environ, TMPDIR=work))
        os.replace(folder / "root.tar", target)
