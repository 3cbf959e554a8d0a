# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""File systems under the datastore, the runtime and the programs: what cannot work is refused before it is used."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller import host_inputs
from ansible_collections.kubewright.cluster.plugins.plugin_utils.inputs import schema
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import distributions, planner
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import GIB, applied, inventory

K3S_ETCD, K3S_RUNTIME = "/var/lib/rancher/k3s/server/db/etcd", "/var/lib/rancher/k3s/agent/containerd"


def disk(fs="ext4", mount="/", **more):
    space = {"device": "x", "total_bytes": 100 * GIB, "free_bytes": 50 * GIB, "kind": "ssd"}
    return {"mount": mount, "fs": fs, "read_only": False, "noexec": False, **space, **more}


def findings(disks, kind="kubeadm", joined=False, **inputs):
    """Return what is said of the disks of a cluster of one control plane and one worker."""
    hosts, groups = inventory(1, 1, {"kube_distribution": kind, **inputs})
    if joined:
        plan = planner.cluster_plan(hosts, groups)
        for host, row in hosts.items():
            row["info"] = applied(row["info"], plan["nodes"][host], plan)
    for row in hosts.values():
        row["info"]["disks"] = disks
    plan = planner.cluster_plan(hosts, groups)
    return described(plan["refusals"]), described(plan["warnings"])


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "9p", "fuse.sshfs", "virtiofs"])
def test_a_datastore_and_images_on_the_network(kind):
    everything = {path: disk(kind) for path in ("/var/lib/etcd", "/var/lib/containerd", K3S_ETCD, K3S_RUNTIME)}
    wanted = [
        "disk.datastore_on_network node=cp-1 value=%s" % kind,
        "disk.no_overlay node=cp-1 value=%s" % kind,
        "disk.no_overlay node=w-1 value=%s" % kind,
    ]
    assert findings(everything)[0] == findings(everything, "k3s")[0] == wanted


@pytest.mark.parametrize(
    ("fs", "more", "refused"),
    [
        ("ext4", {}, None),
        ("xfs", {}, None),
        ("btrfs", {}, None),
        ("overlay", {}, "overlay"),
        ("vfat", {}, "vfat"),
        ("zfs", {"fs_version": "2.1.11-1"}, "zfs 2.1.11-1"),
        ("zfs", {"fs_version": "0.8.3-1ubuntu12"}, "zfs 0.8.3-1ubuntu12"),
        ("zfs", {"fs_version": "2.2.0-0ubuntu1"}, None),
        ("zfs", {"fs_version": None}, None),
    ],
)
def test_images_need_a_file_system_for_overlayfs(fs, more, refused):
    wanted = ["disk.no_overlay node=%s value=%s" % (host, refused) for host in ("cp-1", "w-1")] if refused else []
    assert findings({"/var/lib/containerd": disk(fs, **more)})[0] == wanted
    assert findings({K3S_RUNTIME: disk(fs, **more)}, "k3s")[0] == wanted
    assert findings({K3S_RUNTIME: disk(fs, **more)}, "k3s", k3s_config={"snapshotter": "native"})[0] == []


def test_what_memory_holds_is_lost():
    everything = {"/var/lib/etcd": disk("tmpfs"), "/var/lib/containerd": disk("tmpfs")}
    assert findings(everything) == (
        ["disk.datastore_in_memory node=cp-1 value=tmpfs"],
        ["disk.images_in_memory node=%s value=tmpfs" % host for host in ("cp-1", "w-1")],
    )


def test_an_external_datastore_needs_no_disk():
    etcd = {"etcd": {"external": {"endpoints": ["https://10.0.0.50:2379"]}}}
    assert findings({"/var/lib/etcd": disk("nfs")}, kubeadm_cluster_config=etcd)[0] == []


@pytest.mark.parametrize(
    ("kind", "path", "inputs"),
    [
        ("kubeadm", "/usr/local/bin", {}),
        ("kubeadm", "/opt/cni/bin", {}),
        ("k3s", "/usr/local/bin", {}),
        ("k3s", "/var/lib/rancher/k3s/data", {}),
        ("k3s", "/data/rancher/k3s/data", {"kube_data_dir": "/data"}),
    ],
)
def test_programs_start_from_where_they_may(kind, path, inputs):
    found = findings({path: disk(mount="/mnt", noexec=True)}, kind, **inputs)[0]
    assert found == ["disk.noexec node=%s value=%s limit=/mnt" % (host, path) for host in ("cp-1", "w-1")]
    assert findings({path: disk(mount="/mnt", noexec=True)}, kind, joined=True, **inputs)[0] == []


@pytest.mark.parametrize(("kind", "path"), [("kubeadm", "/opt/cni/bin"), ("k3s", "/usr/local/bin")])
def test_programs_are_installed_where_files_can_be_written(kind, path):
    found = findings({path: disk(read_only=True)}, kind)[0]
    assert found == ["disk.read_only node=%s value=%s" % (host, path) for host in ("cp-1", "w-1")]


def test_what_the_other_distribution_uses_does_not_matter():
    assert (
        findings({"/opt/cni/bin": disk(read_only=True, noexec=True), "/var/lib/containerd": disk("nfs")}, "k3s")[0]
        == []
    )


@pytest.mark.parametrize("inputs", [{}, {"kube_data_dir": "/data"}, {"k3s_binary": "/opt/k3s/k3s"}])
def test_the_look_covers_every_directory_that_is_judged(inputs):
    values, problems = schema.validate(
        {**inputs, "k3s_install_method": "existing" if "k3s_binary" in inputs else "binary"}
    )
    asked = host_inputs.look_arguments(values, True, [])["data_paths"]
    for distribution in distributions.ALL:
        place = distribution.storage("control_plane", values, "stacked etcd")
        wanted = {place.datastore, place.runtime, *place.run, *place.installed, "/var/lib/kubelet"}
        assert problems == [] and wanted <= set(asked)
