# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which addresses nodes have: several networks, VPNs, NAT, both families, members."""

from __future__ import annotations

import copy
import json
import os
import pathlib
import subprocess
import sys

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.network import addresses, node_addresses
from ansible_collections.kubewright.cluster.plugins.plugin_utils.network.node_addresses import Request
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described, ids
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import applied, inventory, machine

BOTH = {
    "kube_pod_cidrs": ["10.244.0.0/16", "fd42:244::/56"],
    "kube_service_cidrs": ["10.96.0.0/16", "fd42:96::/112"],
}
SIX = {"kube_pod_cidrs": ["fd42:244::/56"], "kube_service_cidrs": ["fd42:96::/112"]}


def interface(name, *given, up=True, mtu=1500, link="ether"):
    """An interface with addresses "address/prefix", each perhaps with " temporary" or another flag after it."""
    rows = []
    for text in given:
        place, _blank, unstable = text.partition(" ")
        address, _slash, prefix = place.partition("/")
        row = {"address": address, "prefix": int(prefix), "family": 6 if ":" in address else 4, "scope": "global"}
        rows.append({**row, "unstable": unstable} if unstable else row)
    return {"name": name, "up": up, "mtu": mtu, "link": link, "addresses": rows}


def facts(*interfaces, sources=None, default=None, routes=()):
    """The network part of a host's facts. default: (address, interface) of its default route."""
    by_family = {4: None, 6: None}
    if default:
        by_family[6 if ":" in default[0] else 4] = {"address": default[0], "interface": default[1], "gateway": None}
    return {
        "interfaces": list(interfaces),
        "routes": list(routes),
        "default_ipv4": by_family[4],
        "default_ipv6": by_family[6],
        "sources": sources or {},
        "probe_source": next(iter(sources or {}), None),
    }


def hosts_with(networks, inputs=None, control_planes=1):
    """(hosts, groups) of machines with these networks, by host."""
    hosts = {
        host: {"info": machine(host, network=network), "inputs": dict(inputs or {})}
        for host, network in networks.items()
    }
    names = list(networks)
    return hosts, {"kube_control_plane": names[:control_planes], "kube_node": names[control_planes:]}


def chosen(network, wanted="", families=(4,), **more):
    found, problems = node_addresses.choose(Request("n", wanted, network, **more), families)
    return [one.address for one in found], ids(problems)


VAGRANT = facts(
    interface("eth0", "10.0.2.15/24"),
    interface("eth1", "192.168.56.11/24"),
    sources={"192.168.56.11": "192.168.56.12"},
    default=("10.0.2.15", "eth0"),
)


def test_the_routes_to_the_other_nodes_decide():
    ((one,), problems) = node_addresses.choose(Request("n", "", VAGRANT), [4])
    assert (one.address, one.interface, one.prefix, one.mtu, problems) == ("192.168.56.11", "eth1", 24, 1500, [])
    assert one.reason == "source address of the routes to the other nodes"


@pytest.mark.parametrize("wanted", ["eth1", "192.168.0.0/16", "192.168.56.11", "192.168.56.11, fd00::1"])
def test_the_input_decides_before_the_routes(wanted):
    network = copy.deepcopy(VAGRANT)
    network["sources"] = {"10.0.2.15": "10.0.2.2"}
    assert chosen(network, wanted) == (["192.168.56.11"], [])


@pytest.mark.parametrize("own", ["127.0.0.5", "169.254.3.4", "224.0.0.1", "fe80::5", "::1"])
def test_an_address_that_no_other_host_reaches_is_none_whatever_its_scope_says(own):
    network = facts(interface("eth0", own + "/24"), sources={own: own}, default=(own, "eth0"))
    assert chosen(network) == ([], ["address.missing"])
    assert chosen(network, own) == ([], ["address.not_on_host"])
    beside = facts(interface("eth0", own + "/24", "10.0.0.5/24"), sources={own: own}, default=(own, "eth0"))
    assert chosen(beside) == (["10.0.0.5"], [])


def test_an_address_that_the_host_does_not_have():
    assert chosen(VAGRANT, "172.16.0.0/12") == ([], ["address.not_on_host"])


def test_one_node_has_the_address_at_which_ansible_reaches_it():
    network = copy.deepcopy(VAGRANT)
    network["sources"] = {"192.168.56.11": "192.168.56.11"}
    assert chosen(network) == (["192.168.56.11"], [])
    assert chosen({**network, "sources": {}, "probe_source": None}) == (["10.0.2.15"], [])


def test_hosts_reached_over_different_networks_have_to_say_which_one():
    """Home machines in a LAN and a rented one over a VPN that all of them have."""
    lan = facts(
        interface("eth0", "192.168.1.11/24"),
        interface("tailscale0", "100.64.0.1/32", link="none", mtu=1280),
        sources={"192.168.1.11": "192.168.1.12", "100.64.0.1": "100.64.0.3"},
        default=("192.168.1.11", "eth0"),
    )
    rented = facts(
        interface("eth0", "203.0.113.7/24"),
        interface("tailscale0", "100.64.0.3/32", link="none", mtu=1280),
        sources={"203.0.113.7": "192.168.1.11", "100.64.0.3": "100.64.0.3"},
        default=("203.0.113.7", "eth0"),
    )
    hosts, groups = hosts_with({"cp1": lan, "w1": rented}, {"kube_distribution": "k3s"})
    assert described(planner.cluster_plan(hosts, groups)["refusals"]) == [
        "address.several_routes node=cp1 value=['100.64.0.1', '192.168.1.11']",
        "address.other_route node=w1 value=100.64.0.3 limit=203.0.113.7",
    ]
    for row in hosts.values():
        row["inputs"]["kube_node_ip"] = "tailscale0"
    plan = planner.cluster_plan(hosts, groups)
    assert plan["refusals"] == []
    assert {host: node["address"] for host, node in plan["nodes"].items()} == {"cp1": "100.64.0.1", "w1": "100.64.0.3"}


def test_an_alias_of_the_same_interface_is_no_other_network():
    network = facts(
        interface("eth0", "10.0.0.11/24", "10.0.0.50/24"), sources={"10.0.0.50": "10.0.0.50", "10.0.0.11": "10.0.0.12"}
    )
    assert chosen(network) == (["10.0.0.11"], [])


@pytest.mark.parametrize("distribution", ["kubeadm", "k3s"])
@pytest.mark.parametrize("sources", [{}, {"10.0.2.15": "10.0.2.15"}, {"127.0.0.1": "127.0.0.1"}])
def test_nodes_behind_a_hypervisors_nat_have_the_same_address(distribution, sources):
    nat = facts(interface("eth0", "10.0.2.15/24"), sources=sources, default=("10.0.2.15", "eth0"))
    hosts, groups = hosts_with({"a": nat, "b": nat}, {"kube_distribution": distribution})
    found = planner.cluster_plan(hosts, groups)["refusals"]
    assert described(found) == ["address.not_unique node=a value=10.0.2.15"]


def test_the_network_that_connects_them_is_proposed():
    def of(own):
        return facts(interface("eth0", "10.0.2.15/24"), interface("eth1", own), default=("10.0.2.15", "eth0"))

    hosts, groups = hosts_with({"a": of("192.168.56.11/24"), "b": of("192.168.56.12/24")})
    (found,) = planner.cluster_plan(hosts, groups)["refusals"]
    assert found["text"].endswith("such as 192.168.56.0/24.")


def test_bridges_of_engines_and_interfaces_that_are_down_are_not_taken():
    network = facts(
        interface("docker0", "172.17.0.1/16", up=False),
        interface("br-0123456789ab", "172.18.0.1/16"),
        interface("virbr0", "192.168.122.1/24"),
        interface("eth9", "172.20.0.1/24", up=False),
        interface("wg0", "172.30.0.1/24", link="none"),
    )
    assert chosen(network, "172.16.0.0/12") == (["172.30.0.1"], [])
    assert chosen(network) == (["172.30.0.1"], [])
    assert chosen(network, "br-0123456789ab") == (["172.18.0.1"], [])
    assert chosen(network, "eth9") == (["172.20.0.1"], ["address.interface_down"])


def test_the_second_family_is_not_that_of_a_container_engine():
    network = facts(
        interface("eth0", "10.0.0.11/24"),
        interface("docker0", "172.17.0.1/16", "fd00:d0c:1::1/64"),
        sources={"10.0.0.11": "10.0.0.12"},
    )
    assert chosen(network, families=(4, 6)) == (["10.0.0.11"], ["address.family_missing"])
    network["interfaces"].append(interface("eth1", "2001:db8::11/64"))
    assert chosen(network, families=(4, 6)) == (["10.0.0.11"], ["address.family_missing"])
    network["default_ipv6"] = {"address": "2001:db8::11", "interface": "eth1", "gateway": "fe80::1"}
    assert chosen(network, families=(4, 6)) == (["10.0.0.11", "2001:db8::11"], [])
    assert chosen(network, "10.0.0.11,2001:db8::11", (6, 4)) == (["2001:db8::11", "10.0.0.11"], [])


def test_the_primary_address_is_of_the_networks_first_family():
    network = facts(
        interface("eth0", "10.0.0.11/24", "2001:db8:1::11/64"),
        sources={"10.0.0.11": "10.0.0.12"},
        default=("10.0.0.11", "eth0"),
    )
    assert chosen(network, families=(6,)) == (["2001:db8:1::11"], [])
    assert chosen(network, families=(6, 4)) == (["2001:db8:1::11", "10.0.0.11"], [])
    assert chosen(network, families=(4, 6)) == (["10.0.0.11", "2001:db8:1::11"], [])
    assert chosen(network, families=()) == (["10.0.0.11"], [])


@pytest.mark.parametrize("distribution", ["kubeadm", "k3s"])
def test_hosts_without_an_address_of_the_networks_family(distribution):
    six = facts(interface("eth0", "2001:db8:1::11/64"), default=("2001:db8:1::11", "eth0"))
    (found,) = planner.cluster_plan(*hosts_with({"a": six}, {"kube_distribution": distribution}))["refusals"]
    assert described([found]) == ["address.other_family node=a value=2001:db8:1::11 limit=IPv4"]
    assert 'kube_pod_cidrs: ["fd42:244::/56"]' in found["text"]
    plan = planner.cluster_plan(*hosts_with({"a": six}, {"kube_distribution": distribution, **SIX}))
    assert plan["refusals"] == [] and plan["nodes"]["a"]["address"] == "2001:db8:1::11"


def test_temporary_and_deprecated_addresses_are_not_taken():
    network = facts(
        interface(
            "eth0",
            "2001:db8::aaaa/64 temporary",
            "2001:db8:0:9::1/64",
            "2001:db8::11/64",
            "2001:db8:dead::11/64 deprecated",
        ),
        sources={"2001:db8::aaaa": "2001:db8::12"},
        default=("2001:db8::aaaa", "eth0"),
    )
    assert chosen(network, families=(6,)) == (["2001:db8::11"], [])
    assert chosen({**network, "sources": {}, "probe_source": None}, families=(6,)) == (["2001:db8::11"], [])
    assert chosen(network, "2001:db8::aaaa", (6,)) == (["2001:db8::aaaa"], [])


def test_a_member_keeps_the_address_of_its_node():
    network = facts(
        interface("eth0", "10.0.0.11/24"), interface("eth1", "10.1.0.11/24"), sources={"10.0.0.11": "10.0.0.12"}
    )
    assert chosen(network, kept=["10.1.0.11"]) == (["10.1.0.11"], [])
    assert chosen(network, "eth1", kept=["10.1.0.11"]) == (["10.1.0.11"], [])
    assert chosen(network, "eth0", kept=["10.1.0.11"]) == (["10.1.0.11"], ["address.fixed"])
    assert chosen(network, kept=["10.9.0.11"]) == (["10.9.0.11"], ["address.gone"])
    # One of each family of the networks.
    assert chosen(network, kept=["10.1.0.11", "fd00::11"]) == (["10.1.0.11"], [])
    # An agent of K3s takes another address when it restarts.
    assert chosen(network, "eth0", kept=["10.1.0.11"], fixed=False) == (["10.0.0.11"], [])
    assert chosen(network, kept=["10.9.0.11"], fixed=False) == (["10.0.0.11"], [])
    assert chosen(network, kept=["10.1.0.11"], fixed=False) == (["10.1.0.11"], [])


@pytest.mark.parametrize("distribution", ["kubeadm", "k3s"])
@pytest.mark.parametrize("known_by", ["api", "node"])
def test_the_routes_of_a_running_cluster_change_nothing(distribution, known_by):
    """Somebody connects over another network than the one over which the cluster was made."""
    hosts, groups = inventory(3, 1, {"kube_distribution": distribution})
    for number, row in enumerate(hosts.values(), 1):
        row["info"]["network"]["interfaces"].append(interface("eth1", "10.1.0.%d/24" % number))
    plan = planner.cluster_plan(hosts, groups)
    assert plan["refusals"] == []
    for number, (host, row) in enumerate(hosts.items(), 1):
        row["info"] = applied(row["info"], plan["nodes"][host], plan)
        row["info"]["network"].update(probe_source="10.1.0.%d" % number)
        if known_by == "node":
            row["info"]["cluster"]["node_ips"] = [plan["nodes"][host]["address"]]
        for item in ((row["info"]["cluster"]["live"] or {}).get("nodes") or []) if known_by == "api" else []:
            own = next(node["address"] for node in plan["nodes"].values() if node["name"] == item["name"])
            item["addresses"] = {"InternalIP": [own]}
    again = planner.cluster_plan(hosts, groups)
    assert again["refusals"] == []
    assert {host: (node["address"], node["steps"]) for host, node in again["nodes"].items()} == {
        host: (node["address"], {}) for host, node in plan["nodes"].items()
    }


PROGRAM = """
import json, sys
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
given = json.load(sys.stdin)
plan = planner.cluster_plan(*given)
print(json.dumps([plan["refusals"], {host: node["addresses"] for host, node in plan["nodes"].items()}]))
"""


def test_the_order_of_hosts_and_of_hashes_has_no_meaning():
    names = ["cp1", "cp2", "cp3", "w1"]

    def of(number):
        return facts(
            interface("eth0", "192.168.1.%d/24" % number, "2001:db8::%d/64" % number, "fd00::%d/64" % number),
            interface("eth1", "10.1.0.%d/24" % number),
            sources={"192.168.1.%d" % number: "192.168.1.9"},
            default=("192.168.1.%d" % number, "eth0"),
        )

    hosts, groups = hosts_with(
        {name: of(number) for number, name in enumerate(names, 1)}, {"kube_distribution": "k3s", **BOTH}, 3
    )
    root = pathlib.Path(planner.__file__).parents[6]
    seen = set()
    for seed in range(4):
        given = [{name: hosts[name] for name in names[seed:] + names[:seed]}, groups]
        environment = {**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": str(root)}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            input=json.dumps(given),
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        refusals, found = json.loads(done.stdout)
        seen.add(json.dumps([refusals, dict(sorted(found.items()))]))
    assert len(seen) == 1 and json.loads(next(iter(seen)))[0] == []


def test_networks_that_a_link_reaches():
    one = addresses.Address("10.8.0.1", "wg0", 24)
    assert addresses.link_network(one, facts(interface("wg0", "10.8.0.1/24", link="none"))) == "10.8.0.1/32"
    assert addresses.link_network(one, facts(interface("wg0", "10.8.0.1/24"))) == "10.8.0.0/24"
    # An address of DHCPv6.
    six = addresses.Address("2001:db8::11", "eth0", 128, family=6)
    route = {"dst": "2001:db8::/64", "dev": "eth0", "via": None}
    assert addresses.link_network(six, facts(interface("eth0", "2001:db8::11/128"), routes=[route])) == "2001:db8::/64"
    assert addresses.link_network(six, facts(interface("eth0", "2001:db8::11/128"))) == "2001:db8::11/128"


def test_the_interface_of_an_address():
    network = facts(interface("wg0", "10.0.0.1/8"), interface("eth0", "10.0.0.11/24"))
    assert addresses.interface_of("10.0.0.200", network) == ("eth0", "10.0.0.0/24")
    assert addresses.interface_of("10.0.0.1", network) == ("wg0", "10.0.0.0/8")
    assert addresses.interface_of("192.0.2.1", network) == (None, None)
