# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the cluster from each control plane."""

from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path

testinfra_hosts = ["ansible://kube_control_plane"]
ETCD = "curl -sS --cacert {0}/ca.crt --cert {0}/healthcheck-client.crt --key {0}/healthcheck-client.key".format("/etc/kubernetes/pki/etcd")


def conditions(item):
    return {condition["type"]: condition["status"] for condition in item["status"]["conditions"]}


def test_every_node_is_ready(kubectl, inputs, members, expected_addresses):
    nodes = {node["metadata"]["name"]: node for node in kubectl("nodes")}
    assert sorted(nodes) == sorted({*members["control_planes"], *members["workers"]})
    for name, node in nodes.items():
        assert conditions(node)["Ready"] == "True", name
        assert node["status"]["nodeInfo"]["kubeletVersion"] == f"v{inputs['kube_version']}"
        internal = [address["address"] for address in node["status"]["addresses"] if address["type"] == "InternalIP"]
        assert internal == [expected_addresses[name]], name


def test_roles_of_nodes(kubectl, members):
    label = "node-role.kubernetes.io/control-plane"
    marked = {node["metadata"]["name"] for node in kubectl("nodes") if label in node["metadata"]["labels"]}
    assert marked == set(members["control_planes"])
    tainted = {
        node["metadata"]["name"]
        for node in kubectl("nodes")
        if any(taint["key"] == label for taint in node["spec"].get("taints", []))
    }
    assert tainted == (set(members["control_planes"]) if members["workers"] else set())


def not_ready(pods):
    running = [pod for pod in pods if pod["status"]["phase"] != "Succeeded"]
    return [pod["metadata"]["name"] for pod in running if conditions(pod).get("Ready") != "True"]


def eventually(look, good, seconds=60):
    """Return what look() finds, as soon as it is good, or after so many seconds as it is."""
    deadline = time.monotonic() + seconds
    found = look()
    while not good(found) and time.monotonic() < deadline:
        time.sleep(2)
        found = look()
    return found


def test_pods_run(kubectl):
    # A pod of CoreDNS that has just moved to another node may still be starting.
    pods = eventually(lambda: kubectl("pods", "-A"), lambda found: not not_ready(found))
    assert not_ready(pods) == []
    assert any(pod["metadata"]["name"].startswith("coredns") for pod in pods)


def test_verification_leaves_nothing_behind(kubectl):
    system = {"default", "kube-system", "kube-public", "kube-node-lease"}
    # verify deletes its namespace and does not wait until Kubernetes has removed what is in it.
    spaces = eventually(
        lambda: {item["metadata"]["name"] for item in kubectl("namespaces")}, lambda found: found == system
    )
    assert spaces == system


def test_etcd_members_vote(host, members):
    found = json.loads(host.check_output(f"{ETCD} -X POST -d '{{}}' https://127.0.0.1:2379/v3/cluster/member/list"))["members"]
    assert sorted(member["name"] for member in found) == sorted(members["control_planes"])
    assert not any(member.get("isLearner") for member in found)


def test_there_is_one_cluster_configuration(host, kubectl):
    assert len(kubectl("configmaps", "-n", "kube-system", "--field-selector=metadata.name=kubeadm-config")) == 1
    assert host.file("/etc/kubernetes/pki/ca.key").mode == 0o600


def test_services_run_and_start_at_boot(host):
    for name in ("containerd", "kubelet"):
        service = host.service(name)
        assert service.is_running, name
        assert service.is_enabled, name


def test_containerd_was_not_restarted_after_a_failure(host):
    restarts = host.check_output("systemctl show -p NRestarts --value containerd")
    assert restarts == "0"


def test_only_root_can_read_secret_files(host):
    listed = host.check_output("find /etc/kubernetes -name '*.conf' -maxdepth 1 -o -name '*.key'").split()
    assert listed
    for path in listed:
        assert host.file(path).mode == 0o600, path


def test_kubeconfig_on_the_controller():
    path = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "kubeconfig")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "127.0.0.1" not in path.read_text()
