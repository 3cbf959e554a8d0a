# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Load images into the containerd of running nodes, from archives or from the engine's own store."""

from __future__ import annotations

import json
import os
import tarfile
import tempfile
from typing import Any, Dict

from .engine import Engine, together
from .nodes import LocalError

IMPORT = ("ctr", "--namespace", "k8s.io", "images", "import", "-")


# Config digests by full image name.
Digests = Dict[str, str]


def archive_images(path: str) -> Digests:
    """Return the images of a Docker or OCI archive, {} if it does not name them. Raise LocalError if it is not one."""
    try:
        with tarfile.open(path) as archive:
            names = set(archive.getnames())
            if "manifest.json" in names:
                return _docker_images(_load(archive, "manifest.json"))
            if "index.json" in names:
                return _oci_images(archive, _load(archive, "index.json"))
    except (tarfile.TarError, OSError, ValueError, KeyError, TypeError) as error:
        raise LocalError(f"{path} is not an image archive: {error}.") from error
    raise LocalError(f"{path} is not an image archive: it has neither manifest.json nor index.json.")


def _load(archive: tarfile.TarFile, name: str) -> Any:
    content = archive.extractfile(name)
    return json.loads(content.read() if content else b"")


def _docker_images(entries: list[dict[str, Any]]) -> Digests:
    found: Digests = {}
    for entry in entries:
        digest = os.path.basename(entry["Config"]).replace(".json", "")
        found.update({full_name(tag): f"sha256:{digest}" for tag in entry.get("RepoTags") or []})
    return found


def _oci_images(archive: tarfile.TarFile, index: dict[str, Any]) -> Digests:
    found: Digests = {}
    for entry in index["manifests"]:
        notes = entry.get("annotations") or {}
        name = notes.get("io.containerd.image.name") or notes.get("org.opencontainers.image.ref.name")
        manifest = _load(archive, "blobs/" + entry["digest"].replace(":", "/"))
        if name and "config" in manifest:
            found[full_name(name)] = manifest["config"]["digest"]
    return found


def full_name(name: str) -> str:
    """Return an image's name as containerd has it: busybox is docker.io/library/busybox:latest."""
    first, slash, rest = name.partition("/")
    if not slash:
        name = f"docker.io/library/{name}"
    elif not ("." in first or ":" in first or first == "localhost"):
        name = f"docker.io/{first}/{rest}"
    return name if ":" in name.rsplit("/", 1)[-1] or "@" in name else f"{name}:latest"


def present_images(listing: str) -> Digests:
    """Return the images that `crictl images --output json` lists."""
    return {
        tag: image["id"] for image in json.loads(listing).get("images") or [] for tag in image.get("repoTags") or []
    }


def must_import(wanted: Digests, present: Digests) -> bool:
    """Return True if an archive has to be imported: it does not name its images, or the node has other ones."""
    return not wanted or any(present.get(name) != digest for name, digest in wanted.items())


class Loader:
    """Load archives and images of the engine into nodes."""

    def __init__(self, engine: Engine, check_mode: bool) -> None:
        self.engine = engine
        self.check_mode = check_mode

    def load(self, images: list[str], nodes: list[dict[str, Any]]) -> list[tuple[str, str]]:
        """Load missing images into each node. Return [(image, node)] of those that were, or would be, loaded."""
        wanted = [(image, self._holds(image)) for image in images]
        present = together(self._present, nodes)
        todo = [
            (node["name"], [image for image, holds in wanted if must_import(holds, there)])
            for node, there in zip(nodes, present)
        ]
        if not self.check_mode:
            with tempfile.TemporaryDirectory(prefix="kubewright-images-") as scratch:
                needed = [image for image in images if any(image in missing for _name, missing in todo)]
                archives = {image: self._archive(image, scratch, number) for number, image in enumerate(needed)}
                together(lambda item: self._import(item[0], [archives[image] for image in item[1]]), todo)
        return [(image, name) for name, missing in todo for image in missing]

    def _holds(self, image: str) -> Digests:
        """Return the images of an archive, or the one that the engine has."""
        if os.path.isfile(image):
            return archive_images(image)
        if self.engine.failure("image", "inspect", image):
            engine = self.engine.host["engine"]
            raise LocalError(f"{image} is neither an archive on this machine nor an image in {engine}'s store.")
        identifier = self.engine("image", "inspect", "--format", "{{.Id}}", image).strip()
        return {full_name(image): "sha256:" + identifier.replace("sha256:", "")}

    def _present(self, node: dict[str, Any]) -> Digests:
        name = node["name"]
        if self.engine.failure("exec", name, "ctr", "version"):
            raise LocalError(f"{name} has no running containerd to load images into: run the site playbook first.")
        try:
            return present_images(self.engine("exec", name, "crictl", "images", "--output", "json"))
        except (LocalError, ValueError):
            return {}

    def _archive(self, image: str, scratch: str, number: int) -> str:
        if os.path.isfile(image):
            return image
        path = os.path.join(scratch, f"{number}.tar")
        self.engine("save", "--output", path, image)
        return path

    def _import(self, name: str, archives: list[str]) -> None:
        for path in archives:
            with open(path, "rb") as file:
                self.engine("exec", "--interactive", name, *IMPORT, stdin=file)
