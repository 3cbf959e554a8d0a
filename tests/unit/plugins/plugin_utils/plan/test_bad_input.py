# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input: one message that names every problem, before anything is changed."""

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


def refusals(hosts, groups):
    """Return "id node=... value=... limit=..." of each refusal."""
    return described(planner.cluster_plan(hosts, groups)["refusals"])


def with_inputs(**inputs):
    return inventory(inputs=inputs)


INPUTS = [
    ({"kube_verson": "1.36"}, "inputs.unknown value=kube_verson"),
    ({"kube_version": "1.33"}, "version.too_old value=1.33 limit=1.34"),
    ({"kube_version": 1.4}, "version.too_old value=1.4 limit=1.34"),
    ({"kube_version": "1.99"}, "version.unknown value=1.99 limit=1.37"),
    ({"kube_version": "latest"}, "inputs.format value=kube_version"),
    ({"kube_pod_cidrs": ["10.244.0.0"]}, "inputs.format value=kube_pod_cidrs[0]"),
    ({"kube_pod_cidrs": ["10.244.0.5/16"]}, "inputs.format value=kube_pod_cidrs[0]"),
    ({"kube_pod_cidrs": ["pods"]}, "inputs.format value=kube_pod_cidrs[0]"),
    ({"kube_pod_cidrs": []}, "cidrs.empty"),
    ({"kube_pod_cidrs": ["10.1.0.0/16", "10.2.0.0/16"]}, "cidrs.too_many value=10.1.0.0/16, 10.2.0.0/16"),
    ({"kube_pod_cidrs": ["10.96.0.0/16"]}, "cidrs.overlap value=10.96.0.0/16 limit=10.96.0.0/12"),
    ({"kube_pod_cidrs": ["10.0.0.0/16"]}, "cidrs.used_by_host node=cp-1 value=10.0.0.0/16 limit=10.0.0.0/24"),
    ({"kube_service_cidrs": ["10.0.0.0/20"]}, "cidrs.used_by_host node=cp-1 value=10.0.0.0/20 limit=10.0.0.0/24"),
    ({"kube_distribution": "kubespray"}, 'inputs.choice value="kubespray" limit=auto, kubeadm, k3s'),
    ({"kube_api_endpoint": {"mode": "vip"}}, "endpoint.no_address value=vip"),
    ({"kube_api_endpoint": {"mode": "vip", "address": "api.example"}}, "endpoint.not_an_ip_address value=api.example"),
    ({"kube_api_endpoint": {"address": "10.0.0.11"}}, "endpoint.address_of_node value=10.0.0.11"),
    ({"kube_api_endpoint": {"mode": "none"}}, "endpoint.none_with_several value=3 limit=1"),
    (
        {"kube_api_endpoint": {"mode": "external", "address": "127.0.0.1"}},
        "endpoint.own_address value=127.0.0.1 limit=6443",
    ),
    (
        {"kube_api_endpoint": {"mode": "external", "address": "localhost", "port": 6443}},
        "endpoint.own_address value=localhost limit=6443",
    ),
    ({"kube_api_endpoint": {"mode": "local", "port": 6443}}, "endpoint.port_of_api value=6443"),
    ({"kube_api_endpoint": {"adress": "10.0.0.9"}}, "inputs.unknown value=kube_api_endpoint.adress"),
    (
        {"kube_api_endpoint": {"mode": "vip", "address": "192.168.9.9"}},
        "endpoint.no_interface node=cp-1 value=192.168.9.9 limit=10.0.0.0/24 on eth0",
    ),
    ({"kube_api_port": "https"}, 'inputs.type value="https" limit=int'),
    ({"kube_api_port": 6443.5}, "inputs.type value=6443.5 limit=int"),
    ({"kube_allow_cgroup_v1": "perhaps"}, 'inputs.type value="perhaps" limit=bool'),
    ({"kube_network": "bridge"}, 'inputs.type value="bridge" limit=dict'),
    # What an INI inventory hands on as text.
    (
        {"kube_network": "{plugin: kube-router}"},
        'inputs.type value="{plugin: kube-router}" limit=dict',
    ),
    ({"kube_pod_cidrs": "[10.20.0.0/16]"}, 'inputs.type value="[10.20.0.0/16]" limit=list'),
    (
        {"kube_network": {"plugin": "weave"}},
        'inputs.choice value="weave" limit=auto, bridge, kube-router, flannel, none',
    ),
    ({"kube_network": {"plugin": "bridge", "options": {"speed": 1}}}, "network.unknown_option value=speed limit=mtu"),
    ({"kube_workers_at_once": "0"}, "inputs.format value=kube_workers_at_once"),
    ({"kube_workers_at_once": "120%"}, "inputs.format value=kube_workers_at_once"),
    ({"kube_node_ip": "10.9.9.9"}, "address.not_on_host node=cp-1 value=10.9.9.9 limit=10.0.0.11 on eth0"),
    ({"kube_node_ip": "eth7"}, "address.not_on_host node=cp-1 value=eth7 limit=10.0.0.11 on eth0"),
    ({"kube_node_taints": ["gpu"]}, "inputs.format value=kube_node_taints[0]"),
    ({"kube_node_labels": {"a b": "c"}}, "inputs.format value=kube_node_labels"),
    ({"kube_manifests": [{"name": "x"}]}, "manifests.content_or_src value=x"),
    ({"kube_manifests": [{"content": "x"}]}, "inputs.missing value=kube_manifests[0].name"),
    (
        {"kubelet_config": {"clusterDomain": "x"}},
        "inputs.owned_key value=kubelet_config.clusterDomain",
    ),
    ({"kubelet_config": {"kind": "x"}}, "inputs.owned_key value=kubelet_config.kind"),
    (
        {"kubeadm_proxy_config": {"apiVersion": "v1"}},
        "inputs.owned_key value=kubeadm_proxy_config.apiVersion",
    ),
    (
        {"kubeadm_cluster_config": {"networking": {"podSubnet": "x"}}},
        "inputs.owned_key value=kubeadm_cluster_config.networking.podSubnet",
    ),
    ({"kube_registries": {"mirrors": {"docker.io": {"endpoints": ["mirror"]}}}}, "registries.not_a_url value=mirror"),
    (
        {"kube_registries": {"configs": {"r.example": {"password": "x"}}}},
        "registries.no_username value=kube_registries.configs[r.example]",
    ),
    (
        {"kube_needs": ["network_policy"], "kube_network": {"plugin": "bridge"}},
        "network.policy_not_enforced value=bridge",
    ),
    (
        {"kube_needs": ["external_database"], "kube_distribution": "kubeadm"},
        "needs.unmet value=external_database limit=k3s",
    ),
    (
        {"kube_network": {"plugin": "flannel"}},
        "network_plugin.unsupported value=flannel limit=auto, bridge, kube-router, none",
    ),
    ({"kube_needs": ["air_gap"]}, "air_gap.upstream node=cp-1 value=upstream"),
    ({"kube_needs": ["air_gap"]}, "air_gap.no_mirror node=cp-1 value=registry.k8s.io"),
]


@pytest.mark.parametrize(("inputs", "message"), INPUTS)
def test_inputs(inputs, message):
    found = refusals(*with_inputs(**inputs))
    assert message in found, found


K3S = [
    ({"kube_needs": ["external_database"]}, "datastore.no_endpoint"),
    ({"k3s_datastore_endpoint": "postgres://u:p@db:5432/k"}, "datastore.unused_endpoint"),
    (
        {"k3s_disable": ["ingress"]},
        "k3s_disable.unknown value=ingress limit=coredns, local-storage, metrics-server, runtimes, servicelb, traefik",
    ),
    (
        {"k3s_config": {"write-kubeconfig-mod": "0644"}},
        "k3s_config.unknown_key value=write-kubeconfig-mod limit=write-kubeconfig-mode",
    ),
    ({"k3s_config": {"token": "x"}}, "inputs.owned_key value=k3s_config.token"),
    ({"k3s_config": {"cluster-cidr": "10.1.0.0/16"}}, "inputs.owned_key value=k3s_config.cluster-cidr"),
    ({"k3s_config": {"etcd-snapshot-retention": "many"}}, "k3s_config.value value='many' limit=a whole number"),
    (
        {"k3s_config": {"write-kubeconfig-mode": 420}},
        'k3s_config.value value=420 limit=a file mode in quotes such as "0600"',
    ),
    ({"k3s_config": ["debug"]}, "inputs.type value=a list limit=dict"),
    ({"k3s_disabel": ["traefik"]}, "inputs.unknown value=k3s_disabel"),
    ({"k3s_secrets_encryption": "perhaps"}, 'inputs.type value="perhaps" limit=bool'),
    ({"kube_network": {"plugin": "bridge"}}, "network_plugin.unsupported value=bridge limit=auto, flannel, none"),
    (
        {"kube_network": {"plugin": "kube-router"}},
        "network_plugin.unsupported value=kube-router limit=auto, flannel, none",
    ),
    (
        {"kube_network": {"plugin": "flannel", "options": {"mtu": 1400}}},
        "network.unknown_option value=mtu limit=backend",
    ),
    ({"kube_needs": ["windows_workers"]}, "needs.unmet value=windows_workers limit=kubeadm"),
]


@pytest.mark.parametrize(("inputs", "message"), K3S)
def test_inputs_of_k3s(inputs, message):
    found = refusals(*with_inputs(kube_distribution="k3s", **inputs))
    assert message in found, found


K3S_MACHINES = [
    ({"cgroup__controllers": ["cpu", "cpuset", "pids"]}, "memory_cgroup.off node=cp-1"),
    (
        {"ports": [{"port": 6444, "protocol": "tcp", "address": "::", "process": "nginx"}]},
        "port.used node=cp-1 value=6444 limit=nginx",
    ),
    (
        {"architecture": {"name": "riscv64", "raw": "riscv64", "bits": 64}},
        "distribution.impossible node=cp-1 value=riscv64 limit=amd64, arm64, arm",
    ),
    (
        {"architecture": {"name": None, "raw": "armv6l", "bits": 32}},
        "distribution.impossible node=cp-1 value=armv6l limit=amd64, arm64, arm",
    ),
    ({"cgroup__controllers": ["memory", "cpu"]}, "cgroup.controller_missing node=cp-1 value=cpuset, pids"),
    ({"hostname": "localhost.localdomain"}, "node_name.not_own node=cp-1 value=localhost.localdomain"),
    (
        {"clock": {"epoch": 1.0, "offset_seconds": -1.7e9, "synchronised": False}},
        "clock.wrong value=-1700000000 limit=86400",
    ),
    (
        {"cluster": {"kind": "kubeadm", "foreign": False, "kubelet_conf": True}},
        "distribution.fixed value=k3s limit=kubeadm",
    ),
    (
        {"cluster": {"kind": "k3s", "foreign": True, "made_by": "k3s-ansible", "role": "control_plane"}},
        "member.foreign node=cp-1 value=k3s-ansible",
    ),
    ({"cgroup__version": "v1"}, "cgroup.v1 node=cp-1 value=v1 limit=1.35"),
]


@pytest.mark.parametrize(("changes", "message"), K3S_MACHINES)
def test_machines_of_k3s(changes, message):
    found = refusals(*inventory(inputs={"kube_version": "1.36", "kube_distribution": "k3s"}, **changes))
    assert message in found, found


MACHINES = [
    ({"memory": GIB}, "memory.too_small node=cp-1 value=1073741824 limit=1782579200"),
    ({"cpus": 1}, "cpus.too_few node=cp-1 value=1 limit=2"),
    ({"cgroup__version": "v1"}, "cgroup.v1 node=cp-1 value=v1 limit=1.35"),
    ({"cgroup__controllers": ["cpu", "cpuset", "pids"]}, "memory_cgroup.off node=cp-1"),
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
        "disk.full node=cp-1 value=36507222016 limit=15%",
    ),
    ({"init": "openrc"}, "init.unsupported node=cp-1 value=openrc limit=systemd"),
    ({"init": "other"}, "init.unsupported node=cp-1 value=other limit=systemd"),
    (
        {"architecture": {"name": "arm", "raw": "armv7l", "bits": 32}},
        "architecture.unsupported node=cp-1 value=arm limit=amd64, arm64, ppc64le, s390x",
    ),
    ({"kernel__modules": {"overlay": "missing"}}, "kernel.module_missing node=cp-1 value=overlay"),
    (
        {"ports": [{"port": 6443, "protocol": "tcp", "address": "::", "process": "nginx"}]},
        "port.used node=cp-1 value=6443 limit=nginx",
    ),
    (
        {"ports": [{"port": 7443, "protocol": "tcp", "address": "::", "process": None}]},
        "port.used node=cp-1 value=7443",
    ),
    ({"disks": {"/var/lib/etcd": {"mount": "/", "read_only": True}}}, "disk.read_only node=cp-1 value=/var/lib/etcd"),
    ({"machine_id": "0123"}, "machine_id.not_unique node=cp-1 value=0123"),
    ({"hostname": "localhost"}, "node_name.not_own node=cp-1 value=localhost"),
    ({"hostname": "bad_name"}, "node_name.invalid node=cp-1 value=bad_name"),
    ({"cluster": {"kind": "k3s"}}, "distribution.fixed value=kubeadm limit=k3s"),
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
        "member.foreign node=cp-1 value=Kubespray",
    ),
]


@pytest.mark.parametrize(("changes", "message"), MACHINES)
def test_machines(changes, message):
    found = refusals(*inventory(inputs={"kube_version": "1.36", "kube_distribution": "kubeadm"}, **changes))
    assert message in found, found


@pytest.mark.parametrize(
    ("wanted", "found"), [("1.36.9", ["version.unknown_patch value=1.36.9 limit=1.36.3"]), ("1.36.1", [])]
)
def test_a_patch_that_may_not_exist(wanted, found):
    plan = planner.cluster_plan(*inventory(1, 0, {"kube_version": wanted}))
    assert plan["refusals"] == [] and described(plan["warnings"]) == found


def test_no_control_plane():
    assert refusals({"w": {"info": machine()}}, {"kube_node": ["w"]}) == ["control_planes.none"]


def test_empty_inventory():
    assert refusals({}, {}) == ["control_planes.none"]


def test_two_control_planes():
    assert "control_planes.two value=2" in refusals(*inventory(control_planes=2))


def test_four_control_planes_get_a_warning():
    plan = planner.cluster_plan(*inventory(control_planes=4))
    assert plan["refusals"] == [] and "control_planes.even value=4" in described(plan["warnings"])


def test_high_availability_with_one():
    found = refusals(*inventory(control_planes=1, inputs={"kube_needs": ["high_availability"]}))
    assert "control_planes.too_few value=1 limit=3" in found


def test_unreachable():
    hosts, groups = inventory()
    hosts["w-1"] = {"info": None, "error": "cannot be reached: timed out", "inputs": {}}
    (found,) = planner.cluster_plan(hosts, groups)["refusals"]
    assert ids([found]) == ["look.failed"] and found["text"] == "w-1: cannot be reached: timed out"


def test_clocks():
    hosts, groups = inventory()
    hosts["cp-2"]["info"]["clock"]["offset_seconds"] = 61.0
    assert "clock.differs node=cp-2 value=61 limit=30.0" in refusals(hosts, groups)


def test_differing_inputs():
    hosts, groups = inventory()
    hosts["cp-2"]["inputs"]["kube_cluster_domain"] = "other.local"
    assert refusals(hosts, groups) == ["inputs.differ value=kube_cluster_domain"]


def test_differing_secrets_are_not_shown():
    hosts, groups = inventory(inputs={"kube_distribution": "k3s"})
    hosts["cp-2"]["inputs"]["k3s_token"] = "topsecret"
    hosts["cp-2"]["inputs"]["kube_http_proxy"] = {"http": "http://user:topsecret@proxy:3128"}
    assert "topsecret" not in str(planner.cluster_plan(hosts, groups)["refusals"])


def test_two_clusters():
    hosts, groups = inventory()
    for number, host in enumerate(hosts):
        hosts[host]["info"]["cluster"].update(
            kubelet_conf=True, ca_sha256=str(number // 3), kind="kubeadm", role="control_plane"
        )
    assert "member.other_cluster node=w-1" in refusals(hosts, groups)


def test_a_control_plane_among_the_workers():
    hosts, groups = inventory(1, 1)
    manifests = ["kube-apiserver.yaml"]
    for row in hosts.values():
        row["info"]["cluster"].update(
            kubelet_conf=True, ca_sha256="0", kind="kubeadm", role="control_plane", manifests=manifests
        )
    assert "member.wrong_role node=w-1 value=control_plane limit=worker" in refusals(hosts, groups)


def test_different_networks_under_the_bridge():
    hosts, groups = inventory(inputs={"kube_network": {"plugin": "bridge"}})
    hosts["w-1"]["info"] = machine("w-1", "10.7.0.14")
    assert "network.several_layer2_networks value=2 limit=1" in refusals(hosts, groups)


def test_no_address_at_all():
    hosts, groups = inventory()
    hosts["w-1"]["info"]["network"].update(interfaces=[], probe_source=None, default_ipv4=None)
    assert "address.missing node=w-1" in refusals(hosts, groups)


def test_everything_wrong_is_said_at_once():
    """An unreachable host, a misspelt name, overlapping networks, a full disk: one run names them all."""
    wrong = {"kube_cluster_domian": "x", "kube_api_port": "y", "kube_pod_cidrs": ["10.96.0.0/16"]}
    hosts, groups = inventory(control_planes=2, inputs=wrong)
    hosts["w-1"] = {"info": None, "error": "cannot be reached", "inputs": {}}
    hosts["cp-2"]["info"]["kernel"]["modules"] = {"overlay": "missing"}
    found = refusals(hosts, groups)
    for part in (
        "inputs.unknown value=kube_cluster_domian",
        'inputs.type value="y" limit=int',
        "look.failed node=w-1",
        "control_planes.two value=2",
        "cidrs.overlap value=10.96.0.0/16 limit=10.96.0.0/12",
        "kernel.module_missing node=cp-2 value=overlay",
    ):
        assert part in found


WRONG = {"kube_verson": "1", "kube_version": "1.30", "kube_pod_cidrs": ["10.96.0.0/16"]}
SAID = [
    "inputs.unknown value=kube_verson",
    "version.too_old value=1.30 limit=1.34",
    "cidrs.overlap value=10.96.0.0/16 limit=10.96.0.0/12",
]


@pytest.mark.parametrize("kind", ["auto", "kubeadm", "k3s"])
@pytest.mark.parametrize("unknown", [["cp-1"], ["w-1"], ["cp-1", "w-1", "w-2"]])
@pytest.mark.parametrize("unreadable", [False, True])
def test_hosts_that_are_unreachable_or_unreadable_hide_nothing(kind, unknown, unreadable):
    hosts, groups = inventory(1, 2, {**WRONG, "kube_distribution": kind})
    hosts["w-2"]["info"]["kernel"]["modules"]["overlay"] = "missing"
    for host in unknown:
        if unreadable:
            hosts[host]["info"]["failed_parts"] = {"cluster": "no answer"}
        else:
            hosts[host].update(info=None, error="cannot be reached")
    found = refusals(hosts, groups)
    look = "look.part_failed node=%s value=cluster" if unreadable else "look.failed node=%s"
    module = [] if "w-2" in unknown else ["kernel.module_missing node=w-2 value=overlay"]
    assert sorted(found) == sorted([*SAID, *module, *(look % host for host in unknown)])


@pytest.mark.parametrize("kind", ["kubeadm", "k3s"])
def test_a_running_cluster_without_its_control_plane_is_not_judged_as_a_new_one(kind):
    hosts, groups = inventory(1, 2, {"kube_distribution": kind})
    plan = planner.cluster_plan(hosts, groups)
    for host, row in hosts.items():
        row["info"] = applied(row["info"], plan["nodes"][host], plan)
        row["info"]["ports"] = [{"port": 10250, "protocol": "tcp", "address": "::", "process": "kubelet"}]
    hosts["cp-1"].update(info=None, error="cannot be reached")
    assert refusals(hosts, groups) == ["look.failed node=cp-1"]


def test_what_depends_on_missing_facts_is_not_said():
    """With a control plane missing, nobody knows what the cluster is: a worker of it is not called a stranger."""
    hosts, groups = inventory()
    hosts["w-1"]["info"]["cluster"].update(kubelet_conf=True, ca_sha256="0", kind="kubeadm", role="worker")
    hosts["cp-1"] = {"info": None, "error": "cannot be reached", "inputs": {}}
    assert refusals(hosts, groups) == ["look.failed node=cp-1"]


@pytest.mark.parametrize("kind", ["kubeadm", "k3s"])
def test_unknown_memory_and_cpus_are_no_reason_to_refuse(kind):
    hosts, groups = inventory(inputs={"kube_distribution": kind}, memory=None, cpus=None)
    plan = planner.cluster_plan(hosts, groups)
    assert plan["refusals"] == [] and plan["nodes"]["w-1"]["capacity"]["allocatable"]["memory_bytes"] is None
