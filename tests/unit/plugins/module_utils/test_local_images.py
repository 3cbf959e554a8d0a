# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import io
import json
import tarfile

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils import local_images
from ansible_collections.kubewright.cluster.plugins.module_utils.local_nodes import LocalError


def archive(path, files):
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            data = json.dumps(content).encode()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return str(path)


def test_docker_archive(tmp_path):
    path = archive(
        tmp_path / "a.tar",
        {
            "manifest.json": [
                {"Config": "abc.json", "RepoTags": ["busybox"]},
                {"Config": "blobs/sha256/def", "RepoTags": None},
            ]
        },
    )
    assert local_images.archive_images(path) == {"docker.io/library/busybox:latest": "sha256:abc"}


def test_oci_archive(tmp_path):
    path = archive(
        tmp_path / "a.tar",
        {
            "index.json": {
                "manifests": [
                    {
                        "digest": "sha256:m",
                        "annotations": {"org.opencontainers.image.ref.name": "registry.k8s.io/pause:3.10"},
                    }
                ]
            },
            "blobs/sha256/m": {"config": {"digest": "sha256:c"}},
        },
    )
    assert local_images.archive_images(path) == {"registry.k8s.io/pause:3.10": "sha256:c"}


def test_what_is_no_archive_is_said(tmp_path):
    (tmp_path / "x.tar").write_text("no tar")
    with pytest.raises(LocalError, match="is no image archive"):
        local_images.archive_images(str(tmp_path / "x.tar"))
    with pytest.raises(LocalError, match="neither"):
        local_images.archive_images(archive(tmp_path / "y.tar", {"other": 1}))


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1", "docker.io/library/busybox:1"),
        ("me/app", "docker.io/me/app:latest"),
        ("localhost/app:2", "localhost/app:2"),
        ("localhost:5000/app", "localhost:5000/app:latest"),
        ("registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"),
    ],
)
def test_full_name(name, full):
    assert local_images.full_name(name) == full


def test_only_what_differs_is_imported():
    present = local_images.present_images(json.dumps({"images": [{"id": "sha256:a", "repoTags": ["x:1", "y:1"]}]}))
    assert not local_images.lacking({"x:1": "sha256:a"}, present)
    assert local_images.lacking({"x:1": "sha256:b"}, present)
    assert local_images.lacking({"x:1": "sha256:a", "z:1": "sha256:a"}, present)
    assert local_images.lacking({}, present)
