# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The images of a cluster under upstream's names, and their contents."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from . import catalog, gobuild, oci, rootfs
from .artifacts import write
from .catalog import LabError

REGISTRY = "registry.k8s.io"
PAUSE_SOURCE = catalog.LAB / "pause" / "pause.c"
# Increase this when the way images are built changes.
RECIPE = 1
# CoreDNS serves port 53 without root: cap_net_bind_service as a file capability, in the kernel's format.
BIND_SERVICE = b"\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
ACCOUNTS = {
    "etc/passwd": "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n"
    "nobody:x:65534:65534:nobody:/:/sbin/nologin\n",
    "etc/group": "root:x:0:\nnonroot:x:65532:\nnogroup:x:65534:\n",
}


@dataclass(frozen=True)
class Image:
    """An image. `programs` maps a path in the image to (component, version, program)."""

    name: str
    tag: str
    programs: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    settings: dict = field(default_factory=dict)
    root: str | None = None
    headers: dict = field(default_factory=dict)

    @property
    def ref(self):
        """Return the reference that kubeadm and manifests use."""
        return f"{self.name}:{self.tag}"

    @property
    def builds(self):
        """Return the (component, version) pairs that must be built first."""
        return sorted({(component, version) for component, version, _program in self.programs.values()})

    def archive(self, arch):
        """Return the path of its archive in the cache."""
        return catalog.cache("images", *self.name.split("/"), f"{self.tag}-{arch}.tar")


def control_plane(version):
    """Return the images that belong to a Kubernetes version."""
    found = []
    for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"):
        path = f"usr/local/bin/{name}"
        root = "network" if name == "kube-proxy" else None
        programs = {path: ("kubernetes", version, name)}
        found.append(Image(f"{REGISTRY}/{name}", f"v{version}", programs, {"Cmd": [f"/{path}"]}, root))
    return found


def images(table, version):
    """Return the images that `kubeadm config images list` prints for a Kubernetes version, and the network plugin's."""
    row = table["kubernetes"][version]
    dns = {"coredns": ("coredns", row["coredns"], "coredns")}
    bind = {"SCHILY.xattr.security.capability": BIND_SERVICE.decode()}
    settings = {"Entrypoint": ["/coredns"], "User": "65532:65532", "ExposedPorts": {"53/tcp": {}, "53/udp": {}}}
    return [
        *control_plane(version),
        etcd(row["etcd_image"], row["etcd"]),
        # What the collection installs in place of kubeadm's etcd. The tag's version is not served as a module.
        *([etcd(table["safe_etcd_image"], table["safe_etcd"])] if catalog.needs_safe_etcd(table, version) else []),
        Image(f"{REGISTRY}/coredns/coredns", f"v{row['coredns']}", dns, settings, headers=bind),
        Image(f"{REGISTRY}/pause", row["pause"], {}, {"Entrypoint": ["/pause"], "User": "65535:65535"}),
        kube_router(table["kube-router"]),
    ]


def etcd(tag, version):
    """Return the image of etcd and its tools."""
    programs = {f"usr/local/bin/{name}": ("etcd", version, name) for name in ("etcd", "etcdctl", "etcdutl")}
    return Image(f"{REGISTRY}/etcd", tag, programs, {"Cmd": ["/usr/local/bin/etcd"]})


def kube_router(version):
    """Return the network plugin's image. It has the same root file system as kube-proxy."""
    path = "usr/local/bin/kube-router"
    settings = {"Entrypoint": [f"/{path}"], "WorkingDir": "/root"}
    programs = {path: ("kube-router", version, "kube-router")}
    return Image("docker.io/cloudnativelabs/kube-router", f"v{version}", programs, settings, "network")


def key(image, arch):
    """Return a digest of everything that an image is built from."""
    inputs = [RECIPE, image, arch, rootfs.key(image.root) if image.root else PAUSE_SOURCE.read_text(encoding="utf-8")]
    inputs += [gobuild.built(name, version, arch) for name, version in image.builds]
    return hashlib.sha256(repr(inputs).encode()).hexdigest()[:16]


def record(image, arch):
    """Return the record of an archive in the cache (key, digest), or an empty dictionary."""
    try:
        return json.loads(image.archive(arch).with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def made(image, arch):
    """Return True if the archive exists and was built from the cached programs or copied from upstream."""
    return image.archive(arch).exists() and record(image, arch).get("key") in (key(image, arch), gobuild.UPSTREAM)


def note(image, arch, digest, kind):
    """Write the record of a complete archive."""
    value = {"ref": image.ref, "arch": arch, "digest": digest, "key": kind}
    write(image.archive(arch).with_suffix(".json"), json.dumps(value, indent=1) + "\n")


def members(image, arch, pause):
    """Return the files that an image adds to its root file system."""
    found = {}
    if not image.root:
        found = {path: (0o644, text.encode(), None) for path, text in ACCOUNTS.items()}
        found["tmp"] = (0o1777, None, None)
    for path, (name, version, program) in image.programs.items():
        found[path] = (0o755, gobuild.folder(name, version, arch) / program, image.headers)
    if not image.programs:
        found["pause"] = (0o755, pause, None)
    return found


def compile_pause(version, arch, work):
    """Compile the lab's own static pause program."""
    compiler = {"amd64": "x86_64-linux-gnu-gcc", "arm64": "aarch64-linux-gnu-gcc"}.get(arch, "gcc")
    target = Path(work, "pause")
    words = ["gcc" if arch == catalog.host_arch() else compiler, "-Os", "-static", "-s", f'-DVERSION="{version}"']
    if shutil.which(words[0]) is None:
        raise LabError(
            f"{words[0]} is missing: run `apt-get install gcc libc6-dev` (all packages: tests/lab/apt.txt)."
        )
    subprocess.run([*words, "-o", str(target), str(PAUSE_SOURCE)], check=True)
    return target


def make(image, arch):
    """Build an image's archive."""
    with tempfile.TemporaryDirectory() as work:
        pause = None if image.programs else compile_pause(image.tag, arch, work)
        root = rootfs.path(image.root, arch) if image.root else None
        target = image.archive(arch)
        digest = oci.write_archive(target, image.ref, arch, image.settings, members(image, arch, pause), root)
    note(image, arch, digest, key(image, arch))
