# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build the K3s stand-in as an artifact at the paths of upstream's URLs.

With K3S_ARTIFACTS=DIRECTORY the files of a real release are served instead. The directory contains them (k3s,
sha256sum-amd64.txt, k3s-airgap-images-amd64.tar.zst, install.sh, ...), or a subdirectory for each of upstream's tags.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
import tempfile
from pathlib import Path

from . import artifacts, catalog, gobuild, images, jobs, make
from .catalog import LabError
from .components import COMPONENTS
from .pin import go_environment

SOURCE = catalog.LAB / "k3s-stand-in"
KINE = "0.17.5"
REVISION = "k3s1"
# Increase this when the way the artifact is built changes.
RECIPE = 1
# With Go's build cache from the lab's build of Kubernetes. Without it, as long as that build.
SECONDS = 100
# Programs in the executable, by component.
PAYLOAD = {
    "kubernetes": ("kubernetes",),
    "etcd": ("etcd", "etcdutl"),
    "containerd": ("containerd", "containerd-shim-runc-v2", "ctr"),
    "runc": ("runc",),
    "cni-plugins": ("bridge", "host-local", "loopback", "portmap", "firewall", "bandwidth"),
    "cri-tools": ("crictl",),
    "kine": ("kine",),
}
# Upstream's names of the executable.
EXECUTABLES = {"amd64": "k3s", "arm64": "k3s-arm64", "arm": "k3s-armhf"}


def tag(kubernetes):
    """Return upstream's tag of a release, such as v1.36.3+k3s1."""
    return f"v{kubernetes}+{REVISION}"


def folder(kubernetes):
    """Return the directory of a release's files. In a URL, the plus sign is written as %2B."""
    return catalog.cache("artifacts", "github.com", "k3s-io", "k3s", "releases", "download", tag(kubernetes))


def parts(table, kubernetes):
    """Return the (component, version) pairs that go into the executable."""
    versions = {"kubernetes": kubernetes, "etcd": table["kubernetes"][kubernetes]["etcd"], "kine": KINE}
    return [(name, versions.get(name) or table[name]) for name in PAYLOAD]


def built_parts(table, kubernetes):
    """Return the pairs that come from the lab's cache."""
    return [pair for pair in parts(table, kubernetes) if pair[0] != "kubernetes"]


def deployed(table, kubernetes):
    """Return the images that a K3s cluster needs."""
    return [image for image in images.images(table, kubernetes) if image.name.endswith(("/coredns", "/pause"))]


def sources():
    """Return the stand-in's source files, without tests."""
    found = [
        *SOURCE.glob("*.go"),
        *SOURCE.glob("pack/*.go"),
        *SOURCE.glob("manifests/*"),
        *SOURCE.glob("go.*"),
        *SOURCE.glob("*.sh"),
    ]
    return sorted(path for path in found if not path.name.endswith("_test.go"))


def key(table, kubernetes, arch):
    """Return a digest of everything that an artifact is built from."""
    digest = hashlib.sha256(repr([RECIPE, tag(kubernetes), arch, PAYLOAD]).encode())
    for path in sources():
        digest.update(path.name.encode() + path.read_bytes())
    digest.update(gobuild.key("kubernetes", kubernetes).encode())
    for name, version in built_parts(table, kubernetes):
        digest.update(gobuild.built(name, version, arch).encode())
    if arch == catalog.host_arch():
        digest.update("".join(images.key(image, arch) for image in deployed(table, kubernetes)).encode())
    return digest.hexdigest()[:16]


def stamp(kubernetes, arch):
    """Return the path of the file with the key of a release's files."""
    return catalog.cache("build", "k3s", tag(kubernetes), arch, gobuild.KEY)


def made(table, kubernetes, arch):
    """Return True if a release is built and up to date."""
    try:
        known = stamp(kubernetes, arch).read_text(encoding="utf-8").strip()
    except OSError:
        return False
    there = (folder(kubernetes) / EXECUTABLES[arch]).exists()
    return there and known == (real_key() if real() else key(table, kubernetes, arch))


def compile_go(package, target, arch, flags=""):
    """Compile one program of the stand-in's module."""
    log = catalog.cache("build", "logs", f"k3s-{Path(target).name}-{arch}.log")
    log.parent.mkdir(parents=True, exist_ok=True)
    words = ["go", "build", "-trimpath", "-mod=readonly", "-ldflags", f"-s -w {flags}", "-o", str(target), package]
    environment = go_environment(GOOS="linux", GOARCH=arch, CGO_ENABLED="0")
    gobuild.run_logged(words, log, cwd=SOURCE, env=environment)


def compile_kubernetes(version, target, arch):
    """Compile the Kubernetes programs into one, with K3s's version: nodes and `kubectl version` show v1.36.3+k3s1."""
    module = catalog.MODULES / f"kubernetes-{version}"
    overlay = target.with_name("overlay.json")
    overlay.write_text(
        json.dumps({"Replace": {str(module / "main.go"): str(SOURCE / "_kubernetes" / "main.go")}}), encoding="utf-8"
    )
    flags = (
        COMPONENTS["kubernetes"].linker_flags(version).replace(f"gitVersion=v{version}", f"gitVersion={tag(version)}")
    )
    log = catalog.cache("build", "logs", f"k3s-kubernetes-{version}-{arch}.log")
    words = [
        "go",
        "build",
        "-trimpath",
        "-mod=readonly",
        "-overlay",
        str(overlay),
        "-ldflags",
        flags,
        "-o",
        str(target),
        ".",
    ]
    gobuild.run_logged(words, log, cwd=module, env=go_environment(GOOS="linux", GOARCH=arch, CGO_ENABLED="0"))


def linker_flags(table, kubernetes):
    """Return linker flags for the version and for the images that the stand-in deploys."""
    refs = {image.name.rsplit("/", 1)[1]: image.ref for image in deployed(table, kubernetes)}
    values = {"version": tag(kubernetes), "corednsImage": refs["coredns"], "pauseImage": refs["pause"]}
    return " ".join(f"-X main.{name}={value}" for name, value in values.items())


def build(table, kubernetes, arch):
    """Build the executable, the image archive and the lists of a release."""
    target = folder(kubernetes)
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".new-") as temporary:
        work = Path(temporary)
        compile_go(".", work / "stub", arch, linker_flags(table, kubernetes))
        compile_go("./pack", work / "pack", catalog.host_arch())
        compile_kubernetes(kubernetes, work / "kubernetes", arch)
        programs = [
            str((work if name == "kubernetes" else gobuild.folder(name, version, arch)) / program)
            for name, version in parts(table, kubernetes)
            for program in PAYLOAD[name]
        ]
        log = catalog.cache("build", "logs", f"k3s-pack-{arch}.log")
        gobuild.run_logged([str(work / "pack"), "k3s", str(work / "stub"), str(work / "k3s"), *programs], log)
        place(work / "k3s", target / EXECUTABLES[arch], arch)
        if arch == catalog.host_arch():
            archives(table, kubernetes, arch, work, log)
    script(kubernetes, SOURCE / "install.sh")
    link_encoded_name(target)
    note(kubernetes, arch, key(table, kubernetes, arch))


def script(kubernetes, source):
    """Serve an install script at the paths of upstream's URLs, or nothing if `source` does not exist."""
    for name in (
        ("get.k3s.io", "index.html"),
        ("raw.githubusercontent.com", "k3s-io", "k3s", tag(kubernetes), "install.sh"),
    ):
        path = catalog.cache("artifacts", *name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        if source.exists():
            shutil.copyfile(source, path)


def archives(table, kubernetes, arch, work, log):
    """Write k3s-airgap-images-ARCH.tar.zst and the list of its images."""
    found = deployed(table, kubernetes)
    combine([image.archive(arch) for image in found], work / "images.tar")
    gobuild.run_logged([str(work / "pack"), "file", str(work / "images.tar"), str(work / "images.tar.zst")], log)
    place(work / "images.tar.zst", folder(kubernetes) / f"k3s-airgap-images-{arch}.tar.zst", arch)
    artifacts.write(work / "images.txt", "".join(f"{image.ref}\n" for image in found))
    place(work / "images.txt", folder(kubernetes) / "k3s-images.txt", arch)


def combine(sources_, target):
    """Combine image archives into one. Like each of them, it is both an OCI layout and a Docker archive."""
    index, docker, seen = None, [], set()
    with tarfile.open(target, "w") as out:
        for source in sources_:
            with tarfile.open(source) as tar:
                for member in tar:
                    data = tar.extractfile(member) if member.isfile() else None
                    if member.name == "index.json":
                        found = json.load(data)
                        index = (
                            found if index is None else index | {"manifests": index["manifests"] + found["manifests"]}
                        )
                    elif member.name == "manifest.json":
                        docker += json.load(data)
                    elif member.name not in seen:
                        seen.add(member.name)
                        out.addfile(member, data)
        for name, value in (("index.json", index), ("manifest.json", docker)):
            text = json.dumps(value, sort_keys=True).encode()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text), 0o644
            out.addfile(entry, io.BytesIO(text))


def place(source, target, arch):
    """Move a file into place and update its line in the checksum file."""
    digest = artifacts.sha256(source)
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(source, target)
    sums = target.with_name(f"sha256sum-{arch}.txt")
    text = sums.read_text(encoding="utf-8") if sums.exists() else ""
    artifacts.write(sums, artifacts.merged(text, target.name, digest))


def link_encoded_name(target):
    """Link the directory under its URL-encoded name too, for users who read it without a server."""
    link = target.with_name(target.name.replace("+", "%2B"))
    if not link.is_symlink():
        link.symlink_to(target.name)


def note(kubernetes, arch, value):
    """Write the key that marks a release as complete."""
    path = stamp(kubernetes, arch)
    path.parent.mkdir(parents=True, exist_ok=True)
    artifacts.write(path, value + "\n")


def real():
    """Return the directory with real K3s releases, or None."""
    given = os.environ.get("K3S_ARTIFACTS")
    return Path(given) if given else None


def real_key():
    """Return the key of real files: the directory they come from."""
    return f"real:{real()}"


def take_real(kubernetes, arch):
    """Serve the files of a real release, after checking their digests."""
    source = next((path for path in (real() / tag(kubernetes), real()) if (path / EXECUTABLES[arch]).exists()), None)
    if source is None:
        raise LabError(f"K3S_ARTIFACTS: {EXECUTABLES[arch]} is neither in {real()} nor in {real() / tag(kubernetes)}.")
    sums = source / f"sha256sum-{arch}.txt"
    known = {
        line.split()[1].lstrip("*"): line.split()[0]
        for line in sums.read_text(encoding="utf-8").splitlines()
        if line.strip()
    }
    target = folder(kubernetes)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for path in sorted(path for path in source.iterdir() if path.is_file()):
        if path.name in known and artifacts.sha256(path) != known[path.name]:
            raise LabError(f"{path} does not match its digest in {sums.name}.")
        artifacts.link(path, target / path.name)
    script(kubernetes, source / "install.sh")
    link_encoded_name(target)
    note(kubernetes, arch, real_key())


def plan(kubernetes, arch):
    """Return the jobs for what is missing: components, images, then the stand-in itself."""
    table = catalog.versions()
    if made(table, kubernetes, arch):
        return []
    if real():
        return [jobs.Job(f"k3s {tag(kubernetes)} from {real()}", lambda: take_real(kubernetes, arch), 5)]
    stale = [pair for pair in built_parts(table, kubernetes) if not gobuild.built(*pair, arch)]
    todo = [make.program_job(*pair, arch, make.MODULES) for pair in stale]
    if arch == catalog.host_arch():
        wanted = [image for image in deployed(table, kubernetes) if not images.made(image, arch)]
        lacking = [pair for image in wanted for pair in image.builds if not gobuild.built(*pair, arch)]
        todo += [make.program_job(*pair, arch, make.MODULES) for pair in lacking]
        todo += [make.image_job(image, arch, False, None) for image in wanted]
    needs = tuple(job.name for job in todo)
    return [*todo, jobs.Job(f"k3s {tag(kubernetes)}", lambda: build(table, kubernetes, arch), SECONDS, needs)]
