# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Download programs from upstream, a mirror or a directory, and check upstream's checksums."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from . import catalog, gobuild, images
from .artifacts import artifacts, markers, sha256, stamp, write
from .catalog import LabError

TRIES = 4


def reachable(host="dl.k8s.io", seconds=3):
    """Return True if upstream is reachable."""
    try:
        socket.create_connection((host, 443), timeout=seconds).close()
    except OSError:
        return False
    return True


def address(base, path):
    """Return the URL of `path` (dl.k8s.io/...): upstream's, below a mirror's URL, or below a directory."""
    if base == gobuild.UPSTREAM:
        return f"https://{path}"
    if "://" in base:
        return f"{base.rstrip('/')}/{path}"
    return Path(base).resolve().joinpath(path).as_uri()


def fetch(url, target):
    """Download to a file. Retry failures of the network or the server."""
    for attempt in range(1, TRIES + 1):
        try:
            with urllib.request.urlopen(url, timeout=60) as answer, open(target, "wb") as file:
                shutil.copyfileobj(answer, file, 1 << 20)
            return
        except (urllib.error.URLError, OSError) as error:
            final = isinstance(error, urllib.error.HTTPError) and error.code < 500
            if final or attempt == TRIES or url.startswith("file:"):
                raise LabError(f"{url}: {error}") from error
            time.sleep(2**attempt)


def wanted_digest(text, name):
    """Return a file's digest from a checksum file, which has only the digest or lines of digest and name."""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    if len(lines) == 1 and len(lines[0]) == 1:
        return lines[0][0]
    return next((words[0] for words in lines if len(words) == 2 and words[1].lstrip("*") == name), None)


def download(base, artifact):
    """Download an artifact and its checksum file to the artifact directory, after checking the digest."""
    target = catalog.cache("artifacts", artifact.path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".new-") as work:
        sums, file = Path(work, "sums"), Path(work, target.name)
        fetch(address(base, os.path.join(os.path.dirname(artifact.path), artifact.sums)), sums)
        fetch(address(base, artifact.path), file)
        wanted, got = wanted_digest(sums.read_text(encoding="utf-8"), target.name), sha256(file)
        if wanted != got:
            raise LabError(f"{address(base, artifact.path)} has the digest {got}, but {artifact.sums} says {wanted}.")
        file.chmod(0o755)
        os.replace(file, target)
        write(target.with_name(artifact.sums), sums.read_text(encoding="utf-8"))


def unpack(artifact, made):
    """Extract an artifact's programs."""
    source = catalog.cache("artifacts", artifact.path)
    if not artifact.archive:
        shutil.copy2(source, made / next(iter(artifact.members.values())))
        return
    with tarfile.open(source) as tar:
        wanted = {os.path.normpath(member): program for member, program in artifact.members.items()}
        for member in tar:
            program = wanted.get(os.path.normpath(member.name))
            if program and member.isfile():
                with tar.extractfile(member) as file, open(made / program, "wb") as target:
                    shutil.copyfileobj(file, target, 1 << 20)
                (made / program).chmod(0o755)


def get(base, name, version, arch):
    """Download the programs and artifacts of a component."""
    catalog.cache("build").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=catalog.cache("build"), prefix=f".new-{name}-{version}-") as work:
        made = Path(work, "programs")
        made.mkdir()
        for artifact in artifacts(name, version, arch):
            download(base, artifact)
            unpack(artifact, made)
        gobuild.install(name, version, arch, made, gobuild.UPSTREAM)
    if name == "kubernetes":
        markers()
    stamp(name, version, arch).touch()


def copy_image(image, arch, registry=None):
    """Copy an image from its registry, or from a mirror, with skopeo."""
    if shutil.which("skopeo") is None:
        raise LabError("skopeo is missing: run `apt-get install skopeo` (all packages: tests/lab/apt.txt).")
    host, path = image.name.split("/", 1)
    target = image.archive(arch)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".new-") as work:
        words = ["skopeo", "--override-arch", arch, "--override-os", "linux", "copy", "--quiet"]
        words += ["--src-tls-verify=false"] if registry else []
        words += [f"docker://{registry or host}/{path}:{image.tag}", f"oci-archive:{work}/image.tar:{image.tag}"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LabError(f"{image.ref}: {done.stderr.strip()[-500:]}")
        os.replace(f"{work}/image.tar", target)
    with tarfile.open(target) as tar:
        digest = json.load(tar.extractfile("index.json"))["manifests"][0]["digest"]
    images.note(image, arch, digest, gobuild.UPSTREAM)
