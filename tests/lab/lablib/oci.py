# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write image archives in plain Python: each tar is both an OCI layout and a Docker archive."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import tempfile
from pathlib import Path

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
# Not compressed: the registry is on the same machine as its clients, which read faster than they decompress.
LAYER = "application/vnd.oci.image.layer.v1.tar"
CREATED = "1970-01-01T00:00:00Z"
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def digest_of(data):
    """Return the digest that names a blob."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def encode(value):
    """Return a value as reproducible JSON."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


class Hashing:
    """A file that computes its digest while it is written."""

    def __init__(self, file):
        self.file, self.hash, self.size = file, hashlib.sha256(), 0

    def write(self, data):
        """Write data like a file does."""
        self.hash.update(data)
        self.size += len(data)
        return self.file.write(data)

    @property
    def digest(self):
        """Return the digest of what was written so far."""
        return "sha256:" + self.hash.hexdigest()


def entry(name, mode, size=0, kind=tarfile.REGTYPE, headers=None):
    """Return a member of a layer, owned by root and without a timestamp."""
    info = tarfile.TarInfo(name)
    info.mode, info.size, info.type = mode, size, kind
    info.pax_headers = headers or {}
    return info


def folders(names):
    """Return the parent directories of these paths, outer ones first."""
    found = {str(parent) for name in names for parent in Path(name).parents if str(parent) != "."}
    return sorted(found)


def write_layer(file, members):
    """Write a layer and return its descriptor.

    `members` is {path: (mode, content, pax headers)}; content is bytes, the path of a file, or None for a directory.
    """
    out = Hashing(file)
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT, bufsize=1 << 20) as tar:
        for name in folders(members):
            if name not in members:
                tar.addfile(entry(name, 0o755, kind=tarfile.DIRTYPE))
        for name, (mode, content, headers) in sorted(members.items()):
            if content is None:
                tar.addfile(entry(name, mode, kind=tarfile.DIRTYPE))
            elif isinstance(content, bytes):
                tar.addfile(entry(name, mode, len(content), headers=headers), io.BytesIO(content))
            else:
                with open(content, "rb") as source:
                    tar.addfile(entry(name, mode, os.stat(content).st_size, headers=headers), source)
    return {"mediaType": LAYER, "digest": out.digest, "size": out.size}


def config(arch, settings, layers):
    """Return an image's configuration. Layers are not compressed, so their digests are their diff IDs."""
    value = {
        "architecture": arch,
        "os": "linux",
        "created": CREATED,
        "config": {"Env": [PATH], "WorkingDir": "/", **settings},
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]},
        "history": [{"created": CREATED, "created_by": "kubewright lab"} for _layer in layers],
    }
    return encode(value)


def blob_path(digest):
    """Return the path of a blob in the layout."""
    return "blobs/" + digest.replace(":", "/")


def documents(ref, arch, settings, layers):
    """Return (digest of the manifest, {path in the archive: bytes}) of everything except the layers."""
    settings_blob = config(arch, settings, layers)
    descriptor = {"mediaType": CONFIG, "digest": digest_of(settings_blob), "size": len(settings_blob)}
    manifest = encode({"schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor, "layers": layers})
    digest = digest_of(manifest)
    names = {"io.containerd.image.name": ref, "org.opencontainers.image.ref.name": ref.rsplit(":", 1)[1]}
    top = {"mediaType": MANIFEST, "digest": digest, "size": len(manifest), "annotations": names}
    docker = [
        {
            "Config": blob_path(descriptor["digest"]),
            "RepoTags": [ref],
            "Layers": [blob_path(layer["digest"]) for layer in layers],
        }
    ]
    return digest, {
        "oci-layout": encode({"imageLayoutVersion": "1.0.0"}),
        "index.json": encode({"schemaVersion": 2, "mediaType": INDEX, "manifests": [top]}),
        "manifest.json": encode(docker),
        blob_path(descriptor["digest"]): settings_blob,
        blob_path(digest): manifest,
    }


def write_archive(target, ref, arch, settings, members, root=None):
    """Write an image's archive, on top of a root file system's tar if given. Return the digest of the manifest."""
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".new-") as work:
        top = Path(work, "layer.tar")
        with open(top, "wb") as file:
            layers = [(write_layer(file, members), top)]
        if root:
            with open(root, "rb") as file:
                digest = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
            layers.insert(0, ({"mediaType": LAYER, "digest": digest, "size": os.stat(root).st_size}, root))
        digest, texts = documents(ref, arch, settings, [layer for layer, _path in layers])
        made = Path(work, "image.tar")
        with tarfile.open(made, "w") as tar:
            for name, data in sorted(texts.items()):
                tar.addfile(entry(name, 0o644, len(data)), io.BytesIO(data))
            for layer, path in layers:
                with open(path, "rb") as source:
                    tar.addfile(entry(blob_path(layer["digest"]), 0o644, layer["size"]), source)
        os.replace(made, target)
    return digest
