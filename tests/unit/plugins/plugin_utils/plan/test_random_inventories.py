# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random inventories: any groups, addresses, inputs and missing facts give a plan or a refusal, and always the same."""

from __future__ import annotations

import copy
import ipaddress
import json
import os
import subprocess
import sys

from ansible_collections.kubewright.cluster.plugins.module_utils.detect import look
from ansible_collections.kubewright.cluster.plugins.plugin_utils.inputs import schema
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.plugins.plugin_utils.report import plan_page, plan_text
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import (
    GIB,
    applied,
    inventory,
    machine,
)
from hypothesis import HealthCheck, given, settings, strategies as st

NAMES = ["cp-1", "CP-2", "cp_3", "10.0.0.14", "node.example.com", "w-1", "w-2", "한국"]
ADDRESSES = ["10.0.0.11", "10.0.0.12", "10.0.0.13", "192.168.1.5", "10.244.0.9", "127.0.0.1", "fd00:1::5", "fe80::1"]
# Values that mean something for some input; every input may get any of them.
VALUES = [
    "auto", "", "none", "off", "1.36", "1.37.2", "v1.36.1+k3s1", "1.1", "10.244.0.0/16", "fd00:2::/56", "eth0",
    "10.0.0.99", "api.example.com", "https://api.example.com:6443", "kubeadm", "k3s", "bridge", "vip", "external",
    "/data", "data dir", "3", "30s", "500Mi", "a\nb", "{{ x }}", 0, 1, -5, 6443, 70000, 1.5, True, False, None, [],
    {}, [None], [{}], {"a": None}, ["10.244.0.0/16"], ["10.244.0.0/16", "fd00:2::/56"], ["10.96.0.0/24"],
    ["fd00:3::/112"], ["air_gap"], ["windows_workers"], {"mode": "vip", "address": "10.0.0.99"},
    {"mode": "external", "address": "api.example.com"}, {"mode": "none"}, {"plugin": "bridge"},
    {"plugin": "kube-router"}, {"plugin": "flannel"}, {"plugin": "none"}, {"mode": 7},
    {"http": "http://user:pa@proxy:3128"}, {"mirrors": {"docker.io": {"endpoints": ["https://r.example.com"]}}},
    {"memory": "1Gi"}, {"memory": "lots"}, {"maxPods": "many"}, {"gpu": True}, ["a=b:NoSchedule"], ["a"],
    [{"name": "m", "content": "{{{"}], [{"name": "m", "content": "kind: A\napiVersion: v1\nmetadata: {name: a}"}],
    "postgres://u:p@db.example.com:5432/k3s", "https://10.0.0.50:6443",
]  # fmt: skip
# Inputs of inventories that can work.
GOOD = [
    ("kube_distribution", "kubeadm"), ("kube_distribution", "k3s"), ("kube_version", "1.36"), ("kube_api_port", 7443),
    ("kube_pod_cidrs", ["10.50.0.0/16"]), ("kube_service_cidrs", ["10.60.0.0/20"]), ("kube_node_labels", {"gpu": True}),
    ("kube_api_endpoint", {"mode": "vip", "address": "10.0.0.99"}), ("kube_needs", ["survive_node_loss"]),
    ("kube_api_endpoint", {"mode": "external", "address": "api.example.com"}), ("kube_proxy_mode", "nftables"),
    ("kube_network", {"plugin": "kube-router"}), ("kube_network", {"plugin": "none"}), ("kube_data_dir", "/data"),
    ("kube_http_proxy", {"http": "http://proxy.example.com:3128"}), ("kube_reserved", {"memory": "200Mi"}),
    ("kube_registries", {"mirrors": {"docker.io": {"endpoints": ["https://r.example.com"]}}}), ("kube_swap", "keep"),
    ("kubelet_config", {"maxPods": 60}), ("kube_node_taints", ["a=b:NoSchedule"]), ("kube_journald", "volatile"),
    ("kube_node_ip", "eth0"), ("kube_api_sans", ["api.example.com"]), ("k3s_disable", ["traefik"]),
    ("kubeadm_cluster_config", {"apiServer": {"extraArgs": [{"name": "v", "value": "3"}]}}),
]  # fmt: skip

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
ANY_INPUTS = st.dictionaries(
    st.sampled_from(sorted(schema.specification()) + ["kube_verson", "kubelet_confg"]),
    st.sampled_from(VALUES) | JSON,
    max_size=3,
)
GOOD_INPUTS = st.lists(st.sampled_from(GOOD), max_size=4).map(dict)


@st.composite
def facts(draw, name):
    """Facts of a machine, or None if it cannot be reached; parts of them may be unknown."""
    if draw(st.integers(0, 9)) == 0:
        return None
    info = machine(
        name,
        draw(st.sampled_from(ADDRESSES)),
        memory=draw(st.sampled_from([4 * GIB, 4 * GIB, GIB // 2, 64 * GIB])),
        cpus=draw(st.sampled_from([4, 4, 1])),
        os__family=draw(st.sampled_from(["debian", "debian", "redhat", "other"])),
        init=draw(st.sampled_from(["systemd", "systemd", "openrc", "other"])),
    )
    family = ipaddress.ip_address(info["network"]["probe_source"]).version
    info["network"]["interfaces"][0]["addresses"][0]["family"] = family
    for part in draw(st.lists(st.sampled_from(sorted(look.EMPTY)), max_size=2)):
        info[part] = copy.deepcopy(look.EMPTY[part])
        info.setdefault("failed_parts", {})[part] = "OSError: unreadable"
    return info


@st.composite
def sound(draw):
    """An inventory that can work, as (hosts, groups) for the planner. Facts that are not needed may be missing."""
    control_planes = draw(st.sampled_from([1, 1, 3, 5]))
    hosts, groups = inventory(control_planes, draw(st.integers(0, 3)), draw(GOOD_INPUTS))
    for number, row in enumerate(hosts.values()):
        row["info"]["machine_id"] = "%032x" % (number + 1)
        row["info"]["memory"]["total_bytes"] = draw(st.sampled_from([2, 4, 64])) * GIB
        for part in draw(
            st.lists(st.sampled_from(["cpus", "memory", "swap", "disks", "gpus", "ports", "board"]), max_size=1)
        ):
            row["info"][part] = copy.deepcopy(look.EMPTY[part])
    return hosts, {"all": list(hosts), **groups}


@st.composite
def wild(draw):
    """An inventory of any kind."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=5, unique=True))
    shared = draw(ANY_INPUTS | GOOD_INPUTS)
    hosts = {}
    for number, name in enumerate(names):
        info = draw(facts(name))
        if info and draw(st.integers(0, 3)):
            usual = machine(name, "10.0.0.%d" % (number + 20))
            info["network"], info["machine_id"] = usual["network"], "%032x" % (number + 1)
        own = draw(ANY_INPUTS) if draw(st.integers(0, 4)) == 0 else {}
        hosts[name] = {"info": info, "error": None if info else "cannot be reached", "inputs": {**shared, **own}}
    members = st.lists(st.sampled_from(names), max_size=5, unique=True)
    count = draw(st.integers(0, len(names)))
    groups = {"kube_control_plane": names[:count], "kube_node": names[count:]}
    if draw(st.integers(0, 4)) == 0:
        groups = {name: draw(members) for name in ("kube_control_plane", "kube_node", "server", "agent")}
    return hosts, {"all": names, **groups}


def inventories():
    """Inventories of both kinds."""
    return sound() | wild()


def planned(hosts, groups):
    """Return the plan as text that can be compared."""
    return json.dumps(planner.cluster_plan(copy.deepcopy(hosts), groups), sort_keys=True)


def reversed_order(hosts, groups):
    """Return the same inventory with hosts and groups in another order."""
    return dict(reversed(hosts.items())), {name: list(reversed(members)) for name, members in reversed(groups.items())}


def check(plan):
    """Check an accepted plan by independent rules, not by the planner's code."""
    names = [node["name"] for node in plan["nodes"].values()]
    addresses = [node["address"] for node in plan["nodes"].values()]
    assert len(set(names)) == len(names) and len(set(addresses)) == len(addresses)
    networks = [ipaddress.ip_network(cidr) for cidr in plan["pod_cidrs"] + plan["service_cidrs"]]
    for number, network in enumerate(networks):
        assert not any(network.version == other.version and network.overlaps(other) for other in networks[:number])
        assert not any(ipaddress.ip_address(address) in network for address in addresses)
    families = {network.version for network in networks}
    assert all(ipaddress.ip_address(address).version in families for address in addresses)
    for address in map(ipaddress.ip_address, addresses):
        assert not (address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified)


@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True)
@given(inventories())
def test_random_inventories(case):
    hosts, groups = case
    plan = planner.cluster_plan(copy.deepcopy(hosts), groups)
    assert planned(hosts, groups) == planned(*reversed_order(hosts, groups))
    assert plan_text.lines(plan, "inventory.yml", brief=False)
    assert plan_page.html(plan)
    if plan["refusals"]:
        assert not any(node.get("steps") for node in plan["nodes"].values())
        return
    check(plan)
    done = {
        host: {**hosts[host], "info": applied(hosts[host]["info"], node, plan)} for host, node in plan["nodes"].items()
    }
    again = planner.cluster_plan(done, groups)
    assert again["refusals"] == []


HASH_SEEDS = """
import json, sys
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.plan import test_random_inventories as cases
print("\\n".join(cases.planned(*case) for case in cases.fixed_cases()))
"""


def fixed_cases():
    """Return inventories in which a set that is not sorted would show."""
    several = machine("cp-1", "10.0.0.11")
    for number, name in enumerate(("eth1", "wg0", "tailscale0")):
        address = {"address": "10.%d.0.11" % (50 + number), "prefix": 24, "family": 4, "scope": "global"}
        several["network"]["interfaces"].append({"name": name, "mtu": 1400, "up": True, "addresses": [address]})
    found = []
    for inputs in ({}, {"kube_distribution": "k3s"}, {"kube_api_endpoint": {"mode": "vip", "address": "10.0.0.99"}}):
        hosts, groups = inventory(3, 2, inputs)
        hosts["cp-1"]["info"] = {**several, "machine_id": "1" * 32}
        found.append((hosts, groups))
    return found


def test_the_plan_does_not_depend_on_the_hash_seed():
    found = set()
    for seed in range(20):
        environment = {**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            [sys.executable, "-c", HASH_SEEDS], env=environment, capture_output=True, text=True, check=True
        )
        found.add(done.stdout)
    assert len(found) == 1
