# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build the programs of a component from its committed go.mod and go.sum, into the cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from . import catalog
from .catalog import LabError
from .components import COMPONENTS
from .pin import go_environment

KEY = ".key"
UPSTREAM = "upstream"
RUNNING = set()


def folder(name, version, arch):
    """Return the directory of a component's programs."""
    return catalog.cache("build", name, version, arch)


def key(name, version):
    """Return a digest of everything that a build depends on."""
    component, source = COMPONENTS[name], catalog.MODULES / f"{name}-{version}"
    if not source.is_dir():
        raise LabError(f"{name} {version} is not pinned: run `lab pin {name} {version}`.")
    digest = hashlib.sha256()
    for part in (source / "go.mod", source / "go.sum"):
        digest.update(part.read_bytes())
    digest.update(repr((sorted(component.programs.items()), component.linker_flags(version), component.tags)).encode())
    return "modules:" + digest.hexdigest()[:16]


def built(name, version, arch):
    """Return the key of the build in the cache, or an empty string."""
    try:
        return (folder(name, version, arch) / KEY).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def install(name, version, arch, made, kind):
    """Move a directory of programs into place atomically."""
    (made / KEY).write_text(kind + "\n", encoding="utf-8")
    target = folder(name, version, arch)
    if target.exists():
        shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    os.rename(made, target)


def default_name(package):
    """Return the name that `go build` gives to a package's program."""
    last, before = package.rsplit("/", 2)[:0:-1]
    return before if last[:1] == "v" and last[1:].isdigit() else last


def command(component, version, output):
    """Return one `go build` command for all programs, so that shared packages are compiled once."""
    words = [
        "go",
        "build",
        "-trimpath",
        "-mod=readonly",
        "-o",
        f"{output}/",
        "-ldflags",
        component.linker_flags(version),
    ]
    if component.tags:
        words += ["-tags", ",".join(component.tags)]
    return words + sorted(component.programs.values())


def environment(component, arch):
    """Return the environment of a build. C code for another architecture needs Debian's cross compiler."""
    more = {"GOOS": "linux", "GOARCH": arch, "CGO_ENABLED": "1" if component.cgo else "0"}
    if component.cgo and arch != catalog.host_arch():
        more["CC"] = {"arm64": "aarch64-linux-gnu-gcc", "amd64": "x86_64-linux-gnu-gcc"}[arch]
    return go_environment(**more)


def build(name, version, arch):
    """Build one component and put it into the cache."""
    if shutil.which("go") is None:
        raise LabError("Go is missing: install Go 1.26 or newer from https://go.dev/dl, or use --source upstream.")
    component, wanted = COMPONENTS[name], key(name, version)
    logs = catalog.cache("build", "logs")
    logs.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".new-{name}-{version}-", dir=catalog.cache("build")))
    try:
        log = logs / f"{name}-{version}-{arch}.log"
        run_logged(
            command(component, version, made),
            log,
            cwd=catalog.MODULES / f"{name}-{version}",
            env=environment(component, arch),
        )
        for program, package in component.programs.items():
            os.replace(made / default_name(package), made / program)
        made.chmod(0o755)
        install(name, version, arch, made, wanted)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def run_logged(words, log, **options):
    """Run a long command at low priority. Raise LabError with the end of its log if it fails."""
    with open(log, "wb") as file:
        options |= {"stdout": file, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL}
        process = subprocess.Popen(["nice", "-n", "10", *words], **options)
        RUNNING.add(process)
        try:
            code = process.wait()
        finally:
            RUNNING.discard(process)
    if code:
        tail = "\n".join(Path(log).read_text(encoding="utf-8", errors="replace").splitlines()[-25:])
        raise LabError(f"`{words[0]} {words[1]}` failed with exit code {code}. The end of {log}:\n{tail}")


def stop():
    """Stop all running builds."""
    for process in list(RUNNING):
        process.terminate()
