# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the K3s cluster from each server."""

from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path

import pytest

testinfra_hosts = ["ansible://kube_control_plane"]


@pytest.fixture
def kubectl(host):
    """Return a function that lists objects with K3s's own kubectl."""
    return lambda *words: json.loads(host.check_output("k3s kubectl get -o json " + " ".join(words)))["items"]


def conditions(item):
    return {condition["type"]: condition["status"] for condition in item["status"]["conditions"]}


def test_every_node_is_ready(kubectl, inputs, members, expected_addresses):
    nodes = {node["metadata"]["name"]: node for node in kubectl("nodes")}
    assert sorted(nodes) == sorted({*members["control_planes"], *members["workers"]})
    for name, node in nodes.items():
        assert conditions(node)["Ready"] == "True", name
        assert node["status"]["nodeInfo"]["kubeletVersion"] == f"v{inputs['kube_version']}+k3s1"
        internal = [address["address"] for address in node["status"]["addresses"] if address["type"] == "InternalIP"]
        assert internal[0] == expected_addresses[name], name
    label = "node-role.kubernetes.io/control-plane"
    assert {name for name in nodes if label in nodes[name]["metadata"]["labels"]} == set(members["control_planes"])


def test_several_servers_are_etcd_voters(kubectl, inputs, members):
    voters = {node["metadata"]["name"] for node in kubectl("nodes") if conditions(node).get("EtcdIsVoter") == "True"}
    embedded = len(members["control_planes"]) > 1 and not inputs.get("k3s_datastore_endpoint")
    assert voters == (set(members["control_planes"]) if embedded else set())


def test_a_single_server_uses_sqlite(host, inputs, members):
    data = inputs.get("kube_data_dir", "/var/lib") + "/rancher/k3s"
    assert host.file(data + "/server/db/state.db").exists == (len(members["control_planes"]) == 1)


def test_pods_run(kubectl):
    pods = [pod for pod in kubectl("pods", "-A") if pod["status"]["phase"] != "Succeeded"]
    waiting = [pod["metadata"]["name"] for pod in pods if conditions(pod).get("Ready") != "True"]
    assert not waiting
    assert any(pod["metadata"]["name"].startswith("coredns") for pod in pods)


def test_verification_leaves_nothing_behind(kubectl):
    system = {"default", "kube-system", "kube-public", "kube-node-lease"}

    def others():
        return {item["metadata"]["name"] for item in kubectl("namespaces")} - system

    deadline = time.monotonic() + 30  # verify does not wait until its namespace is gone
    while others() and time.monotonic() < deadline:
        time.sleep(1)
    assert not others()


def test_the_service_runs_and_starts_at_boot(host):
    assert host.service("k3s").is_running and host.service("k3s").is_enabled


def test_only_root_can_read_secret_files(host):
    for path in ("config.yaml", "k3s.yaml", "token", "agent-token"):
        assert host.file("/etc/rancher/k3s/" + path).mode == 0o600, path


def test_kubeconfig_on_the_controller():
    path = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "kubeconfig")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "127.0.0.1" not in path.read_text()
