# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After an upgrade: every process has the new version, and nothing of the way is left."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

testinfra_hosts = ["ansible://kube_control_plane"]


def test_static_pods_and_addons_have_the_version(kubectl, inputs):
    pods = kubectl("pods", "-n", "kube-system")
    images = {container["image"] for pod in pods for container in pod["spec"]["containers"]}
    tags = {image.rpartition("/")[2] for image in images}
    for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"):
        assert {tag for tag in tags if tag.startswith(name + ":")} == {f"{name}:v{inputs['kube_version']}"}
    assert {tag for tag in tags if tag.startswith("etcd:")} == {"etcd:3.7.0-0"}
    assert {tag for tag in tags if tag.startswith("coredns:")} == {"coredns:v1.14.6"}


def test_no_node_is_cordoned_and_the_lock_is_free(kubectl):
    assert not [node for node in kubectl("nodes") if node["spec"].get("unschedulable")]
    assert not [lease for lease in kubectl("leases", "-n", "kube-system") if lease["metadata"]["name"] == "kubewright"]


def test_the_stored_configuration_is_that_of_a_new_cluster(kubectl, inputs):
    known = {item["metadata"]["name"]: item for item in kubectl("configmaps", "-n", "kube-system")}
    stored = known["kubeadm-config"]
    text = stored["data"]["ClusterConfiguration"]
    assert f"kubernetesVersion: v{inputs['kube_version']}" in text and "imageTag" not in text


def test_no_copy_of_etcd_is_left(host):
    assert host.run("ls -d /etc/kubernetes/tmp/kubeadm-*").rc != 0


def test_the_users_tasks_ran_before_and_after_each_node(host, inputs):
    noted = host.file("/run/upgrade-hooks").content_string.split()
    assert noted == [f"v{inputs['older_version']}", f"v{inputs['kube_version']}"]


def test_the_backup_is_there(inputs):
    directory = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "backups")
    assert list(directory.glob("*.tar*"))


@pytest.mark.parametrize("name", ["upgrade", "site"])
def test_a_second_run_changes_nothing(changes_of, name):
    assert set(changes_of(name).values()) == {0}
