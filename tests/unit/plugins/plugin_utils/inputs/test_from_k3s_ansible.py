# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inventories of k3s-ansible."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.inputs import from_k3s_ansible as k3s_ansible
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import inventory

# As its inventory-sample.yml has them.
SAMPLE = {
    "k3s_version": "v1.36.3+k3s2",
    "extra_server_args": "",
    "extra_agent_args": "",
    "k3s_server_location": "/var/lib/rancher/k3s",
}


def test_other_inventories_are_left_alone():
    assert k3s_ansible.inputs({"extra_server_args": "--debug"}, True) == {}


def test_the_sample_gives_that_release_of_k3s():
    hosts, groups = inventory(1, 1)
    for host, row in hosts.items():
        row["inputs"] = k3s_ansible.inputs(SAMPLE, host == "cp-1")
    plan = planner.cluster_plan(hosts, {"server": groups["kube_control_plane"], "agent": groups["kube_node"]})
    assert (plan["refusals"], plan["distribution"], plan["release"]) == ([], "k3s", "v1.36.3+k3s2")


def test_arguments_become_settings():
    given = {
        **SAMPLE,
        "extra_server_args": (
            "--disable traefik,servicelb --etcd-snapshot-retention=9 --debug --kubelet-arg a=1 --kubelet-arg b=2"
        ),
    }
    found = k3s_ansible.inputs(given, True)
    assert found["k3s_disable"] == ["traefik", "servicelb"]
    assert found["k3s_config"] == {"etcd-snapshot-retention": "9", "debug": True, "kubelet-arg": ["a=1", "b=2"]}
    assert "k3s_config" not in k3s_ansible.inputs(given, False)


def test_parts_that_only_the_servers_name_are_off():
    hosts, groups = inventory(1, 1)
    for host, row in hosts.items():
        row["inputs"] = k3s_ansible.inputs({**SAMPLE, "extra_server_args": "--disable traefik"}, host == "cp-1")
    plan = planner.cluster_plan(hosts, groups)
    assert (plan["refusals"], plan["disable"]) == ([], ["traefik"])


def test_a_document_of_settings_is_read():
    found = k3s_ansible.inputs({**SAMPLE, "server_config_yaml": "kube-apiserver-arg: [a=b]\n"}, True)
    assert found["k3s_config"] == {"kube-apiserver-arg": ["a=b"]}


def test_a_data_directory_elsewhere():
    assert k3s_ansible.inputs({**SAMPLE, "k3s_server_location": "/data/rancher/k3s"}, True)["kube_data_dir"] == "/data"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"extra_server_args": "traefik"}, "extra_server_args: 'traefik' does not belong to an option"),
        ({"server_config_yaml": "a: ["}, "server_config_yaml"),
        ({"server_config_yaml": "[a]"}, "server_config_yaml: expected a map"),
        ({"k3s_server_location": "/data/k3s"}, "Set kube_data_dir"),
    ],
)
def test_what_cannot_be_read_is_named(given, message):
    with pytest.raises(ValueError, match=message):
        k3s_ansible.inputs({**SAMPLE, **given}, True)


def test_settings_that_the_plan_owns_are_refused_by_name():
    hosts, groups = inventory(1, 0)
    hosts["cp-1"]["inputs"] = k3s_ansible.inputs(
        {**SAMPLE, "extra_server_args": "--tls-san a.example --nonsense"}, True
    )
    refusals = described(planner.cluster_plan(hosts, groups)["refusals"])
    assert refusals == ["inputs.owned_key value=k3s_config.tls-san", "k3s_config.unknown_key value=nonsense"]
