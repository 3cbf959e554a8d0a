# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inventories of k3s-ansible, techno-tim/k3s-ansible and PyratLabs' role."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described, ids
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.foreign import (
    BARE,
    K3S,
    TECHNO_TIM,
    kinds,
    planned,
    read,
)

# As k3s-ansible's inventory-sample.yml has them.
SAMPLE = {
    "k3s_version": "v1.36.3+k3s2",
    "token": "changeme!",
    "api_endpoint": "cp-1",
    "extra_server_args": "",
    "extra_agent_args": "",
    "k3s_server_location": "/var/lib/rancher/k3s",
}
REGISTRIES = """
mirrors:
  docker.io:
    endpoint: ["https://registry.example:5000"]
    rewrite: {"^library/(.*)": "lib/$1"}
  quay.io:
    endpoint: ["https://registry.example/v2/quay"]
configs:
  registry.example:5000:
    auth: {username: admin, password: secret}
    tls: {insecure_skip_verify: true}
"""


def test_other_inventories_are_left_alone():
    found = read({"kube_control_plane": ["cp-1"]}, extra_server_args="--debug")
    assert found.given == {} and found.foreign.project == ""


def test_the_sample_gives_that_release_of_k3s():
    plan = planned(K3S, **SAMPLE)
    assert (plan["refusals"], plan["distribution"], plan["release"]) == ([], "k3s", "v1.36.3+k3s2")
    assert plan["inventory"]["project"] == "k3s-ansible" and plan["inventory"]["unknown"] == []


def test_arguments_are_inputs_where_there_is_one_and_settings_otherwise():
    arguments = (
        "--disable traefik,servicelb --etcd-snapshot-retention=9 --debug --kubelet-arg a=1 --kubelet-arg b=2 "
        "--tls-san a.example --tls-san 10.0.0.9 --node-label x=1 --node-taint k=v:NoSchedule --cluster-cidr 10.1.0.0/16 "
        "--service-cidr=10.2.0.0/16 --flannel-backend host-gw --cluster-init --token secret --https-listen-port 7443"
    )
    found = read(K3S, **{**SAMPLE, "extra_server_args": arguments})
    assert found.given == {
        "kube_distribution": "k3s",
        "kube_version": "v1.36.3+k3s2",
        "k3s_disable": ["traefik", "servicelb"],
        "k3s_config": {"etcd-snapshot-retention": "9", "debug": True, "kubelet-arg": ["a=1", "b=2"]},
        "kube_api_sans": ["a.example", "10.0.0.9"],
        "kube_node_labels": {"x": "1"},
        "kube_node_taints": ["k=v:NoSchedule"],
        "kube_pod_cidrs": ["10.1.0.0/16"],
        "kube_service_cidrs": ["10.2.0.0/16"],
        "kube_network": {"plugin": "flannel", "options": {"backend": "host-gw"}},
        "kube_api_port": 7443,
    }
    assert read(K3S, "w-1", **{**SAMPLE, "extra_server_args": arguments}).given == {
        "kube_distribution": "k3s",
        "kube_version": "v1.36.3+k3s2",
    }
    plan = planned(K3S, **{**SAMPLE, "extra_server_args": "--cluster-cidr 10.1.0.0/16 --disable traefik"})
    assert (plan["refusals"], plan["pod_cidrs"], plan["disable"]) == ([], ["10.1.0.0/16"], ["traefik"])


def test_documents_are_read_for_servers_and_agents():
    given = {
        **SAMPLE,
        "server_config_yaml": "kube-apiserver-arg: [a=b]\nsecrets-encryption: true\n",
        "agent_config_yaml": "node-label: [example.com/edge=yes]\n",
    }
    assert read(K3S, **given).given["k3s_config"] == {"kube-apiserver-arg": ["a=b"]}
    assert read(K3S, **given).given["k3s_secrets_encryption"] is True
    assert read(K3S, "w-1", **given).given["kube_node_labels"] == {"example.com/edge": "yes"}


@pytest.mark.parametrize(
    "given, inputs",
    [
        ({"k3s_server_location": "/data/rancher/k3s"}, {"kube_data_dir": "/data"}),
        ({"api_endpoint": "10.0.0.11"}, {}),
        (
            {"api_endpoint": "k8s.example.com", "api_port": 6443},
            {
                "kube_api_port": 6443,
                "kube_api_endpoint": {"mode": "external", "address": "k8s.example.com", "port": 6443},
            },
        ),
        (
            {"extra_service_envs": ["HTTP_PROXY=http://p:1", "NO_PROXY=.a,10.0.0.0/8"]},
            {"kube_http_proxy": {"http": "http://p:1", "no_proxy": [".a", "10.0.0.0/8"]}},
        ),
        ({"cluster_context": "homelab", "user_kubectl": True}, {"kube_cluster_name": "homelab"}),
        ({"kubeconfig": "~/.kube/config"}, {"kube_kubeconfig": {"merge": True}}),
        (
            {"registries_config_yaml": REGISTRIES},
            {
                "kube_registries": {
                    "mirrors": {
                        "docker.io": {
                            "endpoints": ["https://registry.example:5000"],
                            "rewrites": {"^library/(.*)": "lib/$1"},
                        },
                        "quay.io": {"endpoints": ["https://registry.example/v2/quay"], "override_path": True},
                    },
                    "configs": {
                        "registry.example:5000": {
                            "username": "admin",
                            "password": "secret",
                            "insecure_skip_verify": True,
                        }
                    },
                }
            },
        ),
    ],
)
def test_other_variables(given, inputs):
    found = read(K3S, **{**SAMPLE, **given})
    assert found.foreign.problems == []
    assert found.given == {"kube_distribution": "k3s", "kube_version": "v1.36.3+k3s2", **inputs}


def test_an_external_database_needs_no_further_round():
    given = {**SAMPLE, "use_external_database": True, "token": "t0ken"}
    given["extra_server_args"] = "--datastore-endpoint=postgres://k3s:s3cretpw@192.0.2.50:5432/k3s"
    groups = {"server": ["cp-1", "cp-2"], "agent": ["w-1"]}
    plan = planned(groups, **given)
    assert (plan["refusals"], plan["datastore"]) == ([], "external PostgreSQL")
    assert "s3cretpw" not in str({**plan, "manifests": []}) and "t0ken" not in str(plan["inventory"])
    assert read(groups, **given).given["k3s_token"] == "t0ken"
    del given["extra_server_args"]
    assert described(read(groups, **given).foreign.problems) == ["inventory.decision value=use_external_database"]


@pytest.mark.parametrize(
    "given, name",
    [
        ({"airgap_dir": "/srv/airgap"}, "airgap_dir"),
        ({"k3s_server_location": "/data/k3s"}, "k3s_server_location"),
        ({"server_group": "masters"}, "server_group"),
        ({"kube_distribution": "kubeadm"}, "k3s_version"),
        ({"kube_version": "v1.35.0"}, "k3s_version"),
        ({"k3s_version": "stable-2"}, "k3s_version"),
        (
            {"registries_config_yaml": "configs: {r.example: {tls: {ca_file: /etc/ca.pem}}}"},
            "registries_config_yaml",
        ),
        ({"extra_server_args": "--kubelet-arg=x={{ ansible_memtotal_mb }}{{ ansible_facts.y }}"}, "extra_server_args"),
    ],
)
def test_what_only_the_author_can_decide_is_refused(given, name):
    found = read(K3S, **{**SAMPLE, **given})
    assert {finding.value for finding in found.foreign.problems} == {name}
    ids(found.foreign.problems)


@pytest.mark.parametrize(
    "given",
    [
        {"extra_server_args": "traefik"},
        {"extra_server_args": "--x 'y"},
        {"server_config_yaml": "a: ["},
        {"server_config_yaml": "[a]"},
    ],
)
def test_what_cannot_be_read_is_named(given):
    found = read(K3S, **{**SAMPLE, **given})
    assert described(found.foreign.problems) == ["inventory.unreadable value=%s" % next(iter(given))]


def test_settings_that_the_plan_owns_are_refused_by_the_name_that_the_user_wrote():
    plan = planned({"server": ["cp-1"]}, **{**SAMPLE, "extra_server_args": "--with-node-id --nonsense --no-deploy x"})
    assert [row["text"].partition(" is set")[0].partition(":")[0] for row in plan["refusals"]] == [
        "extra_server_args --with-node-id",
        "extra_server_args --no-deploy",
        "extra_server_args --nonsense",
    ]


def test_facts_in_arguments_are_left_to_the_plan():
    arguments = "--tls-san 10.0.0.9 --node-ip {{ ansible_default_ipv4.address }}"
    found = read(K3S, **{**SAMPLE, "extra_server_args": arguments})
    assert found.problems == [] and found.foreign.problems == []
    assert found.given["kube_api_sans"] == ["10.0.0.9"] and "kube_node_ip" not in found.given
    assert {"extra_server_args --node-ip": "not_taken"}.items() <= kinds(
        K3S, **{**SAMPLE, "extra_server_args": arguments}
    ).items()


def test_a_left_over_of_another_project_does_not_change_whose_inventory_it_is():
    found = read({"server": ["cp-1"], "agent": ["cp-1"]}, **SAMPLE, k3s_control_node=False)
    assert found.foreign.project == "k3s-ansible" and found.foreign.problems == []
    assert found.given["kube_distribution"] == "k3s"


def test_techno_tims_sample():
    given = {
        "k3s_version": "v1.36.3+k3s2",
        "systemd_dir": "/etc/systemd/system",
        "system_timezone": "Europe/Berlin",
        "flannel_iface": "eth0",
        "calico_ebpf": False,
        "cluster_cidr": "10.52.0.0/16",
        "kube_vip_arp": True,
        "kube_vip_tag_version": "v0.8.2",
        "apiserver_endpoint": "10.0.0.222",
        "k3s_token": "secret",
        "k3s_node_ip": "{{ ansible_facts[flannel_iface]['ipv4']['address'] }}",
        "extra_args": "--flannel-iface={{ flannel_iface }} --node-ip={{ k3s_node_ip }}",
        "extra_server_args": "--tls-san 10.0.0.222 --disable servicelb --disable traefik",
        "extra_agent_args": "",
        "metal_lb_type": "native",
        "metal_lb_ip_range": "10.0.0.80-10.0.0.90",
        "custom_registries": False,
        "custom_registries_yaml": REGISTRIES,
        "proxmox_lxc_configure": False,
        "proxmox_lxc_ct_ids": [200],
    }
    plan = planned(TECHNO_TIM, **given)
    assert (plan["refusals"], plan["distribution"], plan["endpoint"]["mode"]) == ([], "k3s", "vip")
    assert (plan["control_planes"], plan["workers"]) == (["cp-1"], ["w-1"])
    assert plan["inventory"]["project"] == "techno-tim/k3s-ansible" and plan["inventory"]["unknown"] == []
    assert read(TECHNO_TIM, **given).given["kube_node_ip"] == "eth0"
    names = [entry["name"] for entry in plan["inventory"]["not_taken"]]
    assert names == ["metal_lb_ip_range"]


def test_groups_called_master_and_node_count_only_in_such_an_inventory():
    found = described(planned({"master": ["cp-1"], "node": ["w-1"]})["refusals"])
    assert found == [
        "groups.misspelt value=%s limit=%s" % row for row in (("master", "kube_control_plane"), ("node", "kube_node"))
    ]


def test_pyratlabs_says_which_hosts_belong_where():
    own = {"cp-1": {"k3s_control_node": True, "k3s_server": {"node-ip": "10.0.0.11", "disable": ["traefik"]}}}
    given = {"k3s_release_version": "v1.36.3+k3s1", "k3s_etcd_datastore": True, "k3s_become": True}
    plan = planned(BARE, own, **given, k3s_registration_address="192.0.2.59")
    found = next(row for row in plan["refusals"] if row["id"] == "groups.control_node")
    assert described([found]) == ["groups.control_node value=cp-1"] and "w-1 into kube_node" in found["text"]
    given = read(BARE, **own["cp-1"], **given).given
    assert given == {
        "k3s_datastore": "etcd",
        "kube_distribution": "k3s",
        "kube_version": "v1.36.3+k3s1",
        "k3s_disable": ["traefik"],
        "kube_node_ip": "10.0.0.11",
    }


def test_a_release_that_is_too_old_is_refused_whatever_its_settings():
    plan = planned({"server": ["cp-1"]}, k3s_version="v1.24.7+k3s1", extra_server_args="--debug")
    assert [row["id"] for row in plan["refusals"]] == ["version.too_old"]
    assert plan["refusals"][0]["text"].startswith("k3s_version (kube_version) v1.24.7")


@pytest.mark.parametrize("groups", [K3S, TECHNO_TIM])
def test_an_inventory_for_k3s_without_a_release_asks_for_k3s(groups):
    """It would be planned with kubeadm otherwise, and its arguments of K3s would be without effect."""
    plan = planned(groups, extra_server_args="--disable traefik")
    assert (plan["refusals"], plan["distribution"]) == ([], "k3s")
    assert "kube_distribution: k3s" in [row["text"] for row in plan["inventory"]["translated"]]
    assert planned(groups, kube_distribution="kubeadm")["distribution"] == "kubeadm"
