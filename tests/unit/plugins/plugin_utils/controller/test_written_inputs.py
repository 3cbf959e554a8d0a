# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster as an inventory in our own inputs."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller import written_inputs

GROUPS = {"kube_control_plane": ["cp-1", "cp-2"], "kube_node": ["w-1"]}


def test_values_are_where_all_hosts_of_a_group_have_them():
    inputs = {
        "cp-1": {"kube_version": "1.36", "k3s_disable": ["traefik"], "kube_node_ip": "10.0.0.1"},
        "cp-2": {"kube_version": "1.36", "k3s_disable": ["traefik"], "kube_node_ip": "10.0.0.2"},
        "w-1": {"kube_version": "1.36"},
    }
    found = yaml.safe_load(written_inputs.text(GROUPS, inputs, {}))["all"]
    assert found["vars"] == {"kube_version": "1.36"}
    assert found["children"]["kube_control_plane"] == {
        "hosts": {"cp-1": {"kube_node_ip": "10.0.0.1"}, "cp-2": {"kube_node_ip": "10.0.0.2"}},
        "vars": {"k3s_disable": ["traefik"]},
    }
    assert found["children"]["kube_node"] == {"hosts": {"w-1": {}}}


def test_text_with_braces_is_not_read_as_a_template_again():
    text = written_inputs.text({"kube_node": ["w-1"]}, {"w-1": {"kubelet_config": {"x": "{{ y }}"}}}, {})
    assert "x: !unsafe '{{ y }}'" in text


@pytest.mark.parametrize(
    "given",
    [
        {"k3s_token": "s3cret"},
        {"k3s_datastore_endpoint": "postgres://u:s3cret@db/k"},
        {"k3s_config": {"etcd-s3-secret-key": "s3cret", "debug": True}},
        {"kube_registries": {"configs": {"r.example": {"password": "s3cret", "token": "s3cret", "key": "s3cret"}}}},
        {"kube_http_proxy": {"http": "http://u:s3cret@proxy:3128", "no_proxy": [".a"]}},
        {"kube_manifests": [{"name": "a", "content": "kind: Secret\nstringData: {a: s3cret}\n"}]},
        {"k3s_helm_charts": [{"name": "a", "values": {"adminPassword": "s3cret"}}]},
    ],
)
def test_a_variable_stands_for_each_secret(given):
    text = written_inputs.text({"kube_node": ["w-1"]}, {"w-1": given}, {})
    assert "s3cret" not in text and "{{ vault_" in text and "# Secrets are not in this file." in text


def test_without_roles_all_hosts_are_written():
    found = yaml.safe_load(written_inputs.text({"": ["a"]}, {"a": {}}, {"a": {"ansible_host": "10.0.0.1"}}))
    assert found == {"all": {"hosts": {"a": {"ansible_host": "10.0.0.1"}}}}


def test_only_our_own_file_is_replaced(tmp_path):
    path, other = tmp_path / "a.yml", tmp_path / "b.yml"
    written_inputs.write(str(path), written_inputs.text(GROUPS, {host: {} for host in ("cp-1", "cp-2", "w-1")}, {}))
    assert path.stat().st_mode & 0o777 == 0o600
    other.symlink_to(tmp_path / "nowhere")
    with pytest.raises(written_inputs.WriteError, match="was not made by write_inputs"):
        written_inputs.write(str(other), "x")
