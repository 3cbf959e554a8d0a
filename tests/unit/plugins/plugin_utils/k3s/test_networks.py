# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""K3s with pods of both address families, and networks that cannot change."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.kubewright.cluster.plugins.module_utils.detect import look as detect
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.tests.unit.fixtures.recording import Files
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import inventory, texts

BOTH = {
    "kube_distribution": "k3s",
    "kube_pod_cidrs": ["10.244.0.0/16", "fd10:244::/56"],
    "kube_service_cidrs": ["10.96.0.0/12", "fd10:96::/112"],
}


def hosts_with(inputs, second=True):
    hosts, groups = inventory(3, 1, inputs)
    for number, row in enumerate(hosts.values(), 1):
        if second:
            row["info"]["network"]["interfaces"][-1]["addresses"].append(
                {"address": "fd00::%d" % number, "family": 6, "prefix": 64, "scope": "global"}
            )
    return hosts, groups


def config(plan, host):
    files = {entry["path"]: entry["content"] for entry in plan["nodes"][host]["files"]["k3s"]}
    return yaml.safe_load(files["/etc/rancher/k3s/config.yaml"])


def test_both_families():
    plan = planner.cluster_plan(*hosts_with(BOTH))
    assert plan["refusals"] == []
    made = config(plan, "cp-1")
    assert made["node-ip"] == ["10.0.0.11", "fd00::1"] and made["flannel-ipv6-masq"] is True
    assert made["cluster-cidr"] == BOTH["kube_pod_cidrs"]
    assert config(plan, "w-1")["node-ip"][1] == "fd00::4" and config(plan, "w-1")["server"] == "https://10.0.0.11:6443"
    assert plan["nodes"]["w-1"]["settings"]["sysctls"]["net.ipv6.conf.all.forwarding"] == "1"


def test_addresses_as_requested():
    hosts, groups = hosts_with(BOTH)
    hosts["w-1"]["inputs"]["kube_node_ip"] = "fd00::4, %s" % hosts["w-1"]["info"]["network"]["probe_source"]
    assert config(planner.cluster_plan(hosts, groups), "w-1")["node-ip"][1] == "fd00::4"


def test_a_node_without_the_second_family_is_named():
    refusals = texts(planner.cluster_plan(*hosts_with(BOTH, second=False))["refusals"])
    assert any("w-1" in text and "IPv6" in text for text in refusals), refusals


def test_pods_and_services_have_the_same_families():
    refusals = planner.cluster_plan(*hosts_with({**BOTH, "kube_service_cidrs": ["10.96.0.0/12"]}))["refusals"]
    wanted = "cidrs.families value=IPv4 limit=IPv4 and IPv6"
    assert described(refusals) == [wanted]


CONFIG = """cluster-cidr:
- 10.42.0.0/16
service-cidr: 10.43.0.0/16
cluster-domain: cluster.local
"""


def test_what_a_server_was_started_with_is_read():
    files = {"/etc/rancher/k3s/config.yaml": CONFIG, "/var/lib/rancher/k3s/server/cred/passwd": ""}
    assert detect.look(host=Files(files))["cluster"]["settings"] == {
        "cluster-cidr": ["10.42.0.0/16"], "service-cidr": ["10.43.0.0/16"], "cluster-domain": ["cluster.local"],
    }  # fmt: skip
    files["/etc/rancher/k3s/config.yaml"] += "node-taint:\n  - gpu=yes:NoExecute\n  - 'slow:NoSchedule'\n"
    assert detect.look(host=Files(files))["cluster"]["node_taints"] == ["gpu=yes:NoExecute", "slow:NoSchedule"]


@pytest.mark.parametrize(
    ("inputs", "wanted"),
    [
        ({}, []),
        ({"kube_pod_cidrs": ["10.99.0.0/16"]}, ["inputs.fixed node=cp-1 value=10.99.0.0/16 limit=10.42.0.0/16"]),
        ({"kube_cluster_domain": "other.local"}, ["inputs.fixed node=cp-1 value=other.local limit=cluster.local"]),
    ],
)
def test_networks_and_domain_cannot_change(inputs, wanted):
    given = {
        "kube_distribution": "k3s",
        "kube_pod_cidrs": ["10.42.0.0/16"],
        "kube_service_cidrs": ["10.43.0.0/16"],
        **inputs,
    }
    hosts, groups = inventory(1, 0, given)
    hosts["cp-1"]["info"]["cluster"] = {
        "kind": "k3s", "foreign": False, "ca_sha256": "ca", "role": "control_plane", "kubelet_conf": True,
        "manifests": [], "etcd_data": True, "datastore": "sqlite", "live": None, "cni_conf": [],
        "settings": {"cluster-cidr": ["10.42.0.0/16"], "cluster-domain": ["cluster.local"]},
    }  # fmt: skip
    refusals = planner.cluster_plan(hosts, groups)["refusals"]
    assert described([row for row in refusals if row["id"] == "inputs.fixed"]) == wanted


def on_second_network(*given, number=1):
    """Facts of a network: NAT on eth0 with the default route, these addresses on eth1."""

    def row(name, *texts):
        rows = [
            {"address": text, "prefix": 64 if ":" in text else 24, "family": 6 if ":" in text else 4, "scope": "global"}
            for text in texts
        ]
        return {"name": name, "up": True, "mtu": 1500, "addresses": rows}

    return {
        "interfaces": [row("eth0", "10.0.2.1%d" % number), row("eth1", *given)],
        "routes": [{"dst": "default", "via": "10.0.2.2", "dev": "eth0"}],
        "default_ipv4": {"address": "10.0.2.1%d" % number, "interface": "eth0", "gateway": "10.0.2.2"},
        "default_ipv6": None,
        "probe_source": next(text for text in reversed(given) if ":" not in text),
    }


def test_flannel_uses_the_interface_of_the_nodes_address():
    hosts, groups = inventory(1, 1, {"kube_distribution": "k3s"})
    assert "flannel-iface" not in config(planner.cluster_plan(hosts, groups), "w-1")
    for number, row in enumerate(hosts.values(), 1):
        row["info"]["network"] = on_second_network("192.168.56.1%d" % number, number=number)
    plan = planner.cluster_plan(hosts, groups)
    assert plan["refusals"] == []
    for host in hosts:
        made = config(plan, host)
        assert made["flannel-iface"] == "eth1" and made["node-ip"].startswith("192.168.56.")
    for row in hosts.values():
        row["inputs"]["kube_network"] = {"plugin": "none"}
    assert "flannel-iface" not in config(planner.cluster_plan(hosts, groups), "w-1")


def test_flannel_uses_the_first_address_of_an_interface():
    hosts, groups = inventory(1, 0, {"kube_distribution": "k3s"})
    hosts["cp-1"]["info"]["network"] = on_second_network("192.168.56.10", "192.168.56.11")
    found = described(planner.cluster_plan(hosts, groups)["refusals"])
    assert found == ["flannel.other_address node=cp-1 value=192.168.56.11 limit=192.168.56.10"]
    hosts["cp-1"]["inputs"]["k3s_config"] = {"flannel-iface": "eth1"}
    plan = planner.cluster_plan(hosts, groups)
    assert plan["refusals"] == [] and config(plan, "cp-1")["flannel-iface"] == "eth1"


def test_flannel_uses_one_interface_for_both_families():
    hosts, groups = inventory(1, 0, {**BOTH, "kube_node_ip": "10.0.2.11, fd00::1"})
    hosts["cp-1"]["info"]["network"] = on_second_network("192.168.56.10", "fd00::1")
    found = described(planner.cluster_plan(hosts, groups)["refusals"])
    assert found == ["flannel.two_interfaces node=cp-1 value=['eth0', 'eth1']"]
