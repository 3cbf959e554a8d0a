# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import io
import json
import tarfile

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.local import images as local_images
from ansible_collections.kubewright.cluster.plugins.module_utils.local.nodes import LocalError


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
    with pytest.raises(LocalError, match="is not an image archive"):
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
    assert not local_images.must_import({"x:1": "sha256:a"}, present)
    assert local_images.must_import({"x:1": "sha256:b"}, present)
    assert local_images.must_import({"x:1": "sha256:a", "z:1": "sha256:a"}, present)
    assert local_images.must_import({}, present)


class FakeEngine:
    """Two nodes; the first has the image already."""

    def __init__(self):
        self.host = {"engine": "podman"}
        self.did = []

    def failure(self, *arguments):
        return "no such image" if arguments[-1] == "unknown:1" else None

    def __call__(self, *arguments, stdin=None):
        if arguments[0] == "save":
            with open(arguments[2], "w", encoding="utf-8") as file:
                file.write("archive")
        if arguments[:2] == ("image", "inspect"):
            return "abc\n"
        if "crictl" in arguments:
            here = [{"id": "sha256:abc", "repoTags": ["localhost/app:1"]}] if arguments[1] == "n1" else []
            return json.dumps({"images": here})
        self.did.append((arguments[0], arguments[2] if stdin else arguments[-1], stdin and stdin.read()))
        return ""


NODES = [{"name": "n1"}, {"name": "n2"}]


def test_an_image_of_the_engine_goes_where_it_lacks():
    engine = FakeEngine()
    assert local_images.Loader(engine, False).load(["localhost/app:1"], NODES) == [("localhost/app:1", "n2")]
    assert engine.did == [("save", "localhost/app:1", None), ("exec", "n2", b"archive")]


def test_check_mode_loads_nothing():
    engine = FakeEngine()
    assert local_images.Loader(engine, True).load(["localhost/app:1"], NODES) == [("localhost/app:1", "n2")]
    assert engine.did == []


def test_where_all_is_there_nothing_is_saved():
    engine = FakeEngine()
    assert local_images.Loader(engine, False).load(["localhost/app:1"], NODES[:1]) == []
    assert engine.did == []


def test_an_unknown_image_is_said():
    with pytest.raises(LocalError, match="unknown:1 is neither"):
        local_images.Loader(FakeEngine(), False).load(["unknown:1"], NODES)
