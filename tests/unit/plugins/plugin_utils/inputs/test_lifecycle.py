# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every input says what changing it means for a running cluster."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.base import model
from ansible_collections.kubewright.cluster.plugins.plugin_utils.inputs import lifecycle, schema
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import ids
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import applied, inventory


def running(inputs=None):
    """A cluster of three control planes and a worker, with the facts that its own plan leads to."""
    hosts, groups = inventory(3, 1, inputs or {})
    plan = planner.cluster_plan(hosts, groups)
    assert plan["refusals"] == []
    for host, node in plan["nodes"].items():
        hosts[host] = {**hosts[host], "info": applied(hosts[host]["info"], node, plan)}
        if hosts[host]["info"]["cluster"].get("live"):
            hosts[host]["info"]["cluster"]["live"]["api_port"] = 6443
            hosts[host]["info"]["cluster"]["port"] = 6443
    return hosts, groups


def with_inputs(hosts, **inputs):
    return {host: {**row, "inputs": {**row["inputs"], **inputs}} for host, row in hosts.items()}


def test_the_table_is_complete():
    assert set(lifecycle.LIFECYCLE) == set(schema.specification())


def test_a_rolling_input_names_steps_that_plans_have():
    documented = model.PlanNode.__annotations__["steps"]
    for name, row in lifecycle.LIFECYCLE.items():
        if row.change is lifecycle.Change.ROLLING:
            assert row.steps, name
            assert all("`%s`" % step in str(documented) for step in row.steps), name


def test_what_is_fixed_for_life_can_be_compared():
    for name, row in lifecycle.LIFECYCLE.items():
        if row.change is lifecycle.Change.BIRTH:
            assert row.configuration or row.setting or row.fact or "compared" in row.note, name


@pytest.mark.parametrize("distribution", ["kubeadm", "k3s"])
@pytest.mark.parametrize(
    "changed",
    [
        {"kube_api_port": 7000},
        {"kube_pod_cidrs": ["10.50.0.0/16"]},
        {"kube_service_cidrs": ["10.60.0.0/16"]},
        {"kube_cluster_domain": "other.local"},
        {"kube_version": "1.36"},
    ],
)
def test_what_is_fixed_for_life_is_refused_on_a_running_cluster(distribution, changed):
    hosts, groups = running({"kube_distribution": distribution})
    if distribution == "k3s":
        for host in groups["kube_control_plane"]:
            hosts[host]["info"]["cluster"]["settings"] = {
                "cluster-cidr": ["10.244.0.0/16"],
                "service-cidr": ["10.96.0.0/12"],
                "cluster-domain": ["cluster.local"],
            }
    assert planner.cluster_plan(hosts, groups)["refusals"] == []
    assert planner.cluster_plan(with_inputs(hosts, **changed), groups)["refusals"]


def test_the_port_of_a_running_api_server_is_named():
    hosts, groups = running()
    found = planner.cluster_plan(with_inputs(hosts, kube_api_port=7000), groups)["refusals"]
    assert set(ids(found)) == {"inputs.fixed"} and (found[0]["value"], found[0]["limit"]) == (7000, 6443)


# A change of each of these on a running kubeadm cluster, and the steps that the plan must have on every node that it
# concerns.
ROLLING = {
    "kube_api_sans": ["api.example.com"],
    "kube_registries": {"mirrors": {"docker.io": {"endpoints": ["https://mirror.example"]}}},
    "kube_http_proxy": {"http": "http://proxy.example:3128"},
    "kube_reserved": {"kube_memory": "700Mi"},
    "kubelet_config": {"maxPods": 99},
    "kube_journald": "volatile",
    "kubeadm_cluster_config": {"apiServer": {"extraArgs": [{"name": "v", "value": "3"}]}},
}


@pytest.mark.parametrize("name", sorted(ROLLING))
def test_a_rolling_change_has_its_step(name):
    hosts, groups = running()
    plan = planner.cluster_plan(with_inputs(hosts, **{name: ROLLING[name]}), groups)
    assert plan["refusals"] == []
    steps = {step for node in plan["nodes"].values() for step in node["steps"]}
    assert steps & set(lifecycle.LIFECYCLE[name].steps), steps


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, row in lifecycle.LIFECYCLE.items()
        if row.change in (lifecycle.Change.RUN, lifecycle.Change.CONTROLLER)
    ],
)
def test_what_concerns_the_run_or_the_controller_changes_no_node(name):
    other = {
        "kube_hooks": {"after_cluster": "/x.yml"},
        "kube_kubeconfig": {"path": "/tmp/x"},
        "kube_workers_at_once": "2",
        "kube_clock_tolerance": 60,
        "kubeadm_ignore_preflight_errors": ["Swap"],
        "k3s_bootstrap_token_ttl": "2h",
    }
    kind = schema.specification()[name].get("type")
    value = other.get(name, {"bool": True, "int": 100}.get(kind))
    assert value is not None, name
    for distribution in ("kubeadm", "k3s"):
        if name.startswith((distribution, "kube_")):
            hosts, groups = running({"kube_distribution": distribution})
            plan = planner.cluster_plan(with_inputs(hosts, **{name: value}), groups)
            assert plan["refusals"] == [] and all(node["steps"] == {} for node in plan["nodes"].values())
