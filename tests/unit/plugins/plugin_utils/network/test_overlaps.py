# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the networks of pods and Services must not overlap with, and sizes that the control plane takes."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.detect import network
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import inventory

SERVICES, PODS = "10.96.0.0/12", "10.244.0.0/16"


def refusals(inputs=None, routes=(), **changes):
    hosts, groups = inventory(1, 0, inputs, **changes)
    hosts["cp-1"]["info"]["network"]["routes"] += routes
    plan = planner.cluster_plan(hosts, groups)
    return described(plan["refusals"]), described(plan["warnings"])


EXTERNAL = {
    "etcd": {"external": {"endpoints": ["https://10.99.0.5:2379"], "caFile": "/a", "certFile": "/b", "keyFile": "/c"}}
}


@pytest.mark.parametrize(
    ("inputs", "wanted"),
    [
        ({"kube_http_proxy": {"http": "http://user:pw@10.97.1.5:3128"}}, (SERVICES, "10.97.1.5")),
        ({"kube_api_endpoint": {"mode": "external", "address": "10.100.0.5"}}, (SERVICES, "10.100.0.5")),
        ({"kube_api_endpoint": {"mode": "vip", "address": "10.244.0.5", "interface": "eth0"}}, (PODS, "10.244.0.5")),
        ({"kube_artifacts": {"source": "http://10.98.0.9/m"}}, (SERVICES, "10.98.0.9")),
        (
            {"kube_registries": {"mirrors": {"docker.io": {"endpoints": ["http://10.98.0.9:5000"]}}}},
            (SERVICES, "10.98.0.9"),
        ),
        ({"kubeadm_cluster_config": EXTERNAL}, (SERVICES, "10.99.0.5")),
        (
            {
                "kube_distribution": "k3s",
                "kube_needs": ["external_database"],
                "k3s_datastore_endpoint": "postgres://u:p@10.99.0.5:5432/k",
            },
            (SERVICES, "10.99.0.5"),
        ),
    ],
)
def test_what_inputs_name(inputs, wanted):
    found, _warnings = refusals(inputs)
    assert "cidrs.used_by_input value=%s limit=%s" % wanted in found and "pw" not in repr(found)


def test_name_servers_gateways_and_addresses_of_hosts():
    found, _warnings = refusals(dns={"nameservers": ["10.100.0.53", "127.0.0.53", "fe80::1"]})
    assert found == ["cidrs.used_by_host node=cp-1 value=10.96.0.0/12 limit=10.100.0.53"]
    gateway = {"dst": "192.168.7.0/24", "via": "10.97.0.1", "dev": "eth1", "family": 4}
    assert refusals(routes=[gateway])[0] == ["cidrs.used_by_host node=cp-1 value=10.96.0.0/12 limit=10.97.0.1"]
    hosts, groups = inventory(1, 0)
    row = {"address": "10.244.3.5", "prefix": 32, "family": 4, "scope": "global"}
    hosts["cp-1"]["info"]["network"]["interfaces"].append({"name": "wg0", "up": True, "addresses": [row]})
    found = described(planner.cluster_plan(hosts, groups)["refusals"])
    assert found == ["cidrs.used_by_host node=cp-1 value=10.244.0.0/16 limit=10.244.3.5"]


def routes_of(*rows):
    return network.routes_of([{"dev": "tun0", **row} for row in rows], 4)


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        # A VPN that is the default route.
        ([{"dst": "0.0.0.0/1"}, {"dst": "128.0.0.0/1"}], []),
        # Tailscale's own table.
        (
            [{"dst": "10.100.0.0/16", "table": "52"}],
            ["cidrs.used_by_host node=cp-1 value=10.96.0.0/12 limit=10.100.0.0/16"],
        ),
        ([{"dst": "default", "table": "52"}, {"type": "throw", "dst": "10.244.0.0/24", "table": "52"}], []),
        # Nothing goes there: a larger network does not matter, a part of ours does.
        ([{"type": "unreachable", "dst": "10.240.0.0/12"}, {"type": "blackhole", "dst": "172.16.0.0/12"}], []),
        (
            [{"type": "blackhole", "dst": "10.244.7.0/24"}],
            ["cidrs.used_by_host node=cp-1 value=10.244.0.0/16 limit=10.244.7.0/24"],
        ),
        # Routes of this machine's own.
        ([{"type": "local", "dst": "10.244.0.1", "table": "local"}], []),
    ],
)
def test_routes(rows, wanted):
    assert refusals(routes=routes_of(*rows)) == (wanted, [])


def test_services_behind_a_route_that_leads_nowhere():
    """The kernel looks for a route before kube-proxy's rules apply to what the host itself sends."""
    found = refusals(routes=routes_of({"type": "unreachable", "dst": "10.0.0.0/8"}))
    assert found == ([], ["cidrs.dead_route node=cp-1 value=10.0.0.0/8 limit=10.96.0.0/12"])


@pytest.mark.parametrize(
    ("pods", "services", "wanted"),
    [
        (["fd42::/48"], ["fd43::/112"], []),
        (["fd42::/47"], ["fd43::/112"], ["cidrs.pod_size value=fd42::/47 limit=48 to 64"]),
        (["fd42::/64"], ["fd43::/108"], []),
        (["fd42::/65"], ["fd43::/112"], ["cidrs.too_small value=fd42::/65 limit=1"]),
        (["fd42::/56"], ["fd43::/107"], ["cidrs.service_size value=fd43::/107 limit=108 to 124"]),
        (["fd42::/56"], ["fd43::/125"], ["cidrs.service_size value=fd43::/125 limit=108 to 124"]),
    ],
)
@pytest.mark.parametrize("distribution", ["kubeadm", "k3s"])
def test_sizes_of_ipv6(distribution, pods, services, wanted):
    inputs = {"kube_distribution": distribution, "kube_pod_cidrs": pods, "kube_service_cidrs": services}
    hosts, groups = inventory(1, 0, inputs)
    six = {"address": "2001:db8::1", "prefix": 64, "family": 6, "scope": "global"}
    hosts["cp-1"]["info"]["network"]["interfaces"][0]["addresses"].append(six)
    assert described(planner.cluster_plan(hosts, groups)["refusals"]) == wanted


def test_pods_and_services_list_the_families_in_one_order():
    inputs = {
        "kube_pod_cidrs": ["10.244.0.0/16", "fd42:244::/56"],
        "kube_service_cidrs": ["fd42:96::/112", "10.96.0.0/16"],
    }
    hosts, groups = inventory(1, 0, inputs)
    six = {"address": "2001:db8::1", "prefix": 64, "family": 6, "scope": "global"}
    hosts["cp-1"]["info"]["network"]["interfaces"][0]["addresses"].append(six)
    found = described(planner.cluster_plan(hosts, groups)["refusals"])
    assert found == ["cidrs.order value=fd42:96::/112, 10.96.0.0/16 limit=IPv4"]


def test_one_place_is_said_once_though_the_kernel_lists_the_default_route_first():
    found, _warnings = refusals({"kube_service_cidrs": ["10.0.0.0/16"]})
    assert found == ["cidrs.used_by_host node=cp-1 value=10.0.0.0/16 limit=10.0.0.0/24"]


def test_all_proposals_can_be_taken_at_once():
    rows = [{"dst": dst, "dev": "eth1", "family": 4} for dst in ("10.244.7.0/24", "10.96.5.0/24")]
    hosts, groups = inventory(1, 0, {})
    row = {"address": "192.168.1.5", "prefix": 24, "family": 4, "scope": "global"}
    interfaces = [{"name": "eth0", "up": True, "mtu": 1500, "addresses": [row]}]
    hosts["cp-1"]["info"]["network"] = {"interfaces": interfaces, "routes": rows}
    found = [row["text"] for row in planner.cluster_plan(hosts, groups)["refusals"]]
    proposed = [ip_network(text.partition("such as ")[2].rstrip(".")) for text in found]
    assert len(proposed) == 2 and not proposed[0].overlaps(proposed[1])
