# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of K3s clusters: what it calls for on bare, running, changed and rebuilt ones."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.kubewright.cluster.plugins.plugin_utils.k3s import node_files, registries
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.plugins.plugin_utils.report import plan_page as page, plan_text as report
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import (
    applied,
    inventory,
    lost,
)

K3S = {"kube_distribution": "k3s"}


def running(control_planes=3, workers=1, inputs=None):
    """(hosts, groups, plan that made them) of a cluster that is as it should be."""
    hosts, groups = inventory(control_planes, workers, {**K3S, **(inputs or {})})
    plan = planner.cluster_plan(hosts, groups)
    assert plan["refusals"] == []
    for host in hosts:
        hosts[host]["info"] = applied(hosts[host]["info"], plan["nodes"][host], plan)
    return hosts, groups, plan


def config(plan, host):
    files = {entry["path"]: entry for entry in plan["nodes"][host]["files"]["k3s"]}
    assert files["/etc/rancher/k3s/config.yaml"]["mode"] == "0600"
    return yaml.safe_load(files["/etc/rancher/k3s/config.yaml"]["content"])


def todo(plan):
    return {host: (node["action"], node["stages"], sorted(node["steps"])) for host, node in plan["nodes"].items()}


def test_a_bare_cluster():
    plan = planner.cluster_plan(*inventory(3, 1, K3S))
    assert (plan["distribution"], plan["datastore"], plan["plugin"], plan["images"]) == (
        "k3s",
        "embedded etcd",
        "flannel",
        [],
    )
    assert {host: (node["action"], node["stages"]) for host, node in plan["nodes"].items()} == {
        "cp-1": ("init", ["prepare", "start", "join", "leader"]),
        "cp-2": ("join", ["prepare", "start", "join"]),
        "cp-3": ("join", ["prepare", "start", "join"]),
        "w-1": ("join", ["prepare", "start", "join"]),
    }
    assert config(plan, "cp-1")["cluster-init"] is True and "server" not in config(plan, "cp-1")
    assert config(plan, "cp-2")["server"] == config(plan, "w-1")["server"] == "https://10.0.0.11:6443"
    assert not any(node["files"]["endpoint"] or "haproxy" in node["packages"] for node in plan["nodes"].values())
    assert "cluster-cidr" not in config(plan, "w-1")
    (program,) = plan["nodes"]["w-1"]["programs"]
    assert program["url"] == "https://github.com/k3s-io/k3s/releases/download/v1.37.2%2Bk3s1/k3s"
    assert program["checksum_url"].endswith("/sha256sum-amd64.txt")


def test_the_start_of_a_single_server_is_awaited():
    plan = planner.cluster_plan(*inventory(1, 0, K3S))
    assert plan["nodes"]["cp-1"]["stages"] == ["prepare", "start", "leader"]


def test_a_plan_as_text_and_as_a_page():
    plan = planner.cluster_plan(*inventory(3, 1, K3S))
    lines = report.text(plan)
    assert lines[0].startswith("New cluster kubernetes: K3s 1.37.2 on 4 nodes (3 control planes, 1 worker)")
    assert lines[1].startswith(
        "  datastore embedded etcd; API endpoint 127.0.0.1:6444 (K3s's own load balancer on every node)"
    )
    assert "  cp-1: initialise the cluster" in lines and "  3 new nodes (cp-2, cp-3, w-1): join the cluster" in lines
    text = page.html(plan)
    assert "join the cluster" in text and "embedded etcd" in text


def test_a_single_server_uses_sqlite():
    plan = planner.cluster_plan(*inventory(1, 0, K3S))
    assert plan["datastore"] == "SQLite"
    assert not {"cluster-init", "server"} & set(config(plan, "cp-1"))


@pytest.mark.parametrize("size", [(1, 0), (1, 2), (3, 1)])
@pytest.mark.parametrize("inputs", [{}, {"kube_node_labels": {"disk": "ssd"}}, {"k3s_disable": ["traefik"]}])
def test_a_node_that_is_as_it_should_be_gets_no_step(size, inputs):
    hosts, groups, _plan = running(*size, inputs)
    plan = planner.cluster_plan(hosts, groups)
    assert plan["refusals"] == []
    assert all(row[0] == "" and set(row[1]) <= {"leader"} and row[2] == [] for row in todo(plan).values()), todo(plan)
    assert "Every node is as it should be: nothing to do." in report.text(plan)


def test_a_changed_setting_restarts_one_node_after_another():
    hosts, groups, _plan = running()
    for row in hosts.values():
        row["inputs"]["k3s_disable"] = ["traefik"]
    plan = planner.cluster_plan(hosts, groups)
    assert todo(plan)["cp-2"] == ("", ["change"], ["k3s"]) and todo(plan)["w-1"] == ("", [], [])
    assert plan["nodes"]["cp-2"]["services"] == {"k3s": "restarted"}


def test_agents_change_a_few_at_a_time_after_the_servers():
    hosts, groups, _plan = running(1, 3)
    for row in hosts.values():
        row["inputs"].update(kubelet_config={"maxPods": 50}, kube_workers_at_once="2")
    plan = planner.cluster_plan(hosts, groups)
    assert {host: node["stages"] for host, node in plan["nodes"].items()} == {
        "cp-1": ["change", "leader"], "w-1": ["roll"], "w-2": ["roll"], "w-3": ["roll"],
    }  # fmt: skip
    assert plan["workers_at_once"] == "2"


def test_a_rebuilt_first_server_joins_the_others():
    hosts, groups, _plan = running()
    lost(hosts, "cp-1")
    plan = planner.cluster_plan(hosts, groups)
    assert plan["leader"] == "cp-2" and plan["nodes"]["cp-1"]["action"] == "join" and plan["nodes"]["cp-1"]["rejoins"]
    assert config(plan, "cp-1")["server"] == "https://10.0.0.12:6443" and "cluster-init" not in config(plan, "cp-1")
    assert todo(plan)["cp-2"] == ("", ["leader"], [])


@pytest.mark.parametrize("begun", [False, True])
def test_servers_that_were_stopped_for_a_restore_join_again(begun):
    """Their data are put aside, and the restored Nodes say that they vote. begun: their join was interrupted early."""
    hosts, groups, _plan = running()
    for host, former in (("cp-2", "https://10.0.0.13:6443"), ("cp-3", "https://10.0.0.12:6443")):
        cluster = hosts[host]["info"]["cluster"]
        cluster.update(etcd_data=begun, datastore=None, finished=False, admin_conf=False, live=None, server=former)
    first = hosts["cp-1"]["info"]["cluster"]
    first.update(server=None, cluster_init=True)
    plan = planner.cluster_plan(hosts, groups)
    assert plan["refusals"] == [] and plan["leader"] == "cp-1"
    assert {host: node["action"] for host, node in plan["nodes"].items()} == {
        "cp-1": "", "cp-2": "join", "cp-3": "join", "w-1": "",
    }  # fmt: skip
    # Not by one of those that have no data either.
    assert {config(plan, host)["server"] for host in ("cp-2", "cp-3")} == {"https://10.0.0.11:6443"}
    assert config(plan, "cp-1")["cluster-init"] is True and plan["nodes"]["cp-1"]["settles"]
    assert not plan["nodes"]["cp-2"]["rejoins"]


def joined_by(hosts, server):
    for row in hosts.values():
        row["info"]["cluster"]["server"] = server


def test_agents_keep_their_server_as_long_as_it_is_one():
    hosts, groups, _plan = running()
    joined_by(hosts, "https://10.0.0.11:6443")
    hosts["cp-1"]["info"]["cluster"]["live"] = None  # it is down for a while
    assert planner.cluster_plan(hosts, groups)["nodes"]["w-1"]["steps"] == {}
    groups["kube_control_plane"] = ["cp-2", "cp-3"]
    hosts.pop("cp-1")
    for row in hosts.values():
        row["inputs"]["kube_needs"] = []
    plan = planner.cluster_plan(hosts, groups)
    assert config(plan, "w-1")["server"] == "https://10.0.0.12:6443" and plan["nodes"]["w-1"]["stages"] == ["roll"]


def test_a_new_agent_joins_through_a_running_server():
    hosts, groups, _plan = running(3, 1)
    hosts["cp-1"]["info"]["cluster"]["live"] = None
    lost(hosts, "w-1")
    assert config(planner.cluster_plan(hosts, groups), "w-1")["server"] == "https://10.0.0.12:6443"


def test_another_port_of_the_local_endpoint_is_that_of_k3ss_balancer():
    inputs = {**K3S, "kube_api_endpoint": {"mode": "local", "port": 7443}}
    plan = planner.cluster_plan(*inventory(1, 1, inputs))
    assert plan["refusals"] == [] and config(plan, "w-1")["lb-server-port"] == 7443


def test_a_virtual_address_has_a_proxy_on_servers_only():
    plan = planner.cluster_plan(*inventory(3, 1, {**K3S, "kube_api_endpoint": {"address": "10.0.0.100"}}))
    assert config(plan, "w-1")["server"] == "https://10.0.0.100:7443" and plan["nodes"]["cp-1"]["files"]["endpoint"]
    assert not plan["nodes"]["w-1"]["files"]["endpoint"]


def test_a_half_joined_server_continues():
    hosts, groups, plan = running()
    for host in ("cp-1", "cp-3"):
        rows = hosts[host]["info"]["cluster"]["live"]["nodes"]
        next(row for row in rows if row["name"] == plan["nodes"]["cp-2"]["name"])["etcd_voter"] = False
    hosts["cp-2"]["info"]["cluster"]["live"] = None
    again = planner.cluster_plan(hosts, groups)
    assert (
        again["refusals"] == [] and again["nodes"]["cp-2"]["action"] == "join" and not again["nodes"]["cp-2"]["rejoins"]
    )


def test_an_agent_of_another_architecture_gets_its_own_program():
    hosts, groups = inventory(1, 1, K3S)
    hosts["w-1"]["info"]["architecture"] = {"name": "arm", "raw": "armv7l", "bits": 32}
    plan = planner.cluster_plan(hosts, groups)
    assert plan["refusals"] == [] and plan["nodes"]["w-1"]["programs"][0]["url"].endswith("/k3s-armhf")


def test_k3s_is_chosen_for_small_machines():
    hosts, groups = inventory(1, 1)
    hosts["w-1"]["info"]["memory"]["usable_bytes"] = 900 << 20
    plan = planner.cluster_plan(hosts, groups)
    assert (plan["distribution"], plan["refusals"]) == ("k3s", [])


def test_secrets_are_in_no_plan():
    secret = "postgres://k3s:hunter2@db:5432/k3s"
    inputs = {
        "kube_needs": ["external_database"],
        "k3s_datastore_endpoint": secret,
        "kube_registries": {"configs": {"r.example": {"username": "u", "password": "hunter3"}}},
    }
    hosts, groups = inventory(1, 1, {**K3S, **inputs})
    plan = planner.cluster_plan(hosts, groups)
    assert plan["refusals"] == [] and plan["datastore"] == "external PostgreSQL"
    assert "hunter" not in repr(plan)
    assert plan["nodes"]["cp-1"]["steps"]["credentials"] and plan["nodes"]["w-1"]["steps"]["credentials"]
    node = {
        "role": "control_plane",
        "inputs": {
            **inputs,
            "kube_api_endpoint": {},
            "kube_http_proxy": {},
            "kube_backup": {"schedule": None},
            "k3s_config": {},
            "k3s_datastore_tls": {},
            "k3s_embedded_registry": False,
        },
    }
    files = {entry["path"]: entry for entry in node_files.secret_files(node, plan)}
    assert all(entry["mode"] == "0600" for entry in files.values())
    assert secret in files["/etc/rancher/k3s/config.yaml.d/50-kubewright-secrets.yaml"]["content"]
    assert yaml.safe_load(files[registries.PATH]["content"])["configs"]["r.example"]["auth"]["password"] == "hunter3"


def test_servers_must_share_what_k3s_requires_to_be_the_same():
    hosts, groups = inventory(3, 0, K3S)
    hosts["cp-2"]["inputs"] = {**K3S, "k3s_config": {"cluster-dns": "10.43.0.99"}}
    (found,) = planner.cluster_plan(hosts, groups)["refusals"]
    assert (found["id"], found["value"]) == ("k3s_config.differs_between_servers", "cluster-dns")
    for node in hosts.values():
        node["inputs"] = hosts["cp-2"]["inputs"]
    assert planner.cluster_plan(hosts, groups)["refusals"] == []


def test_the_first_server_loses_cluster_init_once_others_have_joined_and_nothing_restarts():
    hosts, groups, plan = running()
    settles = plan["nodes"]["cp-1"]["settles"]
    assert settles == "https://10.0.0.12:6443" and not plan["nodes"]["cp-2"]["settles"]
    hosts["cp-1"]["info"]["cluster"]["server"] = settles
    again = planner.cluster_plan(hosts, groups)
    assert again["refusals"] == [] and again["nodes"]["cp-1"]["steps"] == {} and not again["nodes"]["cp-1"]["settles"]
    # The text that the module leaves is the one that the plan wants from then on.
    before, after = (
        next(
            entry["content"] for entry in made["nodes"]["cp-1"]["files"]["k3s"] if entry["path"].endswith("config.yaml")
        )
        for made in (plan, again)
    )
    assert before.replace("cluster-init: true", "server: " + settles) == after


def test_a_first_server_that_was_not_settled_is_restarted_once():
    hosts, groups, _plan = running()
    hosts["cp-1"]["info"]["cluster"]["cluster_init"] = True
    plan = planner.cluster_plan(hosts, groups)
    assert "cluster-init" not in config(plan, "cp-1")


def test_a_single_server_with_etcd_has_no_other_to_name():
    plan = planner.cluster_plan(*inventory(1, 1, {**K3S, "k3s_datastore": "etcd"}))
    assert config(plan, "cp-1")["cluster-init"] is True and plan["nodes"]["cp-1"]["settles"] == ""
