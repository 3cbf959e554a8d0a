# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan warns of on machines, and what it refuses of inputs that only some clusters have."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described, ids
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import (
    GIB,
    applied,
    inventory,
    machine,
)

SMALL = {"/var/lib/containerd": {"mount": "/", "free_bytes": 4 * GIB, "kind": "ssd", "read_only": False}}


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({"usr_read_only": True}, "usr.read_only node=w-1"),
        (
            {"dns": {"resolv_conf": "/etc/resolv.conf", "loopback": True}},
            "dns.loopback node=w-1 value=/etc/resolv.conf",
        ),
        ({"clock": {"synchronised": False, "offset_seconds": 0.1}}, "clock.not_synchronised node=w-1"),
        ({"disks": SMALL}, "disk.small node=w-1 value=%d limit=%d" % (4 * GIB, 5 * GIB)),
        ({"dns": {"resolv_conf": "/etc/resolv.conf", "loopback": False, "nameservers": []}}, "dns.no_servers node=w-1"),
        (
            {"disks": {"/run": {"mount": "/run", "free_bytes": 1 << 20, "fs": "tmpfs"}}},
            "disk.small_run node=w-1 value=1048576 limit=33554432",
        ),
        ({"machine_id": ""}, "machine_id.missing node=w-1"),
        (
            {"kernel__version": [4, 18, 0], "kernel__release": "4.18.0-553.el8"},
            "kernel.old node=w-1 value=4.18.0-553.el8 limit=5.4",
        ),
        ({"network__default_ipv4": None}, "network.no_default_route node=w-1"),
        ({"warnings": ["the board could not be read"]}, "look.warning node=w-1"),
    ],
)
def test_warnings(changes, warning):
    hosts, groups = inventory()
    hosts["w-1"]["info"] = machine("w-1", "10.0.0.14", **changes)
    plan = planner.cluster_plan(hosts, groups)
    assert plan["refusals"] == [] and described(plan["warnings"]) == [warning]


@pytest.mark.parametrize(
    ("inputs", "refusal"),
    [
        (
            {"kube_api_endpoint": {"mode": "local", "address": "10.0.0.100"}},
            "endpoint.unused_address value=10.0.0.100 limit=local",
        ),
        (
            {"kube_api_endpoint": {"address": "10.0.0.100", "interface": "eth9"}},
            "endpoint.unknown_interface node=cp-1 value=eth9 limit=eth0",
        ),
        (
            {"kube_registries": {"mirrors": {"docker.io": "x"}}},
            "registries.not_a_map value=kube_registries.mirrors[docker.io]",
        ),
        (
            {"kube_registries": {"configs": {"docker.io": "x"}}},
            "registries.not_a_map value=kube_registries.configs[docker.io]",
        ),
        (
            {
                "kube_registries": {
                    "mirrors": {"docker.io": {"endpoints": ["https://m.example"], "rewrites": {"a": "b"}}}
                }
            },
            "registries.rewrites value=kube_registries.mirrors[docker.io]",
        ),
    ],
)
def test_refusals(inputs, refusal):
    found = described(planner.cluster_plan(*inventory(inputs={"kube_distribution": "kubeadm", **inputs}))["refusals"])
    assert refusal in found, found


def test_a_node_without_an_address_of_the_second_family():
    both = {"kube_pod_cidrs": ["10.244.0.0/16", "fd00:1::/56"], "kube_service_cidrs": ["10.96.0.0/12", "fd00:2::/112"]}
    found = planner.cluster_plan(*inventory(1, 0, {"kube_distribution": "k3s", **both}))["refusals"]
    assert described(found) == ["address.family_missing node=cp-1 value=10.0.0.11 limit=6"]


def test_packages_without_a_network():
    mirrors = {"registry.k8s.io": {"endpoints": ["https://mirror.example"]}}
    inputs = {
        "kube_artifacts": {"source": "https://mirror.example"},
        "kube_registries": {"mirrors": mirrors},
        "kube_needs": ["air_gap"],
    }
    hosts, groups = inventory(1, 0, inputs)
    hosts["cp-1"]["info"]["commands"].pop("conntrack")
    plan = planner.cluster_plan(hosts, groups)
    assert plan["refusals"] == [] and described(plan["warnings"]) == ["air_gap.packages node=cp-1 value=conntrack"]


def test_the_other_distribution_on_one_host():
    hosts, groups = inventory(1, 2)
    for host, kind in (("cp-1", "kubeadm"), ("w-1", "kubeadm"), ("w-2", "k3s")):
        role = "control_plane" if host == "cp-1" else "worker"
        hosts[host]["info"]["cluster"].update(kind=kind, foreign=False, role=role, kubelet_conf=True)
    hosts["cp-1"]["info"]["cluster"]["manifests"] = ["kube-apiserver.yaml"]
    found = described(planner.cluster_plan(hosts, groups)["refusals"])
    assert "member.other_distribution node=w-2 value=k3s limit=kubeadm" in found, found


@pytest.mark.parametrize("kind", ["kubeadm", "k3s"])
def test_a_member_under_another_name_is_not_a_new_node(kind):
    hosts, groups = inventory(1, 1, {"kube_distribution": kind})
    plan = planner.cluster_plan(hosts, groups)
    for host, row in hosts.items():
        row["info"] = applied(row["info"], plan["nodes"][host], plan)
    for row in hosts["cp-1"]["info"]["cluster"]["live"]["nodes"]:
        row["machine_id"] = hosts[row["name"]]["info"]["machine_id"]
    assert planner.cluster_plan(hosts, groups)["refusals"] == []
    hosts["w-1"]["inputs"]["kube_node_name"] = "worker-1"
    assert described(planner.cluster_plan(hosts, groups)["refusals"]) == [
        "member.renamed node=w-1 value=worker-1 limit=w-1"
    ]


def test_the_data_directory_of_a_k3s_member_is_not_moved():
    hosts, groups = inventory(3, 1, {"kube_distribution": "k3s"})
    plan = planner.cluster_plan(hosts, groups)
    for host, row in hosts.items():
        row["info"] = applied(row["info"], plan["nodes"][host], plan)
        row["info"]["cluster"]["data_dir"] = "/var/lib/rancher/k3s"
        row["inputs"]["kube_data_dir"] = "/srv"
    found = described(planner.cluster_plan(hosts, groups)["refusals"])
    assert found == [
        "data_dir.fixed node=%s value=/srv/rancher/k3s limit=/var/lib/rancher/k3s" % host for host in sorted(hosts)
    ]


@pytest.mark.parametrize(
    ("row", "refused"),
    [
        ({"ready": True, "machine_id": "other"}, ["kubeadm", "k3s"]),
        ({"ready": False, "machine_id": "other"}, []),  # at this address: a new system on the same machine
        # K3s has a password of it.
        ({"ready": False, "machine_id": "other", "addresses": {"InternalIP": ["10.0.0.99"]}}, ["k3s"]),
        ({"ready": True, "machine_id": "own"}, []),
        ({"ready": True, "machine_id": None}, ["kubeadm", "k3s"]),
    ],
)
@pytest.mark.parametrize("kind", ["kubeadm", "k3s"])
def test_a_newcomer_does_not_take_the_name_of_a_node_that_lives(row, refused, kind):
    hosts, groups = inventory(1, 1, {"kube_distribution": kind})
    plan = planner.cluster_plan(hosts, groups)
    for host, node in hosts.items():
        node["info"] = applied(node["info"], plan["nodes"][host], plan)
    hosts["w-1"]["info"] = machine("w-1", "10.0.0.12", machine_id="own")
    hosts["cp-1"]["info"]["cluster"]["live"]["nodes"][1].update(row)
    found = described(planner.cluster_plan(hosts, groups)["refusals"])
    limit = " limit=other" if row["machine_id"] else ""
    assert found == (["member.name_taken node=w-1 value=w-1" + limit] if kind in refused else [])


@pytest.mark.parametrize(
    ("inputs", "refusal"),
    [
        ({"kube_pod_cidrs": ["10.244.0.0/23"]}, "cidrs.too_small value=10.244.0.0/23 limit=4"),
        ({"kube_pod_cidrs": ["10.244.0.0/25"]}, "cidrs.too_small value=10.244.0.0/25 limit=4"),
        ({"kube_pod_cidrs": ["10.244.0.0/22"]}, None),
        (
            {
                "kube_pod_cidrs": ["10.244.0.0/25"],
                "kubeadm_cluster_config": {
                    "controllerManager": {"extraArgs": [{"name": "node-cidr-mask-size", "value": "27"}]}
                },
            },
            None,
        ),
        ({"kube_service_cidrs": ["10.96.0.0/30"]}, "cidrs.service_size value=10.96.0.0/30 limit=12 to 28"),
        ({"kube_service_cidrs": ["172.16.0.0/11"]}, "inputs.format value=kube_service_cidrs[0]"),
        ({"kube_service_cidrs": ["fd00:2::/112"]}, "cidrs.families value=IPv6 limit=IPv4"),
    ],
)
def test_networks_have_room_for_the_nodes(inputs, refusal):
    found = described(planner.cluster_plan(*inventory(inputs={"kube_distribution": "kubeadm", **inputs}))["refusals"])
    assert found == ([refusal] if refusal else [])


def test_a_network_of_pods_for_a_plugin_of_ones_own_is_only_warned_about():
    inputs = {"kube_distribution": "kubeadm", "kube_pod_cidrs": ["10.244.0.0/25"], "kube_network": {"plugin": "none"}}
    plan = planner.cluster_plan(*inventory(inputs=inputs))
    assert plan["refusals"] == [] and described(plan["warnings"]) == ["cidrs.too_small value=10.244.0.0/25 limit=4"]


def test_a_network_of_services_must_fit_whatever_the_plugin():
    inputs = {"kube_service_cidrs": ["10.96.0.0/30"], "kube_network": {"plugin": "none"}}
    found = described(planner.cluster_plan(*inventory(inputs=inputs))["refusals"])
    assert found == ["cidrs.service_size value=10.96.0.0/30 limit=12 to 28"]


def test_a_running_cluster_has_room_for_the_node_that_is_added():
    inputs = {"kube_distribution": "k3s", "kube_pod_cidrs": ["10.244.0.0/23"]}
    hosts, groups = inventory(1, 1, inputs)
    plan = planner.cluster_plan(hosts, groups)
    for host, row in hosts.items():
        row["info"] = applied(row["info"], plan["nodes"][host], plan)
    assert planner.cluster_plan(hosts, groups)["refusals"] == []
    hosts["w-2"] = {"info": machine("w-2", "10.0.0.99"), "inputs": dict(inputs)}
    groups["kube_node"].append("w-2")
    found = described(planner.cluster_plan(hosts, groups)["refusals"])
    assert found == ["cidrs.too_small value=10.244.0.0/23 limit=3"]


def test_nodes_need_an_address_of_the_pods_family():
    inputs = {"kube_pod_cidrs": ["fd00:1::/56"], "kube_service_cidrs": ["fd00:2::/112"]}
    found = described(planner.cluster_plan(*inventory(1, 0, inputs))["refusals"])
    assert found == ["address.other_family node=cp-1 value=10.0.0.11 limit=IPv6"]


def test_the_bridge_has_the_mtu_of_a_narrow_network():
    hosts, groups = inventory(1, 1)
    hosts["w-1"]["info"]["network"]["interfaces"][0]["mtu"] = 1400
    plan = planner.cluster_plan(hosts, groups)
    nodes = plan["nodes"]
    assert described(plan["warnings"]) == ["network.mtus_differ node=w-1 value=1400 limit=1500"]
    templates = {
        host: next(entry["content"] for entry in node["files"]["network"] if entry["path"].endswith("cni.template"))
        for host, node in nodes.items()
    }
    assert '"mtu": 1400' in templates["w-1"] and "mtu" not in templates["cp-1"]
    for row in hosts.values():
        row["inputs"]["kube_network"] = {"plugin": "bridge", "options": {"mtu": 1400}}
    assert planner.cluster_plan(hosts, groups)["warnings"] == []


def test_labels_are_written_as_kubernetes_writes_them():
    hosts, groups = inventory(1, 0, {"kube_node_labels": {"gpu": True, "example.com/empty": None, "zone": 1}})
    labels = planner.cluster_plan(hosts, groups)["objects"]["cp-1"]["labels"]
    assert labels == {"gpu": "true", "example.com/empty": "", "zone": "1"}


@pytest.mark.parametrize(
    ("given", "warned"),
    [
        ({"source": "http://mirror.lan"}, True),
        ({"source": "https://mirror.lan"}, False),
        ({"source": "/srv/mirror"}, False),
        ({"source": "http://mirror.lan", "checksums": {"https://dl.k8s.io/x": "a" * 64}}, False),
    ],
)
def test_a_mirror_that_is_not_encrypted_is_said_once(given, warned):
    plan = planner.cluster_plan(*inventory(1, 1, {"kube_artifacts": given}))
    found = [finding for finding in plan["warnings"] if finding["id"] == "artifacts.not_encrypted"]
    assert described(found) == (["artifacts.not_encrypted value=http://mirror.lan"] if warned else [])


def test_a_mirror_from_which_nothing_is_downloaded_is_not_warned_of():
    hosts, groups = inventory(1, 1, {"kube_artifacts": {"source": "http://mirror.lan"}})
    plan = planner.cluster_plan(hosts, groups)
    done = {
        host: {**hosts[host], "info": applied(hosts[host]["info"], node, plan)} for host, node in plan["nodes"].items()
    }
    assert "artifacts.not_encrypted" not in ids(planner.cluster_plan(done, groups)["warnings"])


def test_the_free_space_of_another_data_directory_is_judged():
    hosts, groups = inventory(1, 1, {"kube_data_dir": "/srv"})
    small = {"mount": "/srv", "free_bytes": 2**30, "total_bytes": 2**34, "kind": "ssd", "read_only": False}
    hosts["w-1"]["info"]["disks"]["/srv/containerd"] = small
    found = planner.cluster_plan(hosts, groups)["warnings"]
    assert [row.rpartition(" limit")[0] for row in described(found)] == ["disk.small node=w-1 value=%d" % 2**30]


def test_windows_workers_are_not_joined_by_the_collection():
    plan = planner.cluster_plan(*inventory(1, 1, {"kube_needs": ["windows_workers"]}))
    assert plan["refusals"] == [] and described(plan["warnings"]) == ["windows.not_joined value=windows_workers"]


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ({"kubelet_config": {"maxPods": 0}}, "kubelet_config.no_pods node=cp-1 value=0"),
        ({"kubelet_config": {"maxPods": 500}}, "kubelet_config.more_pods_than_addresses node=cp-1 value=500 limit=253"),
        ({"kubelet_config": {"reservedSystemCPUs": "0-99"}}, "kubelet_config.no_such_cpu node=cp-1 value=0-99 limit=3"),
        ({"kubelet_config": {"readOnlyPort": 10250}}, "kubelet_config.port node=cp-1 value=10250"),
        ({"kubelet_config": {"port": 10256}}, "kubelet_config.port node=cp-1 value=10256"),
        (
            {"kube_network": {"plugin": "bridge", "options": {"mtu": 9000}}},
            "network.mtu_too_large node=cp-1 value=9000 limit=1500",
        ),
        ({"kube_api_endpoint": {"mode": "vip", "address": "169.254.1.1"}}, "endpoint.not_routed value=169.254.1.1"),
        (
            {"kube_version": "1.35", "kubelet_config": {"featureGates": {"PodIndexLabel": True}}},
            "inputs.feature_gate node=cp-1 value=PodIndexLabel limit=1.35",
        ),
        (
            {"kube_version": "1.37", "kubeadm_cluster_config": {"featureGates": {"PublicKeysECDSA": True}}},
            "inputs.feature_gate node=cp-1 value=PublicKeysECDSA limit=1.37",
        ),
        (
            {"kubeadm_cluster_config": {"certificateValidityPeriod": "1h"}},
            "kubeadm_config.validity value=1h limit=168",
        ),
        (
            {"kubeadm_cluster_config": {"etcd": {"external": {"endpoints": ["https://10.0.9.1"]}}}},
            "kubeadm_config.etcd_port value=https://10.0.9.1",
        ),
        (
            {"kubeadm_cluster_config": {"etcd": {"external": {"endpoints": []}}}},
            "kubeadm_config.no_etcd_endpoints value=kubeadm_cluster_config.etcd.external",
        ),
        (
            {"kube_distribution": "k3s", "k3s_bootstrap_token_ttl": "1s"},
            "k3s_bootstrap_token_ttl.too_short value=1s limit=60",
        ),
        (
            {"kube_distribution": "k3s", "kube_network": {"plugin": "flannel", "options": {"backend": ["vxlan"]}}},
            "network.unknown_backend value=['vxlan'] limit=vxlan, host-gw, wireguard-native",
        ),
    ],
)
def test_values_that_the_cluster_or_the_machine_cannot_have(inputs, expected):
    hosts, groups = inventory(1, 1, inputs)
    plan = planner.cluster_plan(hosts, groups)
    found = described(plan["refusals"] + plan["warnings"])
    assert expected in found, found


def test_two_networks_of_one_family_are_said_once():
    hosts, groups = inventory(1, 1, {"kube_pod_cidrs": ["10.244.0.0/16", "10.245.0.0/16"]})
    assert ids(planner.cluster_plan(hosts, groups)["refusals"]) == ["cidrs.too_many"]


def test_what_the_upgrade_refuses_is_its_own_matter():
    hosts, groups = inventory(
        1, 1, {"kube_version": "1.37", "kubelet_config": {"featureGates": {"MemoryManager": True}}}
    )
    assert ids(planner.cluster_plan(hosts, groups, any_version=True)["refusals"]) == []
    assert "inputs.feature_gate" in ids(planner.cluster_plan(hosts, groups)["refusals"])
