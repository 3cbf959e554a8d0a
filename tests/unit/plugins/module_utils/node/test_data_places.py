# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in the data directories of services when the collection first comes, and what is ours from then on."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.node import data_places, ownership, paths

UNIT = "/etc/systemd/system/%s.service"


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(data_places, "of_service", lambda name: ["%s/%s" % (tmp_path, name)])
    return tmp_path


def claimed(record, *written):
    data_places.claim(set(written), record)
    return record["data"]


def test_absent_and_empty_directories_become_ours(place):
    (place / "kubelet").mkdir()
    (place / "kubelet/lost+found").mkdir()
    found = claimed(ownership.parsed("{}"), UNIT % "kubelet", UNIT % "containerd")
    assert found == {str(place / "kubelet"): {"before": []}, str(place / "containerd"): {"before": []}}


def test_what_is_behind_a_link_was_there_before(place):
    (place / "disk").mkdir()
    (place / "disk/theirs").write_text("x")
    (place / "kubelet").symlink_to(place / "disk")
    assert claimed(ownership.parsed("{}"), UNIT % "kubelet") == {str(place / "kubelet"): {"before": ["theirs"]}}


def test_images_that_we_put_there_before_the_start_are_ours(place):
    (place / "k3s/agent/images").mkdir(parents=True)
    (place / "k3s/theirs").mkdir()
    record = ownership.parsed("{}")
    record["directories"] = [str(place / "k3s/agent"), str(place / "k3s/agent/images")]
    assert claimed(record, paths.K3S_CONFIG) == {str(place / "k3s"): {"before": ["theirs"]}}


def test_a_claim_is_made_once_and_only_for_services(place):
    record = ownership.parsed("{}")
    assert not data_places.claim({"/etc/crictl.yaml"}, record) and data_places.claim({UNIT % "k3s-agent"}, record)
    (place / "k3s-agent").mkdir()
    (place / "k3s-agent/ours").write_text("x")
    assert not data_places.claim({UNIT % "k3s-agent"}, record) and record["data"] == {
        str(place / "k3s-agent"): {"before": []}
    }


def test_interfaces_are_noted_with_the_first_claim(place, monkeypatch):
    monkeypatch.setattr(data_places.os.path, "exists", lambda path: path == "/sys/class/net/cni0")
    record = ownership.parsed("{}")
    claimed(record, UNIT % "containerd")
    monkeypatch.setattr(data_places.os.path, "exists", lambda path: True)
    claimed(record, UNIT % "kubelet")
    assert record["interfaces"] == ["cni0"]


def test_the_data_of_every_service_that_makes_some_are_known():
    kubelet, k3s = data_places.of_service("kubelet"), data_places.of_service("k3s-agent")
    assert {paths.ETCD_DATA, paths.KUBELET_DATA, "/etc/kubernetes/pki"} <= set(kubelet)
    assert {paths.K3S_DATA, "/run/k3s"} <= set(k3s) and paths.ETCD_DATA not in k3s
    assert set(data_places.SHARED) <= {*kubelet, *data_places.of_service("containerd")}
    assert data_places.of_service("kube-endpoint") == []
