# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each input is changed and dropped on a running cluster: a step, a refusal, a warning or a documented note follows."""

from __future__ import annotations

from pathlib import Path

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


def backups(schedule):
    return {"schedule": schedule, "to": [{"directory": "/srv/backups"}]}


def backend(name):
    return {"plugin": "flannel", "options": {"backend": name}}


def database(name):
    return "postgres://k3s:hunter2@db:5432/" + name


# Inputs that another one needs.
EXTERNAL = {"kube_needs": ["external_database"], "k3s_datastore_endpoint": database("one")}
BESIDE = {
    "k3s_datastore_endpoint": EXTERNAL,
    "k3s_datastore_tls": EXTERNAL,
    "k3s_keep": {"k3s_helm_charts": [{"name": "metallb", "chart": "metallb"}]},
}
# Input: its first value, another one, what follows the change, what follows when it is dropped.
BOTH = {
    "kube_api_port": (7000, 7001, "inputs.fixed", "inputs.fixed"),
    "kube_backup": (backups("daily"), backups("weekly"), {"backup"}, {"backup"}),
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
    "kube_artifacts": ({"source": "https://a.example"}, {"versions": {"runc": "1.4.1"}}, "inputs.no_effect", NOTE),
    "kube_network": (backend("wireguard-native"), backend("host-gw"), "network.backend_fixed", "network.backend_fixed"),
    "k3s_datastore_endpoint": (database("one"), database("two"), "datastore.other_database", "datastore.no_endpoint"),
    "k3s_datastore_tls": ({"ca": PEM}, {"ca": PEM.replace("MIIB", "MIIC")}, {"credentials"}, {"k3s"}),
    "k3s_keep": (["servicelb"], ["traefik"], {"k3s"}, {"k3s"}),
    "kube_api_endpoint": ({"address": "10.0.0.100"}, {"address": "10.0.0.101"}, {"k3s"}, {"k3s"}),
    "kube_cluster_name": ("one", "two", NOTE, NOTE),
    "k3s_config": ({"debug": True}, {"debug": False}, {"k3s"}, {"k3s"}),
    "k3s_disable": (["traefik"], ["servicelb"], {"k3s"}, {"k3s"}),
    "k3s_embedded_registry": (True, False, {"k3s"}, {"k3s"}),
    "k3s_hardened": (True, False, {"k3s", "settings"}, {"k3s", "settings"}),
    "k3s_helm_charts": ([{"name": "a", "chart": "a"}], [{"name": "a", "chart": "b"}], {"k3s"}, "auto_deploy.kept"),
    "k3s_helm_configs": (
        [{"name": "traefik", "values": {"a": 1}}],
        [{"name": "traefik", "values": {"a": 2}}],
        {"k3s"},
        "auto_deploy.kept",
    ),
    "k3s_images": ("archive", "pull", NOTE, NOTE),
    "k3s_manifests": ([{"name": "a", "content": MAP}], [{"name": "b", "content": MAP}], {"k3s"}, "auto_deploy.kept"),
    "k3s_secrets_encryption": (True, False, NOTE, NOTE),
    "k3s_token": ("hunter2hunter2", "hunter3hunter3", NOTE, NOTE),
}
# What they do needs other facts: the test, and what it looks for.
ELSEWHERE = {
    "kube_manifests": ("plan/test_in_cluster.py", "test_changes_of_the_inventory"),
    "k3s_binary": ("k3s/test_artifacts.py", "test_an_existing_binary_of_another_version_or_path_is_refused"),
    "k3s_datastore": ("k3s/test_datastore.py", "test_no_other_change_of_a_datastore"),
    "k3s_install_method": ("k3s/test_artifacts.py", "test_the_script_makes_the_service"),
    "k3s_install_script": ("k3s/test_artifacts.py", "test_an_interrupted_script_runs_again"),
    "k3s_join_token": ("k3s/test_agents_only.py", "test_joined_agents_keep_their_token"),
    "k3s_server_url": ("k3s/test_agents_only.py", "test_joined_agents_follow_another_address"),
}
# They differ from host to host, or are the distribution itself: below.
BELOW = {"kube_distribution", "kube_node_ip", "kube_node_name"}
CASES = [
    (distribution, name, *row)
    for distribution, table in (("kubeadm", {**BOTH, **KUBEADM}), ("k3s", {**BOTH, **K3S}))
    for name, row in sorted(table.items())
]


# Of inputs without a row: a value that is not the default.
VALUES = {
    "k3s_binary": "/opt/k3s",
    "k3s_bootstrap_token_ttl": "1h",
    "k3s_convert_datastore": True,
    "k3s_datastore": "etcd",
    "k3s_install_method": "existing",
    "k3s_install_script": {"checksum": "a" * 64},
    "k3s_join_token": "hunter2hunter2",
    "k3s_server_url": "https://k3s.example:6443",
    "k3s_timeout": 90,
    "kubeadm_ignore_preflight_errors": ["Swap"],
    "kubeadm_timeout": 90,
}
OTHER = {"kubeadm": "k3s", "k3s": "kubeadm"}
KINDS = pytest.mark.parametrize("distribution", sorted(OTHER))


@KINDS
def test_every_input_is_here(distribution):
    quiet = (lifecycle.Change.RUN, lifecycle.Change.CONTROLLER)  # test_lifecycle.py changes each of them
    rest = {name for name, row in lifecycle.LIFECYCLE.items() if row.change in quiet}
    table = {**BOTH, **(KUBEADM if distribution == "kubeadm" else K3S)}
    known = {name for name in schema.specification() if not name.startswith(OTHER[distribution] + "_")}
    assert (set(table) | set(ELSEWHERE) | BELOW | rest) & known == known and set(table) <= known


def test_what_is_tested_elsewhere_is_there():
    for path, name in ELSEWHERE.values():
        assert "def %s(" % name in (Path(__file__).parents[1] / path).read_text(), (path, name)


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
    hosts, groups = running({"kube_distribution": distribution, **BESIDE.get(name, {}), name: first})
    former = planner.cluster_plan(hosts, groups)
    plan = planner.cluster_plan(with_inputs(hosts, **{name: None if dropped else other}), groups)
    before, after = outcome(former), outcome(plan)
    expected = drop if dropped else change
    if expected == NOTE:
        assert after <= before and lifecycle.LIFECYCLE[name].note, after
    else:
        assert (after - before) & ({expected} if isinstance(expected, str) else expected), after
        assert said(plan) - said(former), "the plan's text does not say so"


@KINDS
def test_an_input_of_the_other_distribution_is_named(distribution):
    table = {**VALUES, **{name: row[0] for name, row in {**KUBEADM, **K3S}.items()}}
    hosts, groups = running({"kube_distribution": distribution})
    for name in schema.specification():
        if name.startswith(OTHER[distribution] + "_"):
            plan = planner.cluster_plan(with_inputs(hosts, **{name: table[name]}), groups)
            assert [(row["id"], row["value"]) for row in plan["warnings"]] == [("inputs.no_effect", name)]
            assert {row["id"] for row in plan["refusals"]} <= {
                "k3s_server_url.with_servers",
                "k3s_join_token.no_server_url",
            }


@KINDS
def test_another_distribution_is_refused_and_none_keeps_it(distribution):
    hosts, groups = running({"kube_distribution": distribution})
    plan = planner.cluster_plan(with_inputs(hosts, kube_distribution=OTHER[distribution]), groups)
    assert "distribution.fixed" in outcome(plan)
    plan = planner.cluster_plan(with_inputs(hosts, kube_distribution=None), groups)
    assert plan["distribution"] == distribution and outcome(plan) == set()


def changed(hosts, host, **inputs):
    """The same hosts with other inputs of one of them."""
    return {**hosts, **with_inputs({host: hosts[host]}, **inputs)}


@KINDS
@pytest.mark.parametrize("host", ["cp-2", "w-1"])
def test_a_node_keeps_its_name(distribution, host):
    hosts, groups = running({"kube_distribution": distribution})
    for name, row in hosts.items():
        row["info"]["cluster"]["node_name"] = name
    renamed = planner.cluster_plan(changed(hosts, host, kube_node_name="other"), groups)
    assert outcome(renamed) == {"member.renamed"}
    # Dropped where the machine has another name.
    hosts = changed(hosts, host, kube_node_name=host)
    hosts[host]["info"]["hostname"] = "other"
    assert outcome(planner.cluster_plan(hosts, groups)) == set()
    assert outcome(planner.cluster_plan(changed(hosts, host, kube_node_name=None), groups)) == {"member.renamed"}


@KINDS
@pytest.mark.parametrize("host", ["cp-2", "w-1"])
def test_a_node_keeps_its_address_or_takes_another_with_a_step(distribution, host):
    hosts, groups = running({"kube_distribution": distribution})
    row = {"address": "10.1.0.9", "prefix": 24, "family": 4, "scope": "global"}
    hosts[host]["info"]["network"]["interfaces"].append({"name": "eth1", "mtu": 1500, "up": True, "addresses": [row]})
    hosts = changed(hosts, host, kube_node_ip="eth0")
    assert outcome(planner.cluster_plan(hosts, groups)) == set()
    found = outcome(planner.cluster_plan(changed(hosts, host, kube_node_ip="eth1"), groups))
    assert found == {"k3s"} if (distribution, host) == ("k3s", "w-1") else "address.fixed" in found
    assert outcome(planner.cluster_plan(changed(hosts, host, kube_node_ip=None), groups)) == set()
    assert lifecycle.LIFECYCLE["kube_node_ip"].note
