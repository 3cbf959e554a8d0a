# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kubeadm clusters whose pods have IPv6, or both families: everything on a node follows."""

from __future__ import annotations

import json
import re

import pytest
import yaml
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import applied, inventory

FOUR = {"kube_pod_cidrs": ["10.244.0.0/16"], "kube_service_cidrs": ["10.96.0.0/16"]}
SIX = {"kube_pod_cidrs": ["fd42:244::/56"], "kube_service_cidrs": ["fd42:96::/112"]}
BOTH = {name: FOUR[name] + SIX[name] for name in FOUR}
SIX_FIRST = {name: SIX[name] + FOUR[name] for name in FOUR}


def hosts_with(inputs, families=(4, 6)):
    hosts, groups = inventory(3, 1, {"kube_distribution": "kubeadm", **inputs})
    for number, row in enumerate(hosts.values(), 1):
        network = row["info"]["network"]
        own = network["interfaces"][0]["addresses"]
        own.append({"address": "fd00:1::%d" % number, "family": 6, "prefix": 64, "scope": "global"})
        network["interfaces"][0]["addresses"] = [entry for entry in own if entry["family"] in families]
        if 4 not in families:
            network.update(default_ipv4=None, probe_source="fd00:1::%d" % number, routes=[])
        if 6 in families:
            gateway = {"interface": "eth0", "gateway": "fe80::1"}
            network["default_ipv6"] = {"address": "fd00:1::%d" % number, **gateway}
    return hosts, groups


def plan_of(inputs, families=(4, 6)):
    hosts, groups = hosts_with(inputs, families)
    plan = planner.cluster_plan(hosts, groups)
    assert plan["refusals"] == [], plan["refusals"]
    return plan, hosts, groups


def content(plan, host, end):
    files = [entry for part in plan["nodes"][host]["files"].values() for entry in part]
    return next(entry["content"] for entry in files if entry["path"].endswith(end))


def documents(plan, host):
    made = plan["nodes"][host]["kubeadm"]
    text = made.get("init") or made["join"]
    return {row["kind"]: row for row in yaml.safe_load_all(text)}


def rendered(template, cidrs):
    """The CNI configuration that containerd makes of a template."""

    def ranges(match):
        rows = (
            cidrs if match.group(1) == "PodCIDRRanges" else ["::/0" if ":" in cidr else "0.0.0.0/0" for cidr in cidrs]
        )
        return ", ".join(re.sub(r"\{\{\$\w+\}\}", row, match.group(2)) for row in rows)

    loop = r"\{\{range \$i, \$\w+ := \.(\w+)\}\}\{\{if \$i\}\}, \{\{end\}\}(.*?)\{\{end\}\}"
    return json.loads(re.sub(loop, ranges, template))


CASES = [
    (BOTH, (4, 6), "10.0.0.11", "10.0.0.11,fd00:1::1"),
    (SIX_FIRST, (4, 6), "fd00:1::1", "fd00:1::1,10.0.0.11"),
    (SIX, (6,), "fd00:1::1", "fd00:1::1"),
    (SIX, (4, 6), "fd00:1::1", "fd00:1::1"),
]


@pytest.mark.parametrize(("inputs", "families", "primary", "node_ip"), CASES)
def test_kubeadm(inputs, families, primary, node_ip):
    plan, _hosts, _groups = plan_of(inputs, families)
    made = documents(plan, "cp-1")
    assert made["InitConfiguration"]["localAPIEndpoint"]["advertiseAddress"] == primary
    arguments = made["InitConfiguration"]["nodeRegistration"]["kubeletExtraArgs"]
    assert arguments == [{"name": "node-ip", "value": node_ip}]
    networking = made["ClusterConfiguration"]["networking"]
    assert networking["podSubnet"] == ",".join(inputs["kube_pod_cidrs"])
    assert networking["serviceSubnet"] == ",".join(inputs["kube_service_cidrs"])
    assert made["KubeProxyConfiguration"]["clusterCIDR"] == ",".join(inputs["kube_pod_cidrs"])
    assert {"127.0.0.1", "localhost"} <= set(made["ClusterConfiguration"]["apiServer"]["certSANs"])
    assert documents(plan, "w-1")["JoinConfiguration"]["nodeRegistration"]["kubeletExtraArgs"][0]["value"].count(
        ","
    ) == node_ip.count(",")
    sysctls = plan["nodes"]["w-1"]["settings"]["sysctls"]
    assert sysctls["net.ipv6.conf.all.forwarding"] == sysctls["net.ipv6.conf.default.forwarding"] == "1"
    assert sysctls["net.bridge.bridge-nf-call-ip6tables"] == "1"


@pytest.mark.parametrize(("inputs", "families", "primary", "node_ip"), CASES)
def test_haproxy(inputs, families, primary, node_ip):
    plan, _hosts, _groups = plan_of(inputs, families)
    place = "[%s]:6443" % primary if ":" in primary else primary + ":6443"
    text = content(plan, "w-1", "haproxy.cfg")
    assert "bind 127.0.0.1:7443\n" in text and "  server cp-1 %s check " % place in text
    address = "fd00:1::99" if ":" in primary else "10.0.0.99"
    plan, _hosts, _groups = plan_of({**inputs, "kube_api_endpoint": {"address": address}}, families)
    six = ":" in primary
    assert ("bind :::7443 v4v6\n" if six else "bind *:7443\n") in content(plan, "cp-1", "haproxy.cfg")
    assert documents(plan, "cp-1")["ClusterConfiguration"]["controlPlaneEndpoint"] == (
        "[fd00:1::99]:7443" if six else "10.0.0.99:7443"
    )
    # No connection may begin at an IPv6 address that moves.
    held = "%s/128 dev eth0 preferred_lft 0" if six else "%s/24 dev eth0"
    assert "    %s\n" % (held % address) in content(plan, "cp-1", "keepalived.conf")


@pytest.mark.parametrize(("inputs", "families", "primary", "node_ip"), CASES)
def test_bridge(inputs, families, primary, node_ip):
    plan, _hosts, _groups = plan_of(inputs, families)
    assert plan["plugin"] == "bridge"
    cidrs = [cidr.replace("/16", "/24").replace("/56", "/64") for cidr in inputs["kube_pod_cidrs"]]
    ipam = rendered(content(plan, "cp-1", "cni.template"), cidrs)["plugins"][0]["ipam"]
    assert ipam["ranges"] == [[{"subnet": cidr}] for cidr in cidrs]
    assert ipam["routes"] == [{"dst": "::/0" if ":" in cidr else "0.0.0.0/0"} for cidr in cidrs]
    unit = content(plan, "cp-1", "kube-bridge.service")
    assert "routes.py %s %s\n" % (node_ip, ",".join(inputs["kube_pod_cidrs"])) in unit
    tables = content(plan, "cp-1", "masquerade.nft")
    for cidr in inputs["kube_pod_cidrs"]:
        family = "ip6" if ":" in cidr else "ip"
        assert "%s saddr %s %s daddr != %s oifname" % (family, cidr, family, cidr) in tables
    assert tables.count("type nat hook postrouting") == len(cidrs)


@pytest.mark.parametrize(("inputs", "families", "primary", "node_ip"), [*CASES, (FOUR, (4,), "", "")])
def test_kube_router(inputs, families, primary, node_ip):
    plan, _hosts, _groups = plan_of({**inputs, "kube_needs": ["network_policy"]}, families)
    assert plan["plugin"] == "kube-router"
    (manifest,) = (row["content"] for row in plan["manifests"] if row["name"] == "kubewright-network")
    daemon_set = next(row for row in yaml.safe_load_all(manifest) if row["kind"] == "DaemonSet")
    arguments = daemon_set["spec"]["template"]["spec"]["containers"][0]["args"]
    assert "--service-cluster-ip-range=" + ",".join(inputs["kube_service_cidrs"]) in arguments
    versions = {":" in cidr for cidr in inputs["kube_pod_cidrs"]}
    assert ("--enable-ipv6=true" in arguments) == (True in versions)
    assert ("--enable-ipv4=false" in arguments) == (False not in versions)
    assert ("--router-id=generate" in arguments) == (":" in inputs["kube_pod_cidrs"][0])
    assert "--overlay-type=full" not in arguments


@pytest.mark.parametrize(("inputs", "families", "primary", "node_ip"), CASES)
def test_a_second_run_changes_nothing(inputs, families, primary, node_ip):
    plan, hosts, groups = plan_of(inputs, families)
    for host, row in hosts.items():
        row["info"] = applied(row["info"], plan["nodes"][host], plan)
    again = planner.cluster_plan(hosts, groups)
    assert again["refusals"] == [] and {host: node["steps"] for host, node in again["nodes"].items()} == dict.fromkeys(
        hosts, {}
    )


def test_a_virtual_address_is_of_the_nodes_family():
    hosts, groups = hosts_with({**BOTH, "kube_api_endpoint": {"address": "fd00:1::99"}})
    found = planner.cluster_plan(hosts, groups)["refusals"]
    assert described(found)[0] == "endpoint.family node=cp-1 value=fd00:1::99 limit=10.0.0.11"


def test_only_other_control_planes_are_believed_about_the_virtual_address():
    plan, _hosts, _groups = plan_of({**FOUR, "kube_api_endpoint": {"address": "10.0.0.99"}}, (4,))
    text = content(plan, "cp-1", "keepalived.conf")
    assert "  vrrp_check_unicast_src\n" in text and "  unicast_peer {\n    10.0.0.12\n    10.0.0.13\n  }" in text


def test_nodes_behind_a_vpn_get_kube_router_with_tunnels():
    """Every node has an address in one network of a VPN, which forwards to these addresses only."""
    hosts, groups = inventory(1, 1, {"kube_distribution": "kubeadm", **FOUR})
    for row in hosts.values():
        row["info"]["network"]["interfaces"][0].update(name="wg0", link="none", mtu=1420)
    plan = planner.cluster_plan(hosts, groups)
    assert plan["refusals"] == [] and plan["plugin"] == "kube-router"
    assert "--overlay-type=full" in plan["manifests"][0]["content"]
    for row in hosts.values():
        row["inputs"]["kube_network"] = {"plugin": "bridge"}
    assert [row["id"] for row in planner.cluster_plan(hosts, groups)["refusals"]] == ["network.several_layer2_networks"]


def test_a_default_route_by_router_advertisement_is_kept():
    hosts, groups = hosts_with(BOTH)
    for host, value in (("cp-1", "1"), ("cp-2", "0"), ("w-1", "2")):
        hosts[host]["info"]["kernel"]["sysctls"]["net/ipv6/conf/eth0.100/accept_ra"] = value
    nodes = planner.cluster_plan(hosts, groups)["nodes"]
    found = {host: node["settings"]["sysctls"].get("net/ipv6/conf/eth0.100/accept_ra") for host, node in nodes.items()}
    assert found == {"cp-1": "2", "cp-2": None, "cp-3": None, "w-1": "2"}


def test_kube_router_needs_a_default_route_to_the_services():
    hosts, groups = hosts_with({**SIX, "kube_network": {"plugin": "kube-router"}}, (6,))
    hosts["w-1"]["info"]["network"]["default_ipv6"] = None
    assert described(planner.cluster_plan(hosts, groups)["refusals"]) == ["network.no_route_to_services node=w-1"]
