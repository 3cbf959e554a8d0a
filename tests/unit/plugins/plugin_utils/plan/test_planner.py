# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan: what it calls for on bare, running, half-made and changed clusters."""

from __future__ import annotations

import copy
import random

import pytest
import yaml
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.plugins.plugin_utils.report import plan_text as report
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described, ids
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import applied, inventory, machine


def running(control_planes=3, workers=1, inputs=None):
    """(hosts, groups, plan that made them) of a cluster that is as it should be."""
    hosts, groups = inventory(control_planes, workers, inputs)
    plan = planner.cluster_plan(hosts, groups)
    assert plan["refusals"] == []
    for host in hosts:
        hosts[host]["info"] = applied(hosts[host]["info"], plan["nodes"][host], plan)
    return hosts, groups, plan


def stages(plan):
    return {host: [stage for stage in node["stages"] if stage != "leader"] for host, node in plan["nodes"].items()}


def test_bare_cluster():
    plan = planner.cluster_plan(*inventory())
    assert stages(plan) == {
        "cp-1": ["prepare", "start"],
        "cp-2": ["prepare", "start", "join"],
        "cp-3": ["prepare", "start", "join"],
        "w-1": ["prepare", "start", "join"],
    }
    assert [node["action"] for node in plan["nodes"].values()] == ["init", "pull", "pull", "pull"]


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {"kube_api_endpoint": {"address": "10.0.0.100"}},
        {"kube_network": {"plugin": "kube-router"}},
        {"kube_network": {"plugin": "none"}},
    ],
)
def test_a_node_that_is_as_it_should_be_gets_no_step(inputs):
    hosts, groups, _plan = running(inputs=inputs)
    plan = planner.cluster_plan(hosts, groups)
    assert {host: node["steps"] for host, node in plan["nodes"].items()} == {host: {} for host in hosts}
    assert all(found == [] for found in stages(plan).values())
    assert "Every node is as it should be: nothing to do." in report.text(plan)


def test_a_node_that_left_the_inventory_is_named():
    hosts, groups, _plan = running()
    assert planner.cluster_plan(hosts, groups)["warnings"] == []
    del hosts["w-1"]
    groups["kube_node"].remove("w-1")
    assert described(planner.cluster_plan(hosts, groups)["warnings"]) == ["node.not_in_inventory value=['w-1']"]
    # With --limit a host of the inventory may be the one.
    hosts["w-9"] = {"info": None, "inputs": {}}
    assert planner.cluster_plan(hosts, groups)["warnings"] == []


def test_order_of_hosts_does_not_matter():
    hosts, groups = inventory(3, 5)
    expected = planner.cluster_plan(hosts, groups)
    for seed in range(5):
        names = list(hosts)
        random.Random(seed).shuffle(names)
        shuffled = {role: random.Random(seed).sample(members, len(members)) for role, members in groups.items()}
        assert planner.cluster_plan({name: hosts[name] for name in names}, shuffled) == expected


def test_the_plan_leaves_its_input_alone():
    hosts, groups = inventory()
    before = copy.deepcopy(hosts)
    planner.cluster_plan(hosts, groups)
    assert hosts == before


def test_adding_a_worker_touches_nobody_else():
    hosts, groups, _plan = running()
    hosts["w-2"] = {"info": machine("w-2", "10.0.0.30"), "inputs": {}}
    groups["kube_node"].append("w-2")
    assert stages(planner.cluster_plan(hosts, groups)) == {
        "cp-1": [],
        "cp-2": [],
        "cp-3": [],
        "w-1": [],
        "w-2": ["prepare", "start", "join"],
    }


def test_adding_control_planes_tells_the_endpoints_only():
    hosts, groups, _plan = running(control_planes=1)
    for number in (2, 3):
        hosts["cp-%d" % number] = {"info": machine("cp-%d" % number, "10.0.0.4%d" % number), "inputs": {}}
        groups["kube_control_plane"].append("cp-%d" % number)
    plan = planner.cluster_plan(hosts, groups)
    assert stages(plan)["cp-1"] == ["endpoint"] and stages(plan)["w-1"] == ["endpoint"]
    assert plan["nodes"]["w-1"]["services"] == {"kube-endpoint": "reloaded"}


def test_half_made_init_is_finished_where_it_began():
    hosts, groups = inventory()
    hosts["cp-2"]["info"]["cluster"].update(
        manifests=["etcd.yaml", "kube-apiserver.yaml"], etcd_data=True, role="control_plane"
    )
    plan = planner.cluster_plan(hosts, groups)
    assert (
        plan["leader"] == "cp-2"
        and plan["nodes"]["cp-2"]["action"] == "init"
        and plan["nodes"]["cp-1"]["action"] == "pull"
    )


@pytest.mark.parametrize("missing", ["learner", "label", "etcd member"])
def test_half_joined_control_plane_joins_again(missing):
    hosts, groups, _plan = running()
    for host in ("cp-1", "cp-2"):
        live = hosts[host]["info"]["cluster"]["live"]
        if missing == "learner":
            live["etcd_members"][2]["learner"] = True
        elif missing == "label":
            live["nodes"][2]["labels"] = {}
        else:
            live["etcd_members"].pop()
    hosts["cp-3"]["info"]["cluster"]["live"] = None
    plan = planner.cluster_plan(hosts, groups)
    assert stages(plan) == {"cp-1": [], "cp-2": [], "cp-3": ["start", "join"], "w-1": []}


def test_any_control_plane_can_lead():
    hosts, groups, _plan = running()
    hosts["cp-1"] = {"info": machine("cp-1", "10.0.0.11"), "inputs": {}}
    for host in ("cp-2", "cp-3"):
        live = hosts[host]["info"]["cluster"]["live"]
        live["nodes"], live["etcd_members"] = live["nodes"][1:], live["etcd_members"][1:]
    plan = planner.cluster_plan(hosts, groups)
    assert plan["leader"] == "cp-2" and plan["nodes"]["cp-1"]["action"] == "pull"
    assert plan["nodes"]["cp-2"]["kubeadm"]["init"].count("advertiseAddress: '10.0.0.12'") == 1


def test_a_stopped_cluster_is_started_together():
    hosts, groups, _plan = running()
    for host in hosts:
        hosts[host]["info"]["cluster"]["live"] = None
        hosts[host]["info"]["services"]["kubelet"]["active"] = "inactive"
    plan = planner.cluster_plan(hosts, groups)
    assert stages(plan) == {"cp-1": ["prepare", "start"], "cp-2": ["prepare"], "cp-3": ["prepare"], "w-1": ["prepare"]}
    assert plan["nodes"]["cp-1"]["action"] == "wait" and plan["nodes"]["w-1"]["services"] == {"kubelet": "started"}


def test_a_changed_setting_restarts_what_reads_it():
    hosts, groups, _plan = running()
    hosts["w-1"]["inputs"]["kubelet_config"] = {"maxPods": 50}
    plan = planner.cluster_plan(hosts, groups)
    assert stages(plan)["w-1"] == ["roll"] and plan["nodes"]["w-1"]["services"] == {"kubelet": "restarted"}


def test_a_run_killed_between_file_and_restart_is_finished():
    hosts, groups, _plan = running()
    hosts["w-1"]["info"]["files"]["/etc/kubernetes/kubelet.conf.d/10-kubewright.conf"]["mtime"] = 300.0
    plan = planner.cluster_plan(hosts, groups)
    assert plan["nodes"]["w-1"]["services"] == {"kubelet": "restarted"}


@pytest.mark.parametrize(
    ("distribution", "path"),
    [
        ("kubeadm", "/etc/kubernetes/kubelet.conf.d/10-kubewright.conf"),
        ("kubeadm", "/usr/local/bin/kubelet"),
        ("kubeadm", "/etc/kubewright/endpoint/haproxy.cfg"),
        ("k3s", "/etc/rancher/k3s/config.yaml"),
    ],
)
def test_a_file_from_before_the_clock_was_set_back_restarts_nothing(distribution, path):
    """Its time is in the future, and stays later than each restart for as long as the clock was wrong."""
    hosts, groups, _plan = running(inputs={"kube_distribution": distribution})
    info = hosts["w-1"]["info"]
    row = info["files"].get(path) or info["artifacts"].get(path)
    assert row, sorted(info["files"])
    for seconds, restarts in ((300.0, True), (9 * 3600.0, False)):
        row["mtime"] = seconds
        assert bool(planner.cluster_plan(hosts, groups)["nodes"]["w-1"]["services"]) is restarts


def test_registry_files_need_no_restart():
    hosts, groups, _plan = running()
    for host in hosts:
        hosts[host]["inputs"]["kube_registries"] = {"mirrors": {"docker.io": {"endpoints": ["https://mirror.example"]}}}
    plan = planner.cluster_plan(hosts, groups)
    assert plan["nodes"]["w-1"]["steps"].keys() == {"containerd"} and plan["nodes"]["w-1"]["services"] == {}


def test_running_version_is_kept():
    hosts, groups, _plan = running(inputs={"kube_version": "1.35"})
    for host in hosts:
        hosts[host]["inputs"] = {}
    assert planner.cluster_plan(hosts, groups)["version"] == "1.35.4"


def test_another_version_than_the_running_one_is_refused():
    hosts, groups, _plan = running(inputs={"kube_version": "1.35"})
    for host in hosts:
        hosts[host]["inputs"] = {"kube_version": "1.36"}
    assert ids(planner.cluster_plan(hosts, groups)["refusals"])[0] == "version.differs"


def test_no_secret_in_the_plan():
    secret = "s3cr3t-word"
    registries = {
        "configs": {"r.example": {"username": "u", "password": secret}},
        "mirrors": {"docker.io": {"endpoints": ["https://r.example"]}},
    }
    plan = planner.cluster_plan(
        *inventory(
            inputs={"kube_registries": registries, "kube_http_proxy": {"http": "http://u:%s@proxy:3128" % secret}}
        )
    )
    assert plan["refusals"] == [] and "credentials" in plan["nodes"]["w-1"]["steps"]
    assert secret not in repr(plan) and "dTpzM2NyM3Qtd29yZA" not in repr(plan)


@pytest.mark.parametrize(("groups", "expected"), [
    ({"server": ["a"], "agent": ["b"]}, (["a"], ["b"])),
    ({"kube_control_plane": ["b", "a"], "kube_node": ["a", "c"]}, (["a", "b"], ["c"])),
    ({"kube_control_plane": ["a"], "server": ["zabbix"], "agent": ["jenkins"]}, (["a"], [])),
    ({"kube_node": ["a"], "server": ["zabbix"]}, ([], ["a"])),
    ({}, ([], [])),
])  # fmt: skip
def test_groups(groups, expected):
    assert planner.roles_of(groups) == expected


def test_firewalls_are_named_and_left_alone():
    hosts, groups = inventory()
    hosts["w-1"]["info"]["firewall"] = {"ufw": "active", "iptables_forward_policy": "DROP"}
    plan = planner.cluster_plan(hosts, groups)
    assert plan["refusals"] == [] and described(plan["warnings"]) == [
        "firewall.active node=w-1 value=ufw",
        "firewall.drops_forwarded node=w-1",
    ]


def test_a_bare_off_is_off():
    plan = planner.cluster_plan(*inventory(inputs={"kube_swap": False}))
    assert plan["refusals"] == [] and plan["nodes"]["w-1"]["settings"]["swap"] == "off"


def with_stored(hosts, **changes):
    """The cluster's own record of its configuration, as kubeadm keeps it."""
    stored = {
        "apiServer": {"certSANs": ["127.0.0.1", "localhost"]},
        "clusterName": "kubernetes",
        "controlPlaneEndpoint": "127.0.0.1:7443",
        "networking": {"dnsDomain": "cluster.local", "podSubnet": "10.244.0.0/16", "serviceSubnet": "10.96.0.0/12"},
        "etcd": {"local": {"dataDir": "/var/lib/etcd"}},
        **changes,
    }
    for node in hosts.values():
        if node["info"]["cluster"]["live"]:
            node["info"]["cluster"]["live"]["kubeadm_config"] = {"ClusterConfiguration": yaml.safe_dump(stored)}


def test_the_stored_configuration_calls_for_nothing():
    hosts, groups, _plan = running()
    with_stored(hosts)
    plan = planner.cluster_plan(hosts, groups)
    assert plan["refusals"] == [] and plan["drift"] == [] and not any(stages(plan).values())


def test_a_changed_argument_reaches_each_control_plane():
    hosts, groups, _plan = running()
    with_stored(hosts)
    for node in hosts.values():
        node["inputs"]["kubeadm_cluster_config"] = {"apiServer": {"extraArgs": [{"name": "v", "value": "3"}]}}
    plan = planner.cluster_plan(hosts, groups)
    assert stages(plan) == {"cp-1": ["change"], "cp-2": ["change"], "cp-3": ["change"], "w-1": []}
    assert "advertiseAddress: '10.0.0.13'" in plan["nodes"]["cp-3"]["kubeadm"]["init"]


def test_a_dropped_argument_is_taken_away():
    hosts, groups, _plan = running()
    with_stored(hosts, scheduler={"extraArgs": [{"name": "v", "value": "3"}]})
    assert stages(planner.cluster_plan(hosts, groups))["cp-1"] == ["change"]


def test_what_a_cluster_is_made_with_is_refused_to_change():
    hosts, groups, _plan = running()
    with_stored(hosts, controlPlaneEndpoint="10.0.0.100:7443", networking={"podSubnet": "10.99.0.0/16"})
    found = {(row["id"], row["limit"]) for row in planner.cluster_plan(hosts, groups)["refusals"]}
    assert found == {("inputs.fixed", "10.0.0.100:7443"), ("inputs.fixed", "10.99.0.0/16")}


@pytest.mark.parametrize(
    ("inputs", "problem"),
    [
        (
            {"kubeadm_cluster_config": {"etcd": {"local": {"extraArgs": [{"name": "snapshot-count", "value": "1"}]}}}},
            "cluster_config.not_applied",
        ),
        ({"kubeadm_cluster_config": {"imageRepository": "r.example"}}, "cluster_config.not_applied"),
        ({"kubeadm_proxy_config": {"conntrack": {"min": 2}}}, "proxy_config.not_applied"),
        ({"kube_api_port": 7000}, "inputs.fixed"),
    ],
)
def test_what_site_does_not_apply_to_a_running_cluster_is_reported(inputs, problem):
    hosts, groups, _plan = running()
    with_stored(hosts)
    for node in hosts.values():
        live = node["info"]["cluster"]["live"]
        if live:
            live.update(api_port=6443, proxy_config="conntrack:\n  min: 1\n  tcpEstablishedTimeout: 1h0m0s\n")
        node["inputs"].update(inputs)
    plan = planner.cluster_plan(hosts, groups)
    assert set(ids(plan["refusals"] or plan["warnings"])) == {problem}


def test_what_a_running_cluster_has_already_is_not_refused():
    hosts, groups, _plan = running()
    with_stored(
        hosts, etcd={"local": {"dataDir": "/var/lib/etcd", "extraArgs": [{"name": "snapshot-count", "value": "1"}]}}
    )
    inputs = {
        "kubeadm_cluster_config": {"etcd": {"local": {"extraArgs": [{"name": "snapshot-count", "value": "1"}]}}},
        "kubeadm_proxy_config": {"conntrack": {"tcpEstablishedTimeout": "1h"}},
    }
    for node in hosts.values():
        live = node["info"]["cluster"]["live"]
        if live:
            live.update(api_port=6443, proxy_config="conntrack:\n  min: 1\n  tcpEstablishedTimeout: 1h0m0s\n")
        node["inputs"].update(inputs)
    plan = planner.cluster_plan(hosts, groups)
    assert plan["refusals"] == [] and not any(stages(plan).values())


def test_arguments_of_the_users_keep_those_of_the_plan():
    own = {"nodeRegistration": {"kubeletExtraArgs": [{"name": "v", "value": "4"}]}}
    plan = planner.cluster_plan(*inventory(inputs={"kubeadm_init_config": own}))
    made = next(yaml.safe_load_all(plan["nodes"]["cp-1"]["kubeadm"]["init"]))
    arguments = {item["name"]: item["value"] for item in made["nodeRegistration"]["kubeletExtraArgs"]}
    assert plan["refusals"] == [] and arguments == {"node-ip": "10.0.0.11", "v": "4"}


@pytest.mark.parametrize("host", ["cp-2", "w-1"])
def test_what_a_killed_run_took_out_of_the_endpoint_is_returned_by_a_reload(host):
    hosts, groups, _plan = running()
    hosts[host]["info"]["endpoint_drained"] = ["cp-1"]
    node = planner.cluster_plan(hosts, groups)["nodes"][host]
    assert node["steps"] == {"endpoint": ["cp-1 was taken out for a change, and was not returned"]}
    assert node["services"] == {"kube-endpoint": "reloaded"} and node["stages"][0] == "endpoint"
