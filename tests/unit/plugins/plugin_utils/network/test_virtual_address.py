# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which interface of a control plane gets the virtual address, and which addresses no interface can have."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import inventory, texts


def planned(address, *more, prefix=24):
    hosts, groups = inventory(1, 0, {"kube_api_endpoint": {"mode": "vip", "address": address}})
    network = hosts["cp-1"]["info"]["network"]
    network["interfaces"][0]["addresses"][0]["prefix"] = prefix
    network["routes"] = network["routes"][: 1 if prefix == 32 else 2]
    for name, text, bits in more:
        row = {"address": text, "prefix": bits, "family": 4, "scope": "global"}
        network["interfaces"].append({"name": name, "mtu": 1500, "up": True, "addresses": [row]})
    return planner.cluster_plan(hosts, groups)


@pytest.mark.parametrize("bridge", ["docker0", "virbr0", "br-0123456789ab", "cni0"])
def test_a_bridge_of_containers_does_not_get_it(bridge):
    found = planned("172.20.0.100", (bridge, "172.20.0.1", 16))["refusals"]
    assert described(found) == ["endpoint.no_interface node=cp-1 value=172.20.0.100 limit=10.0.0.0/24 on eth0"]
    assert texts(found)[0].endswith(
        "Choose a free address in 10.0.0.0/24. If a router sends it to this network, set "
        "kube_api_endpoint.interface: eth0."
    )


def test_a_cloud_that_gives_single_addresses_needs_another_mode():
    found = planned("10.0.0.200", prefix=32)["refusals"]
    assert described(found) == ["endpoint.no_interface node=cp-1 value=10.0.0.200 limit=10.0.0.11/32 on eth0"]
    assert "mode local" in texts(found)[0] and "Choose" not in texts(found)[0]


def test_the_interface_in_its_network_gets_it():
    plan = planned("172.20.0.100", ("eth1.20", "172.20.0.1", 16))
    files = {entry["path"]: entry["content"] for entry in plan["nodes"]["cp-1"]["files"]["endpoint"]}
    assert "172.20.0.100/16 dev eth1.20" in files["/etc/kubewright/endpoint/keepalived.conf"]
