# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import json
import tarfile

import pytest
from lablib import artifacts, catalog, gobuild, images, make, oci, pin, rootfs, upstream
from lablib.components import COMPONENTS

TABLE = catalog.versions()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBEWRIGHT_CACHE", str(tmp_path))
    return tmp_path


def programs(cache, name, version, arch="amd64", kind="upstream"):
    """Write small files in place of a component's programs."""
    made = cache / "made"
    made.mkdir()
    for program in COMPONENTS[name].programs:
        (made / program).write_text(f"{name} {program}")
    (cache / "build").mkdir(exist_ok=True)
    gobuild.install(name, version, arch, made, kind)


def test_every_version_of_the_table_is_pinned():
    for name, version in catalog.builds(TABLE, list(TABLE["kubernetes"])):
        folder = catalog.MODULES / f"{name}-{version}"
        text = (folder / "go.mod").read_text()
        assert (folder / "go.sum").stat().st_size > 0
        for package in COMPONENTS[name].programs.values():
            assert package in text
        for module in COMPONENTS[name].modules:
            assert f"{module} v{version}" in text


def test_kubernetes_libraries_have_its_version():
    text = (catalog.MODULES / "kubernetes-1.36.3" / "go.mod").read_text()
    assert "k8s.io/client-go => k8s.io/client-go v0.36.3" in text


def test_a_complete_cluster_comes_before_the_next_version():
    order = catalog.builds(TABLE, ["1.36.3", "1.37.2"])
    assert order[0] == ("kubernetes", "1.36.3")
    assert order.index(("etcd", "3.6.8")) < order.index(("kube-router", TABLE["kube-router"]))
    assert order.index(("kube-router", TABLE["kube-router"])) < order.index(("kubernetes", "1.37.2"))
    assert len(order) == len(set(order))


@pytest.mark.parametrize(
    "words, found",
    [
        ([], ["1.36.3", "1.37.2"]),
        (["1.36"], ["1.36.3"]),
        (["v1.37.2", "1.37"], ["1.37.2"]),
        (["1.34", "1.35"], ["1.34.4", "1.35.4"]),  # only if they are named
    ],
)
def test_versions_are_selected_by_version_or_minor(words, found):
    assert catalog.chosen(TABLE, words) == found


def test_an_unknown_version_lists_the_known_ones():
    with pytest.raises(catalog.LabError, match=r"1\.12 is not among .*1\.36\.3"):
        catalog.chosen(TABLE, ["1.12"])


def test_staging_modules_come_from_the_go_mod_of_kubernetes():
    text = "replace (\n\tk8s.io/api => ./staging/src/k8s.io/api\n\tk8s.io/kms => ./staging/src/k8s.io/kms\n)\n"
    assert pin.staging(text) == ["k8s.io/api", "k8s.io/kms"]
    assert "k8s.io/api => k8s.io/api v0.36.3" in pin.go_mod(COMPONENTS["kubernetes"], "1.36.3", pin.staging(text))


def test_versions_that_kubeadm_uses():
    text = 'DefaultEtcdVersion = "3.6.8-0"\nCoreDNSVersion = "v1.14.2"\nPauseVersion = "3.10.2"\n'
    assert pin.named_versions(text) == TABLE["kubernetes"]["1.36.3"]
    with pytest.raises(catalog.LabError, match="CoreDNSVersion"):
        pin.named_versions('DefaultEtcdVersion = "3.6.8-0"')


def test_the_table_is_written_in_the_committed_format():
    assert pin.dump(TABLE) == catalog.VERSIONS.read_text()


@pytest.mark.parametrize(
    "package, name",
    [
        ("go.etcd.io/etcd/server/v3", "server"),
        ("github.com/opencontainers/runc", "runc"),
        ("github.com/containerd/containerd/v2/cmd/ctr", "ctr"),
    ],
)
def test_program_name_of_go_build(package, name):
    assert gobuild.default_name(package) == name


def test_a_build_is_static_versioned_and_read_only(tmp_path):
    words = gobuild.command(COMPONENTS["kubernetes"], "1.36.3", tmp_path)
    flags = words[words.index("-ldflags") + 1]
    assert "-mod=readonly" in words
    assert "k8s.io/component-base/version.gitVersion=v1.36.3" in flags
    assert "k8s.io/client-go/pkg/version.gitMinor=36" in flags
    assert "-extldflags -static" in COMPONENTS["runc"].linker_flags("1.4.3")
    assert gobuild.environment(COMPONENTS["containerd"], "arm64")["CGO_ENABLED"] == "0"


@pytest.mark.parametrize(
    "name, version, path",
    [
        ("kubernetes", "1.36.3", "dl.k8s.io/release/v1.36.3/bin/linux/arm64/kubeadm"),
        (
            "containerd",
            "2.2.9",
            "github.com/containerd/containerd/releases/download/v2.2.9/containerd-2.2.9-linux-arm64.tar.gz",
        ),
        ("runc", "1.4.3", "github.com/opencontainers/runc/releases/download/v1.4.3/runc.arm64"),
        (
            "cni-plugins",
            "1.9.1",
            "github.com/containernetworking/plugins/releases/download/v1.9.1/cni-plugins-linux-arm64-v1.9.1.tgz",
        ),
        (
            "cri-tools",
            "1.37.0",
            "github.com/kubernetes-sigs/cri-tools/releases/download/v1.37.0/crictl-v1.37.0-linux-arm64.tar.gz",
        ),
        ("etcd", "3.6.8", "github.com/etcd-io/etcd/releases/download/v3.6.8/etcd-v3.6.8-linux-arm64.tar.gz"),
    ],
)
def test_artifacts_have_upstreams_paths(name, version, path):
    assert artifacts.artifacts(name, version, "arm64")[0].path == path


def test_a_checksum_file_keeps_other_architectures():
    assert (
        artifacts.merged("aa  runc.arm64\nbb  runc.amd64\n", "runc.amd64", "cc") == "cc  runc.amd64\naa  runc.arm64\n"
    )


def test_archives_have_upstreams_members_and_checksums(cache):
    programs(cache, "etcd", "3.6.8")
    artifacts.layout("etcd", "3.6.8", "amd64")
    artifact = artifacts.artifacts("etcd", "3.6.8", "amd64")[0]
    file = cache / "artifacts" / artifact.path
    with tarfile.open(file) as tar:
        assert "etcd-v3.6.8-linux-amd64/etcdctl" in tar.getnames()
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert (file.parent / "SHA256SUMS").read_text() == f"{digest}  {file.name}\n"
    assert artifacts.placed("etcd", "3.6.8", "amd64")
    assert [path.name for path in file.parent.iterdir() if path.name.startswith(".")] == []


def test_single_programs_are_hard_links_and_update_stable_txt(cache):
    programs(cache, "kubernetes", "1.36.3")
    artifacts.layout("kubernetes", "1.36.3", "amd64")
    release = cache / "artifacts" / "dl.k8s.io" / "release"
    kubeadm = release / "v1.36.3" / "bin" / "linux" / "amd64" / "kubeadm"
    assert kubeadm.samefile(cache / "build" / "kubernetes" / "1.36.3" / "amd64" / "kubeadm")
    assert kubeadm.with_name("kubeadm.sha256").read_text() == hashlib.sha256(kubeadm.read_bytes()).hexdigest()
    assert (release / "stable-1.36.txt").read_text() == "v1.36.3"


def test_a_directory_of_artifacts_replaces_builds(cache, tmp_path, monkeypatch):
    programs(cache, "containerd", "2.2.9", kind="modules:x")
    artifacts.layout("containerd", "2.2.9", "amd64")
    monkeypatch.setenv("KUBEWRIGHT_CACHE", str(tmp_path / "other"))
    upstream.get(str(cache / "artifacts"), "containerd", "2.2.9", "amd64")
    assert gobuild.built("containerd", "2.2.9", "amd64") == gobuild.UPSTREAM
    assert (gobuild.folder("containerd", "2.2.9", "amd64") / "ctr").read_text() == "containerd ctr"


def test_a_wrong_digest_installs_nothing(cache, tmp_path, monkeypatch):
    programs(cache, "runc", "1.4.3", kind="modules:x")
    artifacts.layout("runc", "1.4.3", "amd64")
    file = cache / "artifacts" / artifacts.artifacts("runc", "1.4.3", "amd64")[0].path
    (file.parent / "runc.sha256sum").write_text("00  runc.amd64\n")
    monkeypatch.setenv("KUBEWRIGHT_CACHE", str(tmp_path / "other"))
    with pytest.raises(catalog.LabError, match="runc.sha256sum says 00"):
        upstream.get(str(cache / "artifacts"), "runc", "1.4.3", "amd64")
    assert not [path for path in (tmp_path / "other" / "artifacts").rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    "base, url",
    [
        ("upstream", "https://dl.k8s.io/x"),
        ("http://mirror/sub/", "http://mirror/sub/dl.k8s.io/x"),
        ("/srv", "file:///srv/dl.k8s.io/x"),
    ],
)
def test_url_of_an_artifact(base, url):
    assert upstream.address(base, "dl.k8s.io/x") == url


def test_images_are_those_that_kubeadm_lists():
    refs = {image.ref for image in images.images(TABLE, "1.36.3")}
    assert refs == {
        *(f"registry.k8s.io/kube-{part}:v1.36.3" for part in ("apiserver", "controller-manager", "scheduler", "proxy")),
        "registry.k8s.io/etcd:3.6.8-0",
        "registry.k8s.io/etcd:3.6.11-0",  # what the collection installs in its place
        "registry.k8s.io/coredns/coredns:v1.14.2",
        "registry.k8s.io/pause:3.10.2",
        f"docker.io/cloudnativelabs/kube-router:v{TABLE['kube-router']}",
    }


def test_an_archive_is_an_oci_layout_and_a_docker_archive(tmp_path):
    target = tmp_path / "image.tar"
    members = {"tmp": (0o1777, None, None), "usr/bin/x": (0o755, b"program", {"SCHILY.xattr.user.a": "b"})}
    digest = oci.write_archive(target, "example.org/a/b:1", "amd64", {"User": "1"}, members)
    with tarfile.open(target) as tar:
        index = json.load(tar.extractfile("index.json"))["manifests"][0]
        manifest = json.load(tar.extractfile(oci.blob_path(index["digest"])))
        docker = json.load(tar.extractfile("manifest.json"))[0]
        settings = json.load(tar.extractfile(docker["Config"]))
        file = tar.extractfile(docker["Layers"][0])
        assert index["digest"] == digest
        assert docker["RepoTags"] == ["example.org/a/b:1"]
        assert settings["rootfs"]["diff_ids"] == [manifest["layers"][0]["digest"]]
        assert settings["config"]["User"] == "1"
        with tarfile.open(fileobj=file) as layer:
            assert layer.getnames() == ["usr", "usr/bin", "tmp", "usr/bin/x"]
            assert layer.getmember("tmp").mode == 0o1777
            assert layer.getmember("usr/bin/x").pax_headers["SCHILY.xattr.user.a"] == "b"
    assert digest == oci.write_archive(tmp_path / "again.tar", "example.org/a/b:1", "amd64", {"User": "1"}, members)


def test_the_mirrors_of_the_host_are_used():
    text = rootfs.sources("Debian http://mirror.example/debian/\nDebian-Security http://mirror.example/security\n")
    assert "deb http://mirror.example/debian bookworm main" in text
    assert "deb http://mirror.example/security bookworm-security main" in text
    assert "http://deb.debian.org/debian bookworm" in rootfs.sources("")


def test_an_empty_cache_needs_everything_in_order(cache):
    names = [job.name for job in make.plan(["1.36.3"], catalog.host_arch(), make.MODULES)]
    built = [name for name in names if ":" not in name]
    assert built[:3] == ["kubernetes 1.36.3", "root file system network", "root file system services"]
    assert {f"{name} {version}" for name, version in catalog.builds(TABLE, ["1.36.3"])} <= set(built)


def test_upstream_images_are_copied_without_builds(cache):
    jobs = make.plan(["1.36.3"], catalog.host_arch(), gobuild.UPSTREAM)
    assert not [job for job in jobs if job.needs or job.name.startswith("kube-router ")]


def test_another_architecture_has_no_images(cache):
    jobs = make.plan(["1.36.3"], "riscv64", make.MODULES)
    assert not [job for job in jobs if ":" in job.name or "root" in job.name]


def test_existing_programs_are_used_by_default(cache, monkeypatch):
    monkeypatch.setattr(upstream, "reachable", lambda: False)
    programs(cache, "runc", "1.4.3")
    names = [job.name for job in make.plan(["1.36.3"], catalog.host_arch())]
    assert "runc 1.4.3" not in names and "artifacts of runc 1.4.3" in names and "kubernetes 1.36.3" in names


def test_a_failure_shows_the_path_and_end_of_its_log(tmp_path):
    with pytest.raises(catalog.LabError) as caught:
        gobuild.run_logged(["sh", "-c", "echo undefined: x; exit 3"], tmp_path / "a.log")
    assert "exit code 3" in str(caught.value) and "undefined: x" in str(caught.value)
    assert str(tmp_path / "a.log") in str(caught.value)
