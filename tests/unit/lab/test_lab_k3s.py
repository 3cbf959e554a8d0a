# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import json
import subprocess
import tarfile

import pytest
from lablib import catalog, gobuild, k3s, make, oci
from lablib.catalog import LabError
from lablib.components import COMPONENTS

TABLE = catalog.versions()
NEWEST = max(TABLE["kubernetes"], key=catalog.number)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBEWRIGHT_CACHE", str(tmp_path))
    monkeypatch.delenv("K3S_ARTIFACTS", raising=False)
    (tmp_path / "build").mkdir()
    return tmp_path


def test_all_programs_are_pinned():
    for name, version in k3s.parts(TABLE, NEWEST):
        assert (catalog.MODULES / f"{name}-{version}" / "go.sum").exists()
        assert name == "kubernetes" or set(k3s.PAYLOAD[name]) <= set(COMPONENTS[name].programs)


def test_the_path_is_upstreams(cache):
    assert k3s.folder("1.36.3").name == "v1.36.3+k3s1"
    assert k3s.folder("1.36.3").parent == cache / "artifacts/github.com/k3s-io/k3s/releases/download"


def test_an_empty_cache_builds_all_components_first(cache):
    todo = k3s.plan(NEWEST, "amd64")
    names = [job.name for job in todo]
    assert names[-1] == f"k3s v{NEWEST}+k3s1" and f"kine {k3s.KINE}" in names
    assert set(todo[-1].needs) == set(names[:-1])


def test_the_key_changes_with_the_programs(cache, monkeypatch):
    before = k3s.key(TABLE, NEWEST, "amd64")
    monkeypatch.setattr(gobuild, "built", lambda *_pair: "modules:other")
    assert k3s.key(TABLE, NEWEST, "amd64") != before


def test_images_are_combined(tmp_path):
    refs = ["registry.k8s.io/pause:1", "registry.k8s.io/coredns/coredns:v2"]
    for number, ref in enumerate(refs):
        oci.write_archive(tmp_path / f"{number}.tar", ref, "amd64", {}, {"file": (0o644, ref.encode(), None)})
    k3s.combine([tmp_path / "0.tar", tmp_path / "1.tar"], tmp_path / "all.tar")
    with tarfile.open(tmp_path / "all.tar") as tar:
        names = tar.getnames()
        index = json.load(tar.extractfile("index.json"))
        docker = json.load(tar.extractfile("manifest.json"))
        assert len(names) == len(set(names))
        assert [row["RepoTags"][0] for row in docker] == refs
        for manifest in index["manifests"]:
            blob = tar.extractfile(oci.blob_path(manifest["digest"])).read()
            assert oci.digest_of(blob) == manifest["digest"]


def test_real_files_are_served_if_given(cache, tmp_path, monkeypatch):
    given = tmp_path / "real"
    given.mkdir()
    (given / "k3s").write_text("real")
    digest = hashlib.sha256(b"real").hexdigest()
    (given / "sha256sum-amd64.txt").write_text(f"{digest}  k3s\n")
    monkeypatch.setenv("K3S_ARTIFACTS", str(given))
    (job,) = k3s.plan(NEWEST, "amd64")
    job.run()
    assert (k3s.folder(NEWEST) / "k3s").read_text() == "real"
    assert k3s.plan(NEWEST, "amd64") == []
    (given / "sha256sum-amd64.txt").write_text(f"{'0' * 64}  k3s\n")
    with pytest.raises(LabError, match="does not match its digest"):
        k3s.take_real(NEWEST, "amd64")


def test_the_install_script_is_a_shell_script():
    subprocess.run(["sh", "-n", str(k3s.SOURCE / "install.sh")], check=True)


def test_jobs_are_named_after_component_and_version():
    assert make.program_job("kine", k3s.KINE, "amd64", make.MODULES).name == f"kine {k3s.KINE}"
