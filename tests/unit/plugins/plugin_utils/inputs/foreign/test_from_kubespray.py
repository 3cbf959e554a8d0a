# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inventories of Kubespray: names and values as real ones have them."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller import foreign_inventory
from ansible_collections.kubewright.cluster.plugins.plugin_utils.inputs import schema
from ansible_collections.kubewright.cluster.plugins.plugin_utils.inputs.foreign import dialects, from_kubespray
from ansible_collections.kubewright.cluster.plugins.plugin_utils.inputs.groups import misspelt
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described, ids
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.foreign import (
    KUBESPRAY,
    kinds,
    planned,
    read,
    rows,
)

# Active in the sample of Kubespray 46dbdd3, with its values.
SAMPLE = {
    "bin_dir": "/usr/local/bin",
    "loadbalancer_apiserver_port": 6443,
    "loadbalancer_apiserver_healthcheck_port": 8081,
    "no_proxy_exclude_workers": False,
    "kube_webhook_token_auth": False,
    "kube_webhook_token_auth_url_skip_tls_verify": False,
    "ntp_enabled": False,
    "ntp_manage_config": False,
    "unsafe_show_logs": False,
    "etcd_data_dir": "/var/lib/etcd",
    "etcd_deployment_type": "host",
    "helm_enabled": False,
    "registry_enabled": False,
    "metrics_server_enabled": False,
    "local_path_provisioner_enabled": False,
    "cert_manager_enabled": False,
    "metallb_enabled": False,
    "metallb_speaker_enabled": "{{ metallb_enabled }}",
    "metallb_namespace": "metallb-system",
    "kube_vip_enabled": False,
    "kube_config_dir": "/etc/kubernetes",
    "kube_script_dir": "{{ bin_dir }}/kubernetes-scripts",
    "kube_api_anonymous_auth": True,
    "kube_owner": "kube",
    "kube_cert_group": "kube-cert",
    "kube_log_level": 2,
    "kube_network_plugin_multus": False,
    "kube_service_addresses": "10.233.0.0/18",
    "kube_pods_subnet": "10.233.64.0/18",
    "kube_network_node_prefix": 24,
    "kube_service_addresses_ipv6": "fd85:ee78:d8a6:8607::1000/116",
    "kube_pods_subnet_ipv6": "fd85:ee78:d8a6:8607::1:0000/112",
    "kube_network_node_prefix_ipv6": 120,
    "kube_apiserver_ip": "{{ kube_service_subnets.split(',') | first | ansible.utils.ipaddr('net') }}",
    "kube_apiserver_port": 6443,
    "kube_proxy_mode": "ipvs",
    "kube_proxy_strict_arp": False,
    "kube_encrypt_secret_data": False,
    "cluster_name": "cluster.local",
    "dns_mode": "coredns",
    "enable_nodelocaldns": True,
    "nodelocaldns_ip": "169.254.25.10",
    "enable_coredns_k8s_external": False,
    "resolvconf_mode": "host_resolvconf",
    "container_manager": "containerd",
    "kubeadm_certificate_key": "{{ lookup('password', credentials_dir + '/kubeadm_certificate_key.creds') }}",
    "kubernetes_audit": False,
    "auto_renew_certificates": False,
    "kubeadm_patches": [],
    "calico_cni_name": "k8s-pod-network",
    "kube_ovn_enable_lb": True,
}


def test_the_sample_is_a_plan():
    plan = planned(KUBESPRAY, **SAMPLE)
    assert plan["refusals"] == []
    assert (plan["pod_cidrs"], plan["service_cidrs"], plan["proxy_mode"]) == (
        ["10.233.64.0/18"],
        ["10.233.0.0/18"],
        "iptables",
    )
    assert plan["inventory"]["project"] == "Kubespray" and plan["inventory"]["unknown"] == []


def test_only_names_of_the_table_are_evaluated():
    """The password lookup of kubeadm_certificate_key would write a file, and the filter may not be installed."""
    found = read(KUBESPRAY, **SAMPLE)
    assert found.problems == [] and found.foreign.problems == []
    # A name that only matches a family is not evaluated either.
    assert kinds(KUBESPRAY, kube_apiserver_request_timeout="{{ nowhere }}", k8s_cluster=1) == {
        "kube_apiserver_request_timeout": "not_taken"
    }


def test_a_value_that_cannot_be_evaluated_is_one_problem_beside_all_else():
    plan = planned(KUBESPRAY, **{**SAMPLE, "kube_pods_subnet": "{{ nowhere }}", "kube_network_plugin": "calico"})
    assert described(plan["refusals"]) == [
        "inventory.unreadable value=kube_pods_subnet",
        "inventory.decision value=kube_network_plugin",
    ] or set(ids(plan["refusals"])) == {"inventory.unreadable", "inventory.decision"}
    assert any("kube_pods_subnet: " in row["text"] for row in plan["refusals"])


@pytest.mark.parametrize(
    "given, inputs",
    [
        ({"kube_version": "v1.36.3"}, {"kube_version": "v1.36.3"}),
        ({"cluster_name": "prod.example"}, {"kube_cluster_domain": "prod.example"}),
        ({"cluster_name": "a.example", "dns_domain": "b.example"}, {"kube_cluster_domain": "b.example"}),
        ({"ip": "10.3.0.1", "access_ip": "10.3.0.1"}, {"kube_node_ip": "10.3.0.1"}),
        ({"access_ip": "10.3.0.1"}, {"kube_node_ip": "10.3.0.1"}),
        ({"ip": "{{ ansible_default_ipv4.address }}"}, {}),
        (
            {
                "kube_pods_subnet": "10.1.0.0/16",
                "kube_pods_subnet_ipv6": "fd00::/108",
                "kube_service_addresses": "10.2.0.0/16",
                "kube_service_addresses_ipv6": "fd01::/116",
                "ipv6_stack": True,
            },
            {"kube_pod_cidrs": ["10.1.0.0/16", "fd00::/108"], "kube_service_cidrs": ["10.2.0.0/16", "fd01::/116"]},
        ),
        ({"kube_network_plugin": "kube-router"}, {"kube_network": {"plugin": "kube-router"}}),
        ({"kube_network_plugin": "cni"}, {"kube_network": {"plugin": "none"}}),
        ({"kube_proxy_mode": "ipvs"}, {"kube_proxy_mode": "auto"}),
        ({"kube_proxy_mode": "iptables"}, {"kube_proxy_mode": "iptables"}),
        (
            {
                "loadbalancer_apiserver": {"address": "192.0.2.10", "port": 8443},
                "apiserver_loadbalancer_domain_name": "k8s.example.com",
                "supplementary_addresses_in_ssl_keys": ["k8s.example.com", "192.0.2.10"],
            },
            {
                "kube_api_endpoint": {"mode": "external", "address": "192.0.2.10", "port": 8443},
                "kube_api_sans": ["k8s.example.com", "192.0.2.10"],
            },
        ),
        ({"loadbalancer_apiserver_localhost": True}, {"kube_api_endpoint": {"mode": "local"}}),
        (
            {
                "kube_vip_enabled": True,
                "kube_vip_controlplane_enabled": True,
                "kube_vip_arp_enabled": True,
                "kube_vip_address": "10.0.0.100",
                "kube_vip_interface": "eth1",
                "loadbalancer_apiserver": {"address": "10.0.0.100", "port": 6443},
            },
            {"kube_api_endpoint": {"mode": "vip", "address": "10.0.0.100", "interface": "eth1"}},
        ),
        (
            {"http_proxy": "http://p:1", "https_proxy": "http://p:2", "no_proxy": ".a,.b", "additional_no_proxy": ".c"},
            {"kube_http_proxy": {"http": "http://p:1", "https": "http://p:2", "no_proxy": [".a", ".b"]}},
        ),
        (
            {
                "containerd_registries_mirrors": [
                    {"prefix": "docker.io", "mirrors": [{"host": "https://m.example:5000", "skip_verify": True}]}
                ]
            },
            {
                "kube_registries": {
                    "mirrors": {"docker.io": {"endpoints": ["https://m.example:5000"]}},
                    "configs": {"m.example:5000": {"insecure_skip_verify": True}},
                }
            },
        ),
        (
            {"containerd_registry_auth": [{"registry": "r.example", "username": "u", "password": "p"}]},
            {"kube_registries": {"configs": {"r.example": {"username": "u", "password": "p"}}}},
        ),
        (
            {"kube_image_repo": "r.example/kube"},
            {
                "kube_registries": {
                    "mirrors": {"registry.k8s.io": {"endpoints": ["https://r.example/v2/kube"], "override_path": True}}
                }
            },
        ),
        ({"files_repo": "http://files.example"}, {"kube_artifacts": {"source": "http://files.example"}}),
        ({"node_labels": {"gpu": "true"}}, {"kube_node_labels": {"gpu": "true"}}),
        ({"node_taints": ["gpu=true:NoSchedule"]}, {"kube_node_taints": ["gpu=true:NoSchedule"]}),
        ({"kubelet_max_pods": 200}, {"kubelet_config": {"maxPods": 200}}),
        ({"kubelet_fail_swap_on": False}, {"kube_swap": "keep"}),
        (
            {"kube_reserved": True, "kube_memory_reserved": "512Mi", "system_cpu_reserved": "250m"},
            {"kube_reserved": {"kube_memory": "512Mi", "system_cpu": "250m"}},
        ),
        ({"kube_memory_reserved": "512Mi", "kube_owner": "kube"}, {}),
        ({"ntp_enabled": True}, {"kube_time_service": "chrony"}),
        ({"kubeconfig_localhost": True}, {"kube_kubeconfig": {"fetch": True}}),
        (
            {"kube_kubeadm_scheduler_extra_args": {"profiling": False}},
            {"kubeadm_cluster_config": {"scheduler": {"extraArgs": [{"name": "profiling", "value": "False"}]}}},
        ),
    ],
)
def test_values_are_translated(given, inputs):
    found = read(KUBESPRAY, **given)
    assert found.given == inputs and found.foreign.problems == [] and found.problems == []


@pytest.mark.parametrize(
    "given",
    [
        {"kube_network_plugin": "calico"},
        {"kube_network_plugin": "weave"},
        {"kube_encrypt_secret_data": True},
        {"kubernetes_audit": True},
        {"kube_oidc_auth": True},
        {"cloud_provider": "gce"},
        {"external_cloud_provider": "openstack"},
        {"kube_network_node_prefix": 25},
        {"access_ip": "203.0.113.5", "ip": "10.0.0.5"},
        {"ipv6_stack": True},
        {"loadbalancer_apiserver": {"port": 6443}},
    ],
)
def test_what_only_the_author_can_decide_is_refused(given):
    found = read(KUBESPRAY, **given)
    name = next(iter(given))
    assert ids(found.foreign.problems) == ["inventory.decision"] and found.foreign.problems[0].value == name


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        # An inventory with names in place of addresses; nodes are not left to chance without a word.
        ({"ip": "fun-vm-0.testdomain.com"}, ["ip fun-vm-0.testdomain.com: not an IP address"]),
        ({"access_ip": "node1.example.com"}, ["access_ip node1.example.com: not an IP address"]),
        ({"ip": "10.0.0.11", "access_ip6": "10.0.0.11"}, ["access_ip6 10.0.0.11: not an IPv6 address"]),
        ({"ip6": "fd00::1", "access_ip6": "fd00::2"}, ["access_ip6 fd00::2: differs from ip6 fd00::1"]),
        ({"ip": "fun-vm-0.testdomain.com", "kube_node_ip": "eth0"}, []),
        # Two switches for the same thing are one question.
        (
            {"enable_dual_stack_networks": True, "ipv6_stack": True},
            ["enable_dual_stack_networks: not set: kube_pods_subnet, kube_service_addresses, kube_pods_subnet_ipv6, "],
        ),
    ],
)
def test_addresses_that_are_none_are_asked_for(given, wanted):
    found = read(KUBESPRAY, **given).foreign.problems
    assert len(ids(found)) == len(wanted)
    assert all(one.text.startswith(start) for one, start in zip(found, wanted))


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"ip": "10.0.0.11", "ip6": "fd00::11", "enable_dual_stack_networks": True}, "10.0.0.11,fd00::11"),
        ({"ip": "10.0.0.11", "access_ip6": "fd00::11", "ipv6_stack": True}, "10.0.0.11,fd00::11"),
        ({"access_ip": "10.0.0.11", "ip6": "fd00::11", "ipv6_stack": "true"}, "10.0.0.11,fd00::11"),
        ({"ip": "10.0.0.11", "ip6": "fd00::11"}, "10.0.0.11"),  # a member of a cluster with one family keeps its one
        ({"ip": "10.0.0.11", "ip6": "", "ipv6_stack": True}, "10.0.0.11"),
    ],
)
def test_both_addresses_of_a_node_are_taken_where_the_cluster_has_both_families(given, wanted):
    assert read(KUBESPRAY, **given).foreign.inputs["kube_node_ip"] == wanted


def test_an_input_settles_a_question_and_wins_over_a_translated_value():
    found = read(KUBESPRAY, kube_network_plugin="calico", kube_network={"plugin": "none"})
    assert found.foreign.problems == [] and found.given["kube_network"] == {"plugin": "none"}
    found = read(KUBESPRAY, kube_pods_subnet="10.1.0.0/16", kube_pod_cidrs=["10.9.0.0/16"])
    assert found.given["kube_pod_cidrs"] == ["10.9.0.0/16"]
    found = read(KUBESPRAY, kubelet_max_pods=200, kubelet_config={"maxPods": 50, "podPidsLimit": 9})
    assert found.given["kubelet_config"] == {"maxPods": 50, "podPidsLimit": 9}


def test_what_is_not_installed_is_named_where_it_is_on():
    found = kinds(KUBESPRAY, ingress_nginx_enabled=True, metallb_enabled=False, metallb_config={}, helm_enabled="yes")
    assert found == {
        "ingress_nginx_enabled": "not_taken",
        "metallb_enabled": "no_effect",
        "metallb_config": "no_effect",
        "helm_enabled": "not_taken",
    }


def test_unknown_names_are_listed_and_misspelt_ones_refused():
    found = read(KUBESPRAY, kube_of_their_own=1, kube_pod_subnet="10.1.0.0/16", kube_verison="1.36")
    assert [entry["name"] for entry in found.foreign.entries if entry["kind"] == "unknown"] == ["kube_of_their_own"]
    assert sorted(finding.value for finding in found.foreign.problems) == ["kube_pod_subnet", "kube_verison"]
    assert "did you mean kube_version?" in found.foreign.problems[1].text


def test_names_of_the_project_are_not_taken_for_misspelt_inputs():
    """Rows of a family must not hide a misspelt input, and no name of Kubespray's may resemble one."""
    known = schema.specification()
    for name in from_kubespray.ROWS:
        if schema.is_input(name) and "*" not in name:
            assert name in known or from_kubespray.DIALECT.row(name) is not None
    for name in ("kube_foo", "kube_certs_of_ours", "kubelet_thing", "k3s_of_ours"):
        assert dialects.near(name, known, None) == ""
    assert dialects.near("kube_verison", known, None) == "kube_version"
    assert dialects.near("kube_pod_subnet", known, None) == "kube_pod_cidrs"  # Kubespray's kube_pods_subnet


def test_findings_name_what_the_user_wrote():
    plan = planned(KUBESPRAY, {"cp-1": {"ip": "10.9.9.9"}})
    (text,) = [row["text"] for row in plan["refusals"]]
    assert text.startswith("cp-1: ip (kube_node_ip) 10.9.9.9")


def test_etcd_on_other_hosts_is_refused_by_name():
    plan = planned({**KUBESPRAY, "etcd": ["etcd-1"]}, {"cp-1": {"ip": "10.0.0.11"}})
    assert described(plan["refusals"]) == ["groups.etcd_apart value=etcd-1"]


def test_variables_that_only_some_hosts_have_count_for_the_cluster():
    plan = planned(KUBESPRAY, {"cp-1": {"kube_pods_subnet": "10.1.0.0/16"}})
    assert plan["refusals"] == [] and plan["pod_cidrs"] == ["10.1.0.0/16"]


def test_a_host_in_both_groups_takes_work():
    groups = {"kube_control_plane": ["cp-1"], "kube_node": ["cp-1", "w-1"]}
    assert planned(groups)["nodes"]["cp-1"]["taints"] == []
    assert planned({**groups, "kube_node": ["w-1"]})["nodes"]["cp-1"]["taints"] != []


def test_old_group_names_count():
    plan = planned({"kube-master": ["cp-1"], "kube-node": ["w-1"], "k8s-cluster": ["cp-1", "w-1"]})
    assert (plan["control_planes"], plan["workers"], plan["refusals"]) == (["cp-1"], ["w-1"], [])


@pytest.mark.parametrize(
    "groups, value, limit",
    [
        ({"kube_control_plain": ["cp-1"], "kube_node": ["w-1"]}, "kube_control_plain", "kube_control_plane"),
        ({"kube_control_plane": ["cp-1"], "kube_nodes": ["w-1"]}, "kube_nodes", "kube_node"),
        ({"kube-control-plane": ["cp-1"], "kube_node": ["w-1"]}, "kube-control-plane", "kube_control_plane"),
    ],
)
def test_misspelt_groups_are_named_with_a_proposal(groups, value, limit):
    plan = planned(groups)
    assert described(plan["refusals"])[0] == "groups.misspelt value=%s limit=%s" % (value, limit)


def test_other_words_for_the_groups_count_where_no_group_gives_a_role():
    plan = planned({"masters": ["cp-1"], "kube_workers": ["w-1"]})
    assert [row["value"] for row in plan["refusals"] if row["id"] == "groups.misspelt"] == ["kube_workers", "masters"]
    assert planned({"kube_control_plane": ["cp-1"], "kube_node": ["w-1"], "workers": ["x-1"]})["refusals"] == []


def test_what_else_is_wrong_is_said_beside_groups_that_give_no_role():
    """The roles that are meant are taken for the rest of the plan, which is refused in any case."""
    plan = planned({"masters": ["cp-1"], "kube-workers": ["w-1"]}, kube_service_cidrs=["10.0.0.0/16"])
    assert described(plan["refusals"]) == [
        "groups.misspelt value=kube-workers limit=kube_node",
        "groups.misspelt value=masters limit=kube_control_plane",
        "cidrs.used_by_host node=cp-1 value=10.0.0.0/16 limit=10.0.0.0/24",
        "cidrs.used_by_host node=w-1 value=10.0.0.0/16 limit=10.0.0.0/24",
    ]
    assert (plan["control_planes"], plan["workers"]) == (["cp-1"], ["w-1"])


def test_an_inventory_without_control_planes_says_what_is_wrong_with_the_inputs():
    found = planned({"kube_node": ["w-1"]}, kube_pod_cidrs=["10.0.0.0/16"], kube_service_cidrs=["10.0.0.0/16"])
    assert ids(found["refusals"]) == ["control_planes.none", "cidrs.overlap"]


def test_an_old_name_of_a_group_is_not_proposed():
    (found,) = misspelt({"kube_masters": ["cp-1"]})
    assert described([found]) == ["groups.misspelt value=kube_masters limit=kube_control_plane"]


def test_an_inventory_is_of_one_project():
    """A host without a variable that shows it is read as the others are: a misspelt input is one problem."""
    groups = {"kube_control_plane": ["cp-1"], "kube_node": ["w-1"]}
    plan = planned(groups, {"cp-1": {"ip": "10.0.0.11"}}, kube_verison="1.36")
    assert ids(plan["refusals"]) == ["inputs.unknown"] and plan["inventory"]["project"] == "Kubespray"


def test_groups_that_give_no_role_here_are_named():
    plan = planned({**KUBESPRAY, "bastion": ["b-1"], "calico_rr": ["w-1"]}, {"cp-1": {"ip": "10.0.0.11"}})
    names = [entry["name"] for entry in plan["inventory"]["not_taken"]]
    assert names == ["group bastion", "group calico_rr"] and plan["refusals"] == []


def test_groups_whose_hosts_have_a_role_are_nobodys_business():
    assert planned({"kube_control_plane": ["cp-1"], "kube_node": ["w-1"], "kube_nodes": ["w-1"]})["refusals"] == []


def test_files_of_a_group_that_the_inventory_does_not_have_are_named(tmp_path):
    (tmp_path / "group_vars" / "k8s_cluster").mkdir(parents=True)
    groups = {"kube_control_plane": ["cp-1"], "etcd": ["cp-1"]}
    found = foreign_inventory.findings(rows(groups), groups, str(tmp_path))
    assert described(found) == ["groups.vars_unread value=k8s_cluster"]
    assert foreign_inventory.findings(rows(KUBESPRAY), KUBESPRAY, str(tmp_path)) == []


def test_names_that_anybody_has_do_not_make_an_inventory_kubesprays():
    ours = {"kube_control_plane": ["cp-1"], "kube_node": ["w-1"]}
    found = read(ours, ntp_enabled=True, cluster_name="prod", http_proxy="http://p:1", helm_enabled=True)
    assert found.foreign.project == "" and found.given == {}
    assert read(ours, kube_owner="kube").foreign.project == "Kubespray"
    assert read(ours, ip="10.0.0.11").given == {"kube_node_ip": "10.0.0.11"}


def test_names_of_its_oldest_releases_are_known():
    found = kinds(
        KUBESPRAY,
        bootstrap_os="ubuntu",
        kube_api_pwd="{{ lookup('password', 'x') }}",
        kube_users={},
        kube_basic_auth=False,
        dns_server="{{ nowhere }}",
        enable_network_policy=True,
    )
    assert found.pop("enable_network_policy") == "not_taken" and set(found.values()) == {"no_effect"}


def test_numbers_in_quotes_are_numbers_as_in_its_templates():
    given = {"kubelet_max_pods": "250", "kube_read_only_port": "0", "kubelet_pod_pids_limit": -1}
    assert read(KUBESPRAY, **given).foreign.inputs["kubelet_config"] == {
        "maxPods": 250,
        "readOnlyPort": 0,
        "podPidsLimit": -1,
    }
    assert read(KUBESPRAY, kubelet_max_pods="many").foreign.inputs["kubelet_config"] == {"maxPods": "many"}
