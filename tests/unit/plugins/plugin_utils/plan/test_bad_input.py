# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input: one message that names every problem, before anything is changed."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import (
    GIB,
    inventory,
    machine,
)


def refusals(hosts, groups):
    """Return "id: text" of each refusal, so that a row below can hold an id with the start of its text, or a part of a text."""
    return ["%s: %s" % (found["id"], found["text"]) for found in planner.cluster_plan(hosts, groups)["refusals"]]


def with_inputs(**inputs):
    return inventory(inputs=inputs)


INPUTS = [
    ({"kube_verson": "1.36"}, "unknown input kube_verson; did you mean kube_version?"),
    ({"kube_version": "1.33"}, "kube_version 1.33 is older than 1.34"),
    ({"kube_version": "1.99"}, "kube_version 1.99 is not known; the newest known release is 1.37"),
    ({"kube_version": "latest"}, "\"latest\" is not a version"),
    ({"kube_pod_cidrs": ["10.244.0.0"]}, "10.244.0.0 has no prefix length"),
    ({"kube_pod_cidrs": ["10.244.0.5/16"]}, "has host bits set; write it as 10.244.0.0/16"),
    ({"kube_pod_cidrs": ["pods"]}, "\"pods\" is not a network"),
    ({"kube_pod_cidrs": []}, "kube_pod_cidrs is empty"),
    ({"kube_pod_cidrs": ["10.1.0.0/16", "10.2.0.0/16"]}, "at most one IPv4 and one IPv6"),
    ({"kube_pod_cidrs": ["10.96.0.0/16"]}, "kube_pod_cidrs 10.96.0.0/16 and kube_service_cidrs 10.96.0.0/12 overlap"),
    ({"kube_pod_cidrs": ["10.0.0.0/16"]}, "kube_pod_cidrs 10.0.0.0/16 holds 10.0.0.0/24 of cp-1"),
    ({"kube_pod_cidrs": ["fd00::/56"], "kube_network": {"plugin": "bridge"}}, "network.family_unsupported"),
    ({"kube_service_cidrs": ["10.0.0.0/20"]}, "kube_service_cidrs 10.0.0.0/20 holds 10.0.0.0/24"),
    ({"kube_distribution": "kubespray"}, "kube_distribution: expected one of auto, kubeadm, k3s"),
    ({"kube_api_endpoint": {"mode": "vip"}}, "mode vip needs kube_api_endpoint.address"),
    ({"kube_api_endpoint": {"mode": "vip", "address": "api.example"}}, "'api.example' is no IP address"),
    ({"kube_api_endpoint": {"address": "10.0.0.11"}}, "is a node's own address"),
    ({"kube_api_endpoint": {"mode": "none"}}, "mode none fits one control plane, the inventory has 3"),
    ({"kube_api_endpoint": {"mode": "local", "port": 6443}}, "port 6443 is the API servers' own port"),
    ({"kube_api_endpoint": {"adress": "10.0.0.9"}}, "kube_api_endpoint has no key adress; did you mean address?"),
    (
        {"kube_api_endpoint": {"mode": "vip", "address": "192.168.9.9"}},
        "no interface's network holds the virtual address 192.168.9.9",
    ),
    ({"kube_api_port": "https"}, "kube_api_port: expected a whole number"),
    ({"kube_api_port": 6443.5}, "expected a whole number, got 6443.5"),
    ({"kube_allow_cgroup_v1": "perhaps"}, "expected true or false"),
    ({"kube_network": "bridge"}, "kube_network: expected a map"),
    ({"kube_network": {"plugin": "weave"}}, "expected one of auto, bridge, kube-router, flannel, none"),
    ({"kube_network": {"plugin": "bridge", "options": {"speed": 1}}}, "network.unknown_option"),
    ({"kube_workers_at_once": "0"}, "kube_workers_at_once: \"0\" is not a number of nodes"),
    ({"kube_workers_at_once": "120%"}, "kube_workers_at_once: \"120%\" is not"),
    ({"kube_node_ip": "10.9.9.9"}, "kube_node_ip 10.9.9.9 is no address of the host (it has 10.0.0.11)"),
    ({"kube_node_ip": "eth7"}, "the host has no interface eth7"),
    ({"kube_node_taints": ["gpu"]}, "\"gpu\" is not a taint"),
    ({"kube_node_labels": {"a b": "c"}}, "a b=c is no valid label"),
    ({"kube_manifests": [{"name": "x"}]}, "kube_manifests[x] needs either content or src"),
    ({"kube_manifests": [{"content": "x"}]}, "kube_manifests[0].name is missing"),
    (
        {"kubelet_config": {"clusterDomain": "x"}},
        "inputs.owned_key: kubelet_config.clusterDomain",
    ),
    (
        {"kubeadm_cluster_config": {"networking": {"podSubnet": "x"}}},
        "inputs.owned_key: kubeadm_cluster_config.networking.podSubnet",
    ),
    ({"kube_registries": {"mirrors": {"docker.io": {"endpoints": ["mirror"]}}}}, "'mirror' is no URL"),
    ({"kube_registries": {"configs": {"r.example": {"password": "x"}}}}, "has a password and no username"),
    (
        {"kube_needs": ["network_policy"], "kube_network": {"plugin": "bridge"}},
        "network.policy_not_enforced",
    ),
    ({"kube_needs": ["external_database"], "kube_distribution": "kubeadm"}, "K3s stores in PostgreSQL or MySQL"),
    ({"kube_network": {"plugin": "flannel"}}, "network_plugin.unsupported: "),
    ({"kube_needs": ["air_gap"]}, "cp-1: kube_needs asks for air_gap and kube_artifacts.source is upstream"),
    ({"kube_needs": ["air_gap"]}, "kube_registries.mirrors names none for registry.k8s.io"),
]


@pytest.mark.parametrize(("inputs", "message"), INPUTS)
def test_inputs(inputs, message):
    assert any(message in text for text in refusals(*with_inputs(**inputs))), refusals(*with_inputs(**inputs))


K3S = [
    ({"kube_needs": ["external_database"]}, "datastore.no_endpoint"),
    ({"k3s_datastore_endpoint": "postgres://u:p@db:5432/k"}, "datastore.unused_endpoint"),
    ({"k3s_disable": ["ingress"]}, "k3s_disable: ingress is no part of K3s"),
    ({"k3s_config": {"write-kubeconfig-mod": "0644"}}, "did you mean write-kubeconfig-mode?"),
    ({"k3s_config": {"token": "x"}}, "inputs.owned_key: k3s_config.token"),
    ({"k3s_config": {"cluster-cidr": "10.1.0.0/16"}}, "inputs.owned_key: k3s_config.cluster-cidr"),
    ({"k3s_config": {"etcd-snapshot-retention": "many"}}, "k3s_config.value: k3s_config.etcd-snapshot-retention"),
    ({"k3s_config": {"write-kubeconfig-mode": 420}}, "k3s_config.value: k3s_config.write-kubeconfig-mode"),
    ({"k3s_config": ["debug"]}, "k3s_config: expected a map"),
    ({"k3s_disabel": ["traefik"]}, "unknown input k3s_disabel; did you mean k3s_disable?"),
    ({"k3s_secrets_encryption": "perhaps"}, "expected true or false"),
    ({"kube_network": {"plugin": "bridge"}}, "kube_network.plugin bridge is for kubeadm nodes"),
    ({"kube_network": {"plugin": "kube-router"}}, "kube_network.plugin kube-router is for kubeadm nodes"),
    ({"kube_network": {"plugin": "flannel", "options": {"mtu": 1}}}, "network.unknown_option"),
    ({"kube_needs": ["windows_workers"]}, "set kube_distribution to kubeadm"),
]


@pytest.mark.parametrize(("inputs", "message"), K3S)
def test_inputs_of_k3s(inputs, message):
    found = refusals(*with_inputs(kube_distribution="k3s", **inputs))
    assert any(message in text for text in found), found


K3S_MACHINES = [
    ({"cgroup__controllers": ["cpu"]}, "cp-1: the kernel's memory cgroup is off"),
    (
        {"ports": [{"port": 6444, "protocol": "tcp", "address": "::", "process": "nginx"}]},
        "port 6444 (K3s's own API server",
    ),
    ({"architecture": {"name": "riscv64", "raw": "riscv64", "bits": 64}}, "K3s cannot run on these machines"),
    ({"cluster": {"kind": "kubeadm", "foreign": False, "kubelet_conf": True}}, "kubeadm is what runs here"),
    (
        {"cluster": {"kind": "k3s", "foreign": True, "made_by": "k3s-ansible", "role": "control_plane"}},
        "a node that k3s-ansible made is here (control plane)",
    ),
    ({"cgroup__version": "v1"}, "cgroup v1, which the kubelet refuses from 1.35 on"),
]


@pytest.mark.parametrize(("changes", "message"), K3S_MACHINES)
def test_machines_of_k3s(changes, message):
    found = refusals(*inventory(inputs={"kube_version": "1.36", "kube_distribution": "k3s"}, **changes))
    assert any(message in text for text in found), found


MACHINES = [
    ({"memory": GIB}, "memory.too_small: cp-1: 1.0 GiB"),
    ({"cpus": 1}, "cpus.too_few: cp-1: 1 CPU"),
    ({"cgroup__version": "v1"}, "cp-1: cgroup v1, which the kubelet refuses from 1.35 on"),
    ({"cgroup__controllers": ["cpu"]}, "cp-1: the kernel's memory cgroup is off"),
    (
        {
            "disks": {
                "/var/lib/containerd": {
                    "mount": "/",
                    "free_bytes": 34 * GIB,
                    "total_bytes": 252 * GIB,
                    "read_only": False,
                }
            }
        },
        "cp-1: 34.0 GiB of 252.0 GiB free under /, and the kubelet evicts every pod below imagefs.available 15%; free some",
    ),
    ({"init": "openrc"}, "init.unsupported: cp-1: init system openrc"),
    (
        {"architecture": {"name": "arm", "raw": "armv7l", "bits": 32}},
        "architecture.unsupported: cp-1: ",
    ),
    ({"kernel__modules": {"overlay": "missing"}}, "has no module overlay"),
    (
        {"ports": [{"port": 6443, "protocol": "tcp", "address": "::", "process": "nginx"}]},
        "cp-1: port 6443 (kube-apiserver) is taken by nginx",
    ),
    (
        {"ports": [{"port": 7443, "protocol": "tcp", "address": "::", "process": None}]},
        "port 7443 (API endpoint) is taken by another program",
    ),
    ({"disks": {"/var/lib/etcd": {"mount": "/", "read_only": True}}}, "/var/lib/etcd is on a read-only file system"),
    ({"machine_id": "0123"}, "cp-1 and cp-2 and cp-3 and w-1 have the same machine id 0123"),
    ({"hostname": "localhost"}, "cp-1 and cp-2 and cp-3 and w-1 have the same node name localhost"),
    ({"hostname": "bad_name"}, "the node name 'bad_name' is no valid DNS name"),
    ({"cluster": {"kind": "k3s"}}, "K3s is what runs here"),
    (
        {
            "cluster": {
                "kind": "kubeadm",
                "foreign": True,
                "made_by": "Kubespray",
                "role": "worker",
                "kubelet_conf": True,
            }
        },
        "cp-1: a node that Kubespray made is here (worker); leave it out, or take it away first with Kubespray's reset.yml",
    ),
]


@pytest.mark.parametrize(("changes", "message"), MACHINES)
def test_machines(changes, message):
    found = refusals(*inventory(inputs={"kube_version": "1.36", "kube_distribution": "kubeadm"}, **changes))
    assert any(message in text for text in found), found


def test_no_control_plane():
    assert "no host is in the group kube_control_plane" in refusals({"w": {"info": machine()}}, {"kube_node": ["w"]})[0]


def test_empty_inventory():
    assert "no host is in the group kube_control_plane" in refusals({}, {})[0]


def test_two_control_planes():
    assert any("two control planes (cp-1, cp-2)" in text for text in refusals(*inventory(control_planes=2)))


def test_high_availability_with_one():
    assert any(
        "which takes three control planes" in text
        for text in refusals(*inventory(control_planes=1, inputs={"kube_needs": ["high_availability"]}))
    )


def test_unreachable():
    hosts, groups = inventory()
    hosts["w-1"] = {"info": None, "error": "cannot be reached: timed out", "inputs": {}}
    (found,) = refusals(hosts, groups)
    assert found.endswith(": w-1: cannot be reached: timed out")


def test_clocks():
    hosts, groups = inventory()
    hosts["cp-2"]["info"]["clock"]["offset_seconds"] = 61.0
    assert any(
        "cp-2: the clock is 61 s ahead of the other nodes, the limit is 30 s" in text
        for text in refusals(hosts, groups)
    )


def test_differing_inputs():
    hosts, groups = inventory()
    hosts["cp-2"]["inputs"]["kube_cluster_domain"] = "other.local"
    assert any(
        "kube_cluster_domain describes the whole cluster and differs" in text for text in refusals(hosts, groups)
    )


def test_two_clusters():
    hosts, groups = inventory()
    for number, host in enumerate(hosts):
        hosts[host]["info"]["cluster"].update(
            kubelet_conf=True, ca_sha256=str(number // 3), kind="kubeadm", role="control_plane"
        )
    assert any("w-1: belongs to another cluster than cp-1" in text for text in refusals(hosts, groups))


def test_different_networks_under_the_bridge():
    hosts, groups = inventory(inputs={"kube_network": {"plugin": "bridge"}})
    hosts["w-1"]["info"] = machine("w-1", "10.7.0.14")
    assert any("bridge needs all nodes in one network, they are in 2" in text for text in refusals(hosts, groups))


def test_all_at_once():
    """Problems of different kinds and nodes come in one list."""
    hosts, groups = inventory(control_planes=2, inputs={"kube_cluster_domian": "x", "kube_api_port": "y"})
    hosts["w-1"] = {"info": None, "error": "cannot be reached", "inputs": {}}
    found = " ".join(refusals(hosts, groups))
    for part in ("kube_cluster_domian", "kube_api_port", "w-1: cannot be reached", "two control planes"):
        assert part in found
