# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The artifact directory: upstream's files under upstream's addresses, with upstream's checksum files beside them."""

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
    """`members` maps a path in the archive to a program; a single program is served as it is.

    `sums` is the checksum file's name; `style` says what is in it: the digest alone, or lines of digest and name.
    """

    path: str
    members: dict[str, str]
    sums: str
    style: str = "lines"

    @property
    def archive(self):
        """Whether the programs are packed."""
        return self.path.endswith(("gz", "tgz"))


# Repository, file, what stands before the programs' names in it, the checksum file and what is in that.
RELEASES = {
    "containerd": ("containerd/containerd", "containerd-{v}-linux-{arch}.tar.gz", "bin/", "{file}.sha256sum", "lines"),
    "runc": ("opencontainers/runc", "runc.{arch}", "", "runc.sha256sum", "lines"),
    "cni-plugins": ("containernetworking/plugins", "cni-plugins-linux-{arch}-v{v}.tgz", "./", "{file}.sha256", "lines"),
    "cri-tools": ("kubernetes-sigs/cri-tools", "crictl-v{v}-linux-{arch}.tar.gz", "", "{file}.sha256", "digest"),
    "etcd": ("etcd-io/etcd", "etcd-v{v}-linux-{arch}.tar.gz", "etcd-v{v}-linux-{arch}/", "SHA256SUMS", "lines"),
    "coredns": ("coredns/coredns", "coredns_{v}_linux_{arch}.tgz", "", "{file}.sha256", "lines"),
}


def artifacts(name, version, arch):
    """What upstream publishes of a component for an architecture, as far as the lab has it."""
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
    """The digest of a file in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def merged(text, name, digest):
    """A list of digests with this file's line in it: other architectures keep theirs."""
    lines = {line.split()[1]: line.split()[0] for line in text.splitlines() if len(line.split()) == 2}
    lines[name] = digest
    return "".join(f"{value}  {key}\n" for key, value in sorted(lines.items()))


def write(path, text):
    """Replaces a file at once."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def pack(target, members, programs):
    """A .tar.gz that is the same for the same programs. Speed counts here, not size."""
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
    """The directories that an archive names before a member: ./ or bin/."""
    folder = os.path.dirname(member)
    return [folder] if folder else []


def place(artifact, programs):
    """Writes one artifact and its checksum."""
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
    """One copy on the disk where the file system allows it."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def stamp(name, version, arch):
    """Says which build the artifacts of a component are from."""
    return gobuild.folder(name, version, arch) / ".placed"


def placed(name, version, arch):
    """Whether the artifacts are there and from what was built last."""
    files = [catalog.cache("artifacts", artifact.path) for artifact in artifacts(name, version, arch)]
    return stamp(name, version, arch).exists() and all(file.exists() for file in files)


def layout(name, version, arch):
    """All artifacts of a component, then the mark that they are there."""
    for artifact in artifacts(name, version, arch):
        place(artifact, gobuild.folder(name, version, arch))
    if name == "kubernetes":
        markers()
    stamp(name, version, arch).touch()


def markers():
    """dl.k8s.io's files that name the newest version there is, and of each minor."""
    base = catalog.cache("artifacts", "dl.k8s.io", "release")
    there = sorted((path.name[1:] for path in base.glob("v*/") if path.is_dir()), key=catalog.number)
    for version in there:
        write(base / f"stable-{catalog.minor(version)}.txt", f"v{version}")
        write(base / "stable.txt", f"v{version}")
