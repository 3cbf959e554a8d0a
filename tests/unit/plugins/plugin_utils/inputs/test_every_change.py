# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each input is changed and dropped on a running cluster: a step, a refusal, a warning or a documented note follows."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.inputs import lifecycle, schema
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.plugins.plugin_utils.report import plan_text, summary, todo
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.clusters import running, with_inputs

NOTE = "note"  # nothing happens now, and the table of inputs says why
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
MAP = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}"


def mirror(name):
    return {"mirrors": {name: {"endpoints": ["https://mirror.example"]}}}


def arguments(value):
    return {"nodeRegistration": {"kubeletExtraArgs": [{"name": "v", "value": value}]}}


# Input: its first value, another one, what follows the change, what follows when it is dropped.
BOTH = {
    "kube_api_port": (7000, 7001, "inputs.fixed", "inputs.fixed"),
    "kube_api_sans": (["a.example"], ["b.example"], {"control-plane", "k3s"}, {"control-plane", "k3s"}),
    "kube_cluster_domain": ("one.local", "two.local", "inputs.fixed", "inputs.fixed"),
    "kube_data_dir": ("/srv/one", "/srv/two", "data_dir.fixed", "data_dir.fixed"),
    "kube_http_proxy": (
        {"http": "http://a.example:3128"},
        {"http": "http://b.example:3128"},
        {"credentials"},
        {"containerd", "k3s"},
    ),
    "kube_journald": ("volatile", "keep", {"settings"}, {"settings"}),
    "kube_needs": (["many_nodes"], ["high_availability"], NOTE, NOTE),
    "kube_node_labels": ({"a": "1"}, {"a": "2"}, "objects", "objects"),
    "kube_node_taints": (["a=1:NoSchedule"], ["b=1:NoSchedule"], "objects", "objects"),
    "kube_pod_cidrs": (["10.50.0.0/16"], ["10.51.0.0/16"], "inputs.fixed", "inputs.fixed"),
    "kube_proxy_mode": ("nftables", "iptables", "inputs.fixed", NOTE),
    "kube_registries": (mirror("docker.io"), mirror("quay.io"), {"containerd", "k3s"}, {"containerd", "k3s"}),
    "kube_reserved": ({"kube_memory": "700Mi"}, {"kube_memory": "701Mi"}, {"kubelet", "k3s"}, {"kubelet", "k3s"}),
    "kube_service_cidrs": (["10.60.0.0/16"], ["10.61.0.0/16"], "inputs.fixed", "inputs.fixed"),
    "kube_swap": ("keep", "off", {"kubelet", "k3s"}, {"kubelet", "k3s"}),
    "kube_time_service": ("chrony", "leave", NOTE, NOTE),
    "kube_version": ("1.36", "1.35", "version.differs", NOTE),
    "kubelet_config": ({"maxPods": 50}, {"maxPods": 51}, {"kubelet", "k3s"}, {"kubelet", "k3s"}),
}
KUBEADM = {
    "kube_api_endpoint": ({"address": "10.0.0.100"}, {"address": "10.0.0.101"}, "inputs.fixed", "inputs.fixed"),
    "kube_artifacts": (
        {"versions": {"runc": "1.4.1"}},
        {"versions": {"runc": "1.4.2"}},
        "component.kept",
        "component.newer",
    ),
    "kube_cluster_name": ("one", "two", "inputs.fixed", "inputs.fixed"),
    "kube_network": ({"plugin": "kube-router"}, {"plugin": "bridge"}, "inputs.fixed", NOTE),
    "kubeadm_cluster_config": (
        {"imageRepository": "a.example"},
        {"imageRepository": "b.example"},
        "cluster_config.not_applied",
        "cluster_config.dropped",
    ),
    "kubeadm_init_config": (arguments("2"), arguments("3"), NOTE, NOTE),
    "kubeadm_join_config": (arguments("2"), arguments("3"), "kubelet_args.kept", "kubelet_args.kept"),
    "kubeadm_proxy_config": ({"conntrack": {"min": 2}}, {"conntrack": {"min": 3}}, NOTE, NOTE),
}
K3S = {
    "kube_api_endpoint": ({"address": "10.0.0.100"}, {"address": "10.0.0.101"}, {"k3s"}, {"k3s"}),
    "kube_cluster_name": ("one", "two", NOTE, NOTE),
    "k3s_config": ({"debug": True}, {"debug": False}, {"k3s"}, {"k3s"}),
    "k3s_disable": (["traefik"], ["servicelb"], {"k3s"}, {"k3s"}),
    "k3s_embedded_registry": (True, False, {"k3s"}, {"k3s"}),
    "k3s_hardened": (True, False, {"k3s", "settings"}, {"k3s", "settings"}),
    "k3s_helm_charts": ([{"name": "a", "chart": "a"}], [{"name": "a", "chart": "b"}], {"k3s"}, {"k3s"}),
    "k3s_helm_configs": (
        [{"name": "traefik", "values": {"a": 1}}],
        [{"name": "traefik", "values": {"a": 2}}],
        {"k3s"},
        {"k3s"},
    ),
    "k3s_images": ("archive", "pull", NOTE, NOTE),
    "k3s_manifests": ([{"name": "a", "content": MAP}], [{"name": "b", "content": MAP}], {"k3s"}, {"k3s"}),
    "k3s_secrets_encryption": (True, False, NOTE, NOTE),
    "k3s_token": ("hunter2hunter2", "hunter3hunter3", NOTE, NOTE),
}
# Where they are tested: what they do needs other facts, or concerns the run or the controller only.
ELSEWHERE = {
    "kube_distribution": "distribution.fixed: test_choose_distribution.py",
    "kube_node_ip": "address.fixed: network/test_node_addresses.py",
    "kube_node_name": "member.renamed: test_bad_input.py",
    "kube_manifests": "plan/test_cluster_objects.py, modules/test_cluster_objects_deletes.py",
    "k3s_binary": "k3s/test_artifacts.py",
    "k3s_convert_datastore": "k3s/test_datastore.py",
    "k3s_datastore": "k3s/test_datastore.py",
    "k3s_datastore_endpoint": "datastore.other_database: plan/test_fixed_for_life.py",
    "k3s_datastore_tls": "k3s/test_datastore.py",
    "k3s_install_method": "k3s/test_artifacts.py",
    "k3s_install_script": "k3s/test_artifacts.py",
    "k3s_join_token": "k3s/test_agents_only.py",
    "k3s_keep": "k3s/test_packaged_components.py",
    "k3s_server_url": "k3s/test_agents_only.py",
}
CASES = [
    (distribution, name, *row)
    for distribution, table in (("kubeadm", {**BOTH, **KUBEADM}), ("k3s", {**BOTH, **K3S}))
    for name, row in sorted(table.items())
]


def test_every_input_is_here():
    quiet = (lifecycle.Change.RUN, lifecycle.Change.CONTROLLER)  # test_lifecycle.py changes each of them
    rest = {name for name, row in lifecycle.LIFECYCLE.items() if row.change in quiet}
    assert set(BOTH) | set(KUBEADM) | set(K3S) | set(ELSEWHERE) | rest == set(schema.specification())


def said(plan):
    """What is wrong and what will be done, in the words of the plan's text."""
    found = [str(task) for task in todo.tasks(plan)]
    found += [str(row) for row in summary.found(plan["warnings"] + plan["refusals"], plan["nodes"])]
    text = "".join("".join(plan_text.text(plan)).split())
    assert all("".join(words.split()) in text for words in found)
    return set(found)


def outcome(plan):
    """What a plan says of a running cluster: refusals' ids, or else steps, changed objects and warnings' ids."""
    if plan["refusals"]:
        return {row["id"] for row in plan["refusals"]}
    nodes = plan["nodes"].values()
    found = {step for node in nodes for step in node["steps"]} | {row["id"] for row in plan["warnings"]}
    return found | ({"objects"} if any(node["object_changes"] for node in nodes) else set())


@pytest.mark.parametrize("dropped", [False, True], ids=["changed", "dropped"])
@pytest.mark.parametrize(
    ("distribution", "name", "first", "other", "change", "drop"), CASES, ids=["-".join(case[:2]) for case in CASES]
)
def test_a_change_is_never_silent(distribution, name, first, other, change, drop, dropped):
    hosts, groups = running({"kube_distribution": distribution, name: first})
    former = planner.cluster_plan(hosts, groups)
    plan = planner.cluster_plan(with_inputs(hosts, **{name: None if dropped else other}), groups)
    before, after = outcome(former), outcome(plan)
    expected = drop if dropped else change
    if expected == NOTE:
        assert after <= before and lifecycle.LIFECYCLE[name].note, after
    else:
        assert (after - before) & ({expected} if isinstance(expected, str) else expected), after
        assert said(plan) - said(former), "the plan's text does not say so"
