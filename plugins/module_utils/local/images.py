# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images into the containerd of running nodes: from archives, or from the engine's own store."""

from __future__ import annotations

import json
import os
import tarfile
import tempfile

from .engine import together
from .nodes import LocalError

IMPORT = ("ctr", "--namespace", "k8s.io", "images", "import", "-")


def archive_images(path):
    """{name: config digest} of a Docker or OCI archive; empty when it does not say."""
    try:
        with tarfile.open(path) as archive:
            names = set(archive.getnames())
            if "manifest.json" in names:
                return _docker_images(_load(archive, "manifest.json"))
            if "index.json" in names:
                return _oci_images(archive, _load(archive, "index.json"))
    except (tarfile.TarError, OSError, ValueError, KeyError, TypeError) as error:
        raise LocalError(f"{path} is no image archive: {error}.") from error
    raise LocalError(f"{path} is no image archive: it has neither manifest.json nor index.json.")


def _load(archive, name):
    return json.loads(archive.extractfile(name).read())


def _docker_images(entries):
    found = {}
    for entry in entries:
        digest = os.path.basename(entry["Config"]).replace(".json", "")
        found.update({full_name(tag): f"sha256:{digest}" for tag in entry.get("RepoTags") or []})
    return found


def _oci_images(archive, index):
    found = {}
    for entry in index["manifests"]:
        notes = entry.get("annotations") or {}
        name = notes.get("io.containerd.image.name") or notes.get("org.opencontainers.image.ref.name")
        manifest = _load(archive, "blobs/" + entry["digest"].replace(":", "/"))
        if name and "config" in manifest:
            found[full_name(name)] = manifest["config"]["digest"]
    return found


def full_name(name):
    """busybox is docker.io/library/busybox:latest to containerd."""
    first, slash, rest = name.partition("/")
    if not slash:
        name = f"docker.io/library/{name}"
    elif not ("." in first or ":" in first or first == "localhost"):
        name = f"docker.io/{first}/{rest}"
    return name if ":" in name.rsplit("/", 1)[-1] or "@" in name else f"{name}:latest"


def present_images(listing):
    """{name: config digest} from `crictl images --output json`."""
    return {
        tag: image["id"] for image in json.loads(listing).get("images") or [] for tag in image.get("repoTags") or []
    }


def lacking(wanted, present):
    """Whether an archive has to be imported: it does not say what it holds, or the node has something else."""
    return not wanted or any(present.get(name) != digest for name, digest in wanted.items())


class Loader:
    """Brings archives and images of the engine into nodes."""

    def __init__(self, engine, check_mode):
        self.engine = engine
        self.check_mode = check_mode

    def load(self, images, nodes):
        """Loads into each node what it lacks of them; returns what was done as sentences."""
        wanted = [(image, self._holds(image)) for image in images]
        present = together(self._present, nodes)
        todo = [
            (node["name"], [image for image, holds in wanted if lacking(holds, there)])
            for node, there in zip(nodes, present)
        ]
        if not self.check_mode:
            with tempfile.TemporaryDirectory(prefix="kubewright-images-") as scratch:
                needed = [image for image in images if any(image in lacks for dummy, lacks in todo)]
                archives = {image: self._archive(image, scratch, number) for number, image in enumerate(needed)}
                together(lambda item: self._import(item[0], [archives[image] for image in item[1]]), todo)
        return [f"loaded {image} into {name}" for name, lacks in todo for image in lacks]

    def _holds(self, image):
        """{name: config digest} of an archive, or of an image that the engine has."""
        if os.path.isfile(image):
            return archive_images(image)
        if self.engine.failure("image", "inspect", image):
            engine = self.engine.host["engine"]
            raise LocalError(f"{image} is neither an archive on this machine nor an image that {engine} has.")
        identifier = self.engine("image", "inspect", "--format", "{{.Id}}", image).strip()
        return {full_name(image): "sha256:" + identifier.replace("sha256:", "")}

    def _present(self, node):
        name = node["name"]
        if self.engine.failure("exec", name, "ctr", "version"):
            raise LocalError(f"{name} has no running containerd yet to load images into: run the site playbook first.")
        try:
            return present_images(self.engine("exec", name, "crictl", "images", "--output", "json"))
        except (LocalError, ValueError):
            return {}

    def _archive(self, image, scratch, number):
        if os.path.isfile(image):
            return image
        path = os.path.join(scratch, f"{number}.tar")
        self.engine("save", "--output", path, image)
        return path

    def _import(self, name, archives):
        for path in archives:
            with open(path, "rb") as file:
                self.engine("exec", "--interactive", name, *IMPORT, stdin=file)
