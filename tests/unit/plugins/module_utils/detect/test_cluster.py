# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters that others made are told by what they leave."""

from __future__ import annotations

import json

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


def test_what_the_manifests_of_a_control_plane_say():
    text = '  - command:\n    - kube-apiserver\n    - --v=2\n    - "--etcd-servers=https://a:2379,https://b:2379"\n    - --x\n'
    found = Files({"/etc/kubernetes/manifests/kube-apiserver.yaml": text})
    assert cluster.flags(found) == {
        "kube-apiserver": ["etcd-servers", "v", "x"],
        "kube-controller-manager": [],
        "kube-scheduler": [],
    }
    assert cluster.etcd_servers(found) == ["https://a:2379", "https://b:2379"] and cluster.etcd_servers(Files()) == []


UNIT = "/etc/systemd/system/k3s.service"
# install.sh writes each argument on a line of its own.
SCRIPT_UNIT = "[Service]\nExecStart=/usr/local/bin/k3s \\\n    server \\\n\t'--data-dir' \\\n\t'/srv/k3s' \\\n\n"


@pytest.mark.parametrize(
    "files",
    [
        {UNIT: SCRIPT_UNIT},
        {UNIT: "[Service]\nExecStart=/usr/local/bin/k3s server --data-dir=/srv/k3s --cluster-init\n"},
        {UNIT: "[Service]\nExecStart=/usr/local/bin/k3s server -d /srv/k3s\n"},
        {"/etc/init.d/k3s": "command_args=\"server '--data-dir' '/srv/k3s' >>/var/log/k3s.log 2>&1\"\n"},
        {UNIT: "[Service]\nExecStart=/usr/local/bin/k3s server\n", UNIT + ".env": "K3S_DATA_DIR='/srv/k3s'\n"},
        {"/etc/rancher/k3s/k3s.env": "K3S_DATA_DIR=/srv/k3s\n"},
        {"/etc/rancher/k3s/config.yaml.d/data.yaml": "data-dir: /srv/k3s\n"},
        {"/etc/rancher/k3s/config.yaml": "data-dir: /srv/k3s/\n"},
        {
            UNIT: "[Service]\nExecStart=/usr/local/bin/k3s server --data-dir /srv/k3s/\n",
            "/etc/rancher/k3s/config.yaml": "data-dir: /elsewhere\n",
        },
    ],
)
def test_another_k3s_that_is_stopped_is_found_wherever_its_data_are(files):
    data = {"/srv/k3s/server/token": "", "/srv/k3s/server/db/state.db": ""}
    found = node.look(host=Files({**files, **data}))["cluster"]
    assert (found["kind"], found["foreign"], found["role"]) == ("k3s", True, "control_plane")
    assert found["data_dir"] == "/srv/k3s"


@pytest.mark.parametrize(
    ("files", "artifacts", "foreign"),
    [
        ([UNIT], ["/usr/local/bin/k3s"], False),
        ([UNIT], [], False),  # k3s_install_method: existing
        ([], ["/usr/local/bin/kubelet"], True),
        (["/etc/systemd/system/k3s-agent.service"], ["/usr/local/bin/k3s"], True),
    ],
)
def test_a_k3s_of_others_is_not_ours_because_programs_of_ours_are_there(files, artifacts, foreign):
    record = {"files": {path: {"backup": None} for path in files}, "artifacts": {path: {} for path in artifacts}}
    there = {UNIT: SCRIPT_UNIT, "/srv/k3s/server/token": "", "/etc/kubewright/owned.json": json.dumps(record)}
    assert node.look(host=Files(there))["cluster"]["foreign"] is foreign
