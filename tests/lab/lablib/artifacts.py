# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The artifact directory: upstream's files at the paths of upstream's URLs, with checksum files."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from . import catalog, gobuild
from .components import COMPONENTS


@dataclass(frozen=True)
class Artifact:
    """A file that upstream publishes: an archive of programs, or a single program.

    `members` maps a path in the archive to a program. `sums` is the name of the checksum file. `style` is its format:
    "digest" (only the digest) or "lines" (lines of digest and file name).
    """

    path: str
    members: dict[str, str]
    sums: str
    style: str = "lines"

    @property
    def archive(self):
        """Return True if the file is an archive."""
        return self.path.endswith(("gz", "tgz"))


# Repository, file, path prefix of the programs in it, checksum file, format of the checksum file.
RELEASES = {
    "containerd": ("containerd/containerd", "containerd-{v}-linux-{arch}.tar.gz", "bin/", "{file}.sha256sum", "lines"),
    "runc": ("opencontainers/runc", "runc.{arch}", "", "runc.sha256sum", "lines"),
    "cni-plugins": ("containernetworking/plugins", "cni-plugins-linux-{arch}-v{v}.tgz", "./", "{file}.sha256", "lines"),
    "cri-tools": ("kubernetes-sigs/cri-tools", "crictl-v{v}-linux-{arch}.tar.gz", "", "{file}.sha256", "digest"),
    "etcd": ("etcd-io/etcd", "etcd-v{v}-linux-{arch}.tar.gz", "etcd-v{v}-linux-{arch}/", "SHA256SUMS", "lines"),
    "coredns": ("coredns/coredns", "coredns_{v}_linux_{arch}.tgz", "", "{file}.sha256", "lines"),
}


def artifacts(name, version, arch):
    """Return the artifacts of a component that the lab serves for an architecture."""
    programs = COMPONENTS[name].programs
    if name == "kubernetes":
        base = f"dl.k8s.io/release/v{version}/bin/linux/{arch}"
        return [
            Artifact(f"{base}/{program}", {program: program}, f"{program}.sha256", "digest") for program in programs
        ]
    if name not in RELEASES:
        return []
    repository, file, before, sums, style = RELEASES[name]
    file, before = (text.format(v=version, arch=arch) for text in (file, before))
    path = f"github.com/{repository}/releases/download/v{version}/{file}"
    return [Artifact(path, {before + program: program for program in programs}, sums.format(file=file), style)]


def sha256(path):
    """Return the SHA-256 digest of a file in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def merged(text, name, digest):
    """Return the text of a checksum file with the line of one file replaced or added. Other lines are kept."""
    lines = {line.split()[1]: line.split()[0] for line in text.splitlines() if len(line.split()) == 2}
    lines[name] = digest
    return "".join(f"{value}  {key}\n" for key, value in sorted(lines.items()))


def write(path, text):
    """Replace a file atomically."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def pack(target, members, programs):
    """Write a reproducible .tar.gz. Compression is fast, not small."""
    with (
        open(target, "wb") as raw,
        gzip.GzipFile("", "wb", 1, raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", bufsize=1 << 20) as tar,
    ):
        for folder in sorted({parent for member in members for parent in parents(member)}):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for member, program in sorted(members.items()):
            entry = tarfile.TarInfo(member)
            entry.size, entry.mode = (programs / program).stat().st_size, 0o755
            with open(programs / program, "rb") as file:
                tar.addfile(entry, file)


def parents(member):
    """Return the directories that the archive lists before a member, such as ./ or bin/."""
    folder = os.path.dirname(member)
    return [folder] if folder else []


def place(artifact, programs):
    """Write an artifact and its checksum."""
    target = catalog.cache("artifacts", artifact.path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".new-") as temporary:
        made = Path(temporary, target.name)
        if artifact.archive:
            pack(made, artifact.members, programs)
        else:
            link(programs / next(iter(artifact.members.values())), made)
        digest = sha256(made)
        os.replace(made, target)
    sums = target.with_name(artifact.sums)
    if artifact.style == "digest":
        write(sums, digest)
    else:
        write(sums, merged(sums.read_text(encoding="utf-8") if sums.exists() else "", target.name, digest))


def link(source, target):
    """Hard-link a file, or copy it where the file system has no hard links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def stamp(name, version, arch):
    """Return the path of the file that marks a component's artifacts as complete."""
    return gobuild.folder(name, version, arch) / ".placed"


def placed(name, version, arch):
    """Return True if the artifacts exist and come from the latest build."""
    files = [catalog.cache("artifacts", artifact.path) for artifact in artifacts(name, version, arch)]
    return stamp(name, version, arch).exists() and all(file.exists() for file in files)


def layout(name, version, arch):
    """Write all artifacts of a component, then mark them as complete."""
    for artifact in artifacts(name, version, arch):
        place(artifact, gobuild.folder(name, version, arch))
    if name == "kubernetes":
        markers()
    stamp(name, version, arch).touch()


def markers():
    """Write the files of dl.k8s.io that name the newest version, overall and for each minor."""
    base = catalog.cache("artifacts", "dl.k8s.io", "release")
    there = sorted((path.name[1:] for path in base.glob("v*/") if path.is_dir()), key=catalog.number)
    for version in there:
        write(base / f"stable-{catalog.minor(version)}.txt", f"v{version}")
        write(base / "stable.txt", f"v{version}")
