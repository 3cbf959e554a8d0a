# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small Debian root file systems of other architectures with Python, kept in the cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from lablib import catalog, gobuild, jobs, rootfs
from vmlib import image

# Two releases, so two versions of Python. trixie is the first with riscv64 and with 64-bit time on armhf.
SUITES = {"arm64": "trixie", "armhf": "trixie", "ppc64el": "bookworm", "s390x": "bookworm", "riscv64": "trixie"}
# Release: (version of Debian, version of Python).
VERSIONS = {"bookworm": ("12", "3.11"), "trixie": ("13", "3.13")}
PACKAGES = ("base-files", "dash", "python3")
LEFT_OUT = ("usr/share/doc", "usr/share/locale", "usr/share/man", "var/lib/apt", "var/cache/apt")
MACHINE_ID = "0123456789abcdef0123456789abcdef"
# Increase this when the way they are built changes.
RECIPE = 1
SECONDS = 6


def cache(*parts: str) -> Path:
    """Return a path in their directory. It contains setuid programs, so only its owner may enter it."""
    folder = catalog.cache("architectures")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder.joinpath(*parts)


def path(debian: str) -> Path:
    """Return the path of an architecture's root file system."""
    key = hashlib.sha256(repr((RECIPE, PACKAGES, LEFT_OUT, MACHINE_ID)).encode()).hexdigest()[:12]
    return cache(f"{debian}-{SUITES[debian]}-{key}")


def settings() -> str:
    """Return this host's apt settings for downloads, without index targets of other programs."""
    lines = image.apt_settings().splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("Acquire::IndexTargets::"))


def sources(suite: str) -> str:
    """Return a sources.list with the release only, from this host's mirror. The tests do not need its updates."""
    return rootfs.host_sources().splitlines()[0].replace(f" {rootfs.SUITE} ", f" {suite} ") + "\n"


def make(debian: str) -> None:
    """Build a root file system. Packages are unpacked but not configured, so nothing is emulated and it takes seconds.

    It is renamed into place at the end, so a killed run leaves nothing incomplete.
    """
    if shutil.which("mmdebstrap") is None:
        raise catalog.LabError("mmdebstrap is missing: run `apt-get install mmdebstrap`")
    target = path(debian)
    log = catalog.cache("build", "logs", f"architectures-{debian}.log")
    log.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache(), prefix=".new-") as made:
        work = Path(made)
        work.chmod(0o755)
        (work / "apt.conf").write_text(settings(), encoding="utf-8")
        (work / "sources.list").write_text(sources(SUITES[debian]), encoding="utf-8")
        words = ["mmdebstrap", "--variant=extract", "--mode=root", "--format=directory", f"--architectures={debian}"]
        words += [f"--include={','.join(PACKAGES)}", f"--aptopt={work / 'apt.conf'}"]
        words += [SUITES[debian], str(work / "root"), str(work / "sources.list")]
        gobuild.run_logged(words, log, env=dict(os.environ, TMPDIR=made))
        finish(work / "root")
        for old in cache().glob(f"{debian}-*"):
            shutil.rmtree(old)
        os.rename(work / "root", target)


def finish(root: Path) -> None:
    """Write the files that package scripts or an installer would write, and remove what the tests do not need."""
    for name in LEFT_OUT:
        shutil.rmtree(root / name, ignore_errors=True)
    (root / "etc" / "machine-id").write_text(MACHINE_ID + "\n", encoding="utf-8")
    (root / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n", encoding="utf-8")
    (root / "etc" / "group").write_text("root:x:0:\n", encoding="utf-8")


def ensure(wanted: Iterable[str]) -> dict:
    """Build missing root file systems and print progress. Return {architecture: why it is still missing}."""
    for left in cache().glob(".new-*"):
        shutil.rmtree(left, ignore_errors=True)
    missing = [debian for debian in wanted if not path(debian).exists()]
    if not missing:
        return {}
    print(f"\n{len(missing)} root file systems to build in {cache()}", flush=True)
    runner = jobs.Runner([jobs.Job(debian, lambda debian=debian: make(debian), SECONDS) for debian in missing])
    try:
        runner.run()
    except BaseException:
        gobuild.stop()
        raise
    return runner.failed
