# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes whose addresses are in different networks, though a network connects them all."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import inventory


def interface(name, address, prefix=24):
    row = {"address": address, "prefix": prefix, "family": 4, "scope": "global"}
    return {"name": name, "mtu": 1500, "up": True, "addresses": [row]}


def warned(networks, inputs=({}, {}), **changes):
    """Return the warnings about paths. networks: of both hosts, (interfaces, routes, interface of the default route)."""
    hosts, groups = inventory(1, 1)
    for (_host, row), (interfaces, routes, default), own in zip(hosts.items(), networks, inputs):
        address = next(item["addresses"][0]["address"] for item in interfaces if item["name"] == default)
        rows = [{"dst": dst, "dev": dev, "family": 4, **more} for dst, dev, more in routes]
        known = {"address": address, "interface": default, "gateway": None}
        row["info"]["network"] = {"interfaces": interfaces, "routes": rows, "default_ipv4": known}
        row["info"]["cluster"].update(changes)
        row["inputs"] = own
    plan = planner.cluster_plan(hosts, groups)
    assert [row for row in plan["refusals"] if row["id"].startswith("address.")] == []
    return [text for text in described(plan["warnings"]) if text.startswith("address.other_path")]


def host(number, default):
    """A host in two networks."""
    interfaces = [interface("eth0", "10.1.0.%d" % number), interface("eth1", "10.2.0.%d" % number)]
    routes = [("default", default, {}), ("10.1.0.0/24", "eth0", {}), ("10.2.0.0/24", "eth1", {})]
    return interfaces, routes, default


BOTH = [
    "address.other_path node=cp-1 value=10.1.0.1 limit=10.2.0.2",
    "address.other_path node=w-1 value=10.2.0.2 limit=10.1.0.1",
]


def test_default_routes_that_point_to_different_networks_are_seen():
    """Names that only ~/.ssh/config knows: no route to another node could be asked for."""
    assert warned([host(1, "eth0"), host(2, "eth1")]) == BOTH
    assert warned([host(1, "eth0"), host(2, "eth0")]) == []


def test_an_address_that_is_set_for_some_hosts_only_is_seen():
    assert warned([host(1, "eth0"), host(2, "eth0")], ({}, {"kube_node_ip": "eth1"})) == BOTH
    assert warned([host(1, "eth0"), host(2, "eth0")], ({"kube_node_ip": "eth1"}, {"kube_node_ip": "eth1"})) == []


@pytest.mark.parametrize(
    "routes",
    [
        [("default", "eth0", {}), ("100.64.0.0/10", "tailscale0", {"table": "52"})],
        [("default", "eth0", {}), ("100.64.0.0/10", "eth0", {"src": "OWN"})],
        # A table for the answers of the second interface does not count.
        [("default", "tailscale0", {}), ("default", "eth0", {"table": "1001"})],
    ],
)
def test_tables_of_rules_count_where_they_are_more_specific(routes):
    networks = []
    for number in (1, 2):
        own = "100.64.0.%d" % number
        interfaces = [interface("eth0", "192.168.%d.5" % number), interface("tailscale0", own, 32)]
        rows = [(dst, dev, {**more, **({"src": own} if more.get("src") else {})}) for dst, dev, more in routes]
        networks.append((interfaces, rows, "tailscale0"))
    assert warned(networks) == []


def test_a_member_keeps_its_address_without_a_word():
    assert warned([host(1, "eth0"), host(2, "eth1")], kubelet_conf=True) == []
