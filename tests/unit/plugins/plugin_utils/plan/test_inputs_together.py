# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inputs that are right in their form, and cannot work together or on these machines."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.machine import kubelet
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import GIB, inventory, machine

MANIFEST = {"name": "x", "content": "apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n"}
NODES = "30000-32767"


def refusals(inputs, kind="kubeadm", change=None):
    hosts, groups = inventory(1, 1, {"kube_distribution": kind, **inputs})
    for row in hosts.values():
        row["info"].update(change or {})
    return described(planner.cluster_plan(hosts, groups)["refusals"])


@pytest.mark.parametrize(
    ("inputs", "wanted"),
    [
        ({"kube_memory": "500Gi"}, 4 * GIB),
        ({"kube_memory": "2Gi", "system_memory": "2Gi"}, 4 * GIB),
        ({"kube_cpu": "100"}, 4),
        ({"kube_cpu": "2", "system_cpu": "2"}, 4),
        ({"kube_memory": "1Gi", "system_memory": "1Gi", "kube_cpu": "1", "system_cpu": "1"}, None),
    ],
)
def test_reservations_leave_something_to_pods(inputs, wanted):
    found = refusals({"kube_reserved": inputs})
    hosts = ("cp-1", "w-1") if wanted else ()
    assert found == ["reserved.too_much node=%s value=%d" % (host, wanted) for host in hosts]


@pytest.mark.parametrize(
    ("inputs", "wanted"),
    [
        ({"kube_api_port": 30500}, "port.of_the_cluster value=30500 limit=" + NODES),
        ({"kube_api_endpoint": {"port": 31000}}, "port.of_the_cluster value=31000 limit=" + NODES),
        (
            {"kube_api_endpoint": {"port": 179}, "kube_network": {"plugin": "kube-router"}},
            "port.of_the_cluster value=179 limit=179",
        ),
        ({"kube_api_endpoint": {"mode": "external", "address": "lb.example", "port": 31000}}, None),
        ({"kube_api_port": 8443}, None),
    ],
)
def test_ports_of_the_api_are_nobody_elses(inputs, wanted):
    assert refusals(inputs) == ([wanted] if wanted else [])


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        ("10.0.0.12", "endpoint.address_taken node=w-1 value=10.0.0.12"),
        ("10.0.0.1", "endpoint.address_taken node=cp-1 value=10.0.0.1"),
        ("10.0.0.53", "endpoint.address_taken node=cp-1 value=10.0.0.53"),
        ("10.0.0.255", "endpoint.address_of_network node=cp-1 value=10.0.0.255 limit=10.0.0.0/24"),
        ("10.0.0.0", "endpoint.address_of_network node=cp-1 value=10.0.0.0 limit=10.0.0.0/24"),
        ("10.0.0.100", None),
    ],
)
@pytest.mark.parametrize("kind", ["kubeadm", "k3s"])
def test_a_virtual_address_is_free(address, wanted, kind):
    dns = {"dns": {"resolv_conf": "/etc/resolv.conf", "nameservers": ["10.0.0.53"], "loopback": False}}
    assert refusals({"kube_api_endpoint": {"address": address}}, kind, dns) == ([wanted] if wanted else [])


@pytest.mark.parametrize("kind", ["kubeadm", "k3s"])
def test_an_address_that_is_missing_is_said_once(kind):
    """It was followed by a line for each node about 127.0.0.1, which nobody had asked for."""
    assert refusals({"kube_api_endpoint": {"mode": "vip"}}, kind) == ["endpoint.no_address value=vip"]


@pytest.mark.parametrize(
    ("inputs", "wanted"),
    [
        ({"kube_service_cidrs": ["8.8.8.0/24"]}, ["cidrs.public value=8.8.8.0/24"]),
        ({"kube_pod_cidrs": ["44.0.0.0/16"]}, ["cidrs.public value=44.0.0.0/16"]),
        ({"kube_pod_cidrs": ["100.64.0.0/16"], "kube_service_cidrs": ["172.30.0.0/16"]}, []),
    ],
)
def test_public_networks_are_warned_of(inputs, wanted):
    plan = planner.cluster_plan(*inventory(1, 1, {"kube_distribution": "kubeadm", **inputs}))
    assert plan["refusals"] == [] and described(plan["warnings"]) == wanted


def test_manifests_have_names_of_their_own():
    assert refusals({"kube_manifests": [MANIFEST, MANIFEST]}) == ["manifests.same_name value=x"]


@pytest.mark.parametrize(
    ("kind", "name", "value", "named"),
    [
        ("kubeadm", "k3s_disable", ["traefik"], "k3s_disable"),
        ("k3s", "kubeadm_timeout", 99, "kubeadm_timeout"),
        ("k3s", "kube_artifacts", {"versions": {"runc": "1.4.1"}}, "kube_artifacts.versions"),
        ("kubeadm", "kube_artifacts", {"versions": {"runc": "1.4.1"}}, None),
        ("k3s", "kube_artifacts", {"source": "https://mirror.example"}, None),
    ],
)
def test_inputs_of_the_other_distribution_are_named(kind, name, value, named):
    plan = planner.cluster_plan(*inventory(1, 1, {"kube_distribution": kind, name: value}))
    wanted = ["inputs.no_effect value=%s" % named] if named else []
    assert plan["refusals"] == [] and described(plan["warnings"]) == wanted


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        ({"imageGCLowThresholdPercent": 90}, ["value=90 limit=85"]),
        ({"imageGCHighThresholdPercent": 70}, ["value=80 limit=70"]),
        ({"serializeImagePulls": True, "maxParallelImagePulls": 3}, ["value=3 limit=1"]),
        ({"serializeImagePulls": True}, []),
        ({"enforceNodeAllocatable": ["pods", "system-reserved"]}, ["value=system-reserved limit=systemReservedCgroup"]),
    ],
)
def test_fields_of_the_kubelet_that_contradict_each_other(config, wanted):
    found = refusals({"kubelet_config": config})
    assert found == [
        "kubelet_config.contradiction node=%s %s" % (host, row) for host in ("cp-1", "w-1") for row in wanted
    ]


@pytest.mark.parametrize(
    ("given", "gone"),
    [
        ({}, []),
        ({"serializeImagePulls": True}, ["maxParallelImagePulls"]),
        ({"shutdownGracePeriod": "10s"}, ["shutdownGracePeriodCriticalPods"]),
        ({"shutdownGracePeriodCriticalPods": "30s"}, []),
        ({"shutdownGracePeriodByPodPriority": []}, ["shutdownGracePeriod", "shutdownGracePeriodCriticalPods"]),
    ],
)
def test_what_is_computed_does_not_contradict_what_is_given(given, gone):
    names = ("maxParallelImagePulls", "shutdownGracePeriod", "shutdownGracePeriodCriticalPods")
    inputs = {"kube_cluster_domain": "x", "kube_swap": "off", "kube_reserved": {}, "kubelet_config": given}
    made = kubelet.config(machine(), inputs, (1, 37, 0))
    assert [name for name in names if name not in made] == gone


@pytest.mark.parametrize("kind", ["kubeadm", "k3s"])
@pytest.mark.parametrize(
    ("configs", "wanted"),
    [
        (
            {"registry.lan": {"token": "x"}},
            ["registries.config_without_port value=registry.lan limit=registry.lan:5000"],
        ),
        ({"registry.lan:5000": {"token": "x"}}, []),
        ({"registry.lan": {"token": "x"}, "registry.lan:5000": {"token": "x"}}, []),
        ({"other.lan": {"token": "x"}}, []),
    ],
)
def test_a_login_that_no_mirror_uses(kind, configs, wanted):
    mirrors = {"docker.io": {"endpoints": ["https://registry.lan:5000"]}}
    inputs = {"kube_distribution": kind, "kube_registries": {"mirrors": mirrors, "configs": configs}}
    plan = planner.cluster_plan(*inventory(1, 0, inputs))
    assert plan["refusals"] == [] and described(plan["warnings"]) == wanted
