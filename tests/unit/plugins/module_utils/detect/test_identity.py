# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What identifies a node and its cluster, as a look reads it."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.api import etcd
from ansible_collections.kubewright.cluster.plugins.module_utils.detect import look as node
from ansible_collections.kubewright.cluster.plugins.module_utils.detect.host import Host
from ansible_collections.kubewright.cluster.tests.unit.fixtures.recording import Files

CLIENT = "/var/lib/kubelet/pki/kubelet-client-current.pem"
KUBELET = "/etc/kubernetes/kubelet.conf"


class Named(Files):
    """A machine whose certificates have names. names: by path."""

    def __init__(self, files, names):
        super().__init__(files)
        self.names_in = names

    def common_name(self, path):
        return self.names_in.get(path)


def look(files, names=()):
    return node.look(host=Named(files, dict(names)))["cluster"]


def test_the_name_in_a_certificate(authority):
    path = authority.issue_files("system:node:cp-2")
    assert Host().common_name(path) == "system:node:cp-2"
    assert Host().common_name(path + ".none") is None


def test_a_kubeadm_node_is_named_by_its_kubelets_certificate():
    assert look({KUBELET: "x"}, {CLIENT: "system:node:cp-2"})["node_name"] == "cp-2"
    assert look({KUBELET: "x"}, {CLIENT: "kubernetes-admin"})["node_name"] is None


def test_a_k3s_node_is_named_by_its_certificate_below_its_data_directory():
    files = {"/etc/rancher/k3s/config.yaml": "data-dir: /srv/rancher/k3s\n", "/srv/rancher/k3s/agent/x": ""}
    found = look(files, {"/srv/rancher/k3s/agent/client-kubelet.crt": "system:node:w-1"})
    assert (found["kind"], found["node_name"], found["data_dir"]) == ("k3s", "w-1", "/srv/rancher/k3s")


@pytest.mark.parametrize(
    ("text", "finished"),
    [("client-certificate: %s\n" % CLIENT, True), ("client-certificate-data: QQ==\n", False)],
)
def test_a_kubeadm_start_is_finished_when_its_kubelet_has_its_own_certificate(text, finished):
    assert look({KUBELET: text})["finished"] is finished


def test_a_k3s_server_without_its_data_is_no_bare_machine():
    found = look({"/etc/rancher/k3s/k3s.yaml": "x", "/etc/rancher/k3s/config.yaml": "data-dir: /srv/rancher/k3s\n"})
    assert (found["kind"], found["admin_conf"], found["data_dir"]) == (None, True, "/srv/rancher/k3s")


@pytest.mark.parametrize(
    ("answer", "known"), [({"header": {"cluster_id": "366"}}, "366"), ({"header": {}}, None), ({}, None), ([], None)]
)
def test_the_id_of_an_etcd_cluster(answer, known):
    assert etcd.cluster_of(answer) == known
