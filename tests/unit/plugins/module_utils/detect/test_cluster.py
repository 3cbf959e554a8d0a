# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters that others made are told by what they leave."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.detect import cluster, look as node
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import distributions, membership
from ansible_collections.kubewright.cluster.tests.unit.fixtures.recording import Files

KUBELET = {"/etc/kubernetes/kubelet.conf": "server: https://10.0.0.1:6443\n"}
SERVER = {"/etc/kubernetes/manifests/kube-apiserver.yaml": "kind: Pod\n"}
K3S = {"/var/lib/rancher/k3s/agent/client-ca.crt": ""}
OURS = {"/etc/kubewright/owned.json": '{"files": {}, "artifacts": {"/usr/local/bin/kubelet": {"version": "v1"}}}'}


@pytest.mark.parametrize(
    ("files", "kind", "role", "maker"),
    [
        ({}, None, None, None),
        (KUBELET, "kubeadm", "worker", "kubeadm"),
        ({**KUBELET, **SERVER}, "kubeadm", "control_plane", "kubeadm"),
        ({**KUBELET, "/etc/kubernetes/kubelet.env": "KUBE_LOG_LEVEL=2\n"}, "kubeadm", "worker", "Kubespray"),
        (K3S, "k3s", "worker", "K3s"),
        (
            {**K3S, "/usr/local/bin/k3s-install.sh": "", "/usr/local/bin/k3s-uninstall.sh": ""},
            "k3s",
            "worker",
            "k3s-ansible",
        ),
        ({**K3S, "/usr/local/bin/k3s-agent-uninstall.sh": ""}, "k3s", "worker", "K3s's install script"),
        ({"/var/lib/rancher/k3s/server/token": "", **K3S}, "k3s", "control_plane", "K3s"),
        ({"/var/lib/rancher/rke2/agent/x": ""}, "rke2", "worker", "RKE2"),
        ({"/var/snap/microk8s/current/args/kubelet": ""}, "microk8s", "worker", "MicroK8s"),
        ({"/var/lib/k0s/pki/ca.crt": ""}, "k0s", "worker", "k0s"),
        ({**KUBELET, **OURS}, "kubeadm", "worker", "kubewright.cluster"),
    ],
)
def test_who_made_it(files, kind, role, maker):
    found = node.look(host=Files(files))["cluster"]
    assert (found["kind"], found["role"], found["made_by"]) == (kind, role, maker)
    assert found["foreign"] == (maker not in (None, "kubewright.cluster"))
    if found["foreign"]:
        nodes = {"one": {"name": "one", "info": {"cluster": found}}}
        (refusal,) = membership.refusals(nodes, ["one"], "one", distributions.ALL[0])
        assert refusal.id in ("member.foreign", "member.other_distribution")
        assert maker in refusal.text and membership.REMOVED_BY[maker] in refusal.text


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("postgres://k3s:p@ss/w?rd@db.example:5432/k3s?sslmode=disable", "postgres://db.example:5432/k3s"),
        ("mysql://k3s:hunter2@tcp(db:3306)/k3s", "mysql://tcp(db:3306)/k3s"),
        ("https://10.0.0.1:2379,https://10.0.0.2:2379", "https://10.0.0.1:2379,https://10.0.0.2:2379"),
        ("postgres://k3s:hunter2", None),
    ],
)
def test_the_place_of_a_database_has_no_login(address, place):
    assert cluster._database("datastore-endpoint: %s\n" % address) == place


def test_the_mode_of_k3s_kube_proxy_and_the_kubelets_arguments():
    assert cluster._proxy_mode("kube-proxy-arg:\n  - v=2\n  - proxy-mode=nftables\n") == "nftables"
    assert cluster._proxy_mode("node-name: a\n") == "iptables"
    text = 'KUBELET_KUBEADM_ARGS="--container-runtime-endpoint=unix:///x.sock --node-ip=10.0.0.1 --v=3"\n'
    assert cluster._arguments(text) == {
        "container-runtime-endpoint": "unix:///x.sock",
        "node-ip": "10.0.0.1",
        "v": "3",
    }
    assert cluster._arguments(None) == {}
