# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""There is one cluster, and a machine is the node that it says it is: everything else is refused."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.inputs import schema
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner, slices
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described, ids
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import (
    applied,
    inventory,
    lost,
    machine,
)

KINDS = pytest.mark.parametrize("kind", ["kubeadm", "k3s"])


def running(control_planes=3, workers=1, **inputs):
    """(hosts, groups) of a cluster that is as it should be."""
    hosts, groups = inventory(control_planes, workers, inputs)
    plan = planner.cluster_plan(hosts, groups)
    for host, row in hosts.items():
        row["info"] = applied(row["info"], plan["nodes"][host], plan)
        row["info"]["cluster"].update(node_name=host, finished=True)
    assert planner.cluster_plan(hosts, groups)["refusals"] == []
    return hosts, groups


def cluster(hosts, host):
    return hosts[host]["info"]["cluster"]


def refusals(hosts, groups):
    plan = planner.cluster_plan(hosts, groups)
    assert not any(node.get("action") for node in plan["nodes"].values())
    return described(plan["refusals"])


def silenced(hosts):
    for row in hosts.values():
        live = row["info"]["cluster"]["live"]
        if live:
            row["info"]["cluster"]["live"] = {"api_port": 6443, "healthy": False, "nodes": [], "error": "timed out"}


# -- machines --------------------------------------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize("host", ["cp-2", "w-1"])
@pytest.mark.parametrize("silent", [False, True])
def test_a_renamed_member_is_known_by_its_certificate(kind, host, silent):
    hosts, groups = running(kube_distribution=kind)
    hosts[host]["info"]["hostname"] = "other"
    if silent:
        silenced(hosts)
    assert "member.renamed node=%s value=other limit=%s" % (host, host) in refusals(hosts, groups)


@KINDS
def test_a_member_whose_node_lives_on_another_machine_is_a_copy(kind):
    hosts, groups = running(kube_distribution=kind)
    for row in cluster(hosts, "cp-1")["live"]["nodes"]:
        row["machine_id"] = hosts[row["name"]]["info"]["machine_id"]
    assert refusals(hosts, groups) == []
    hosts["w-1"]["info"]["machine_id"] = "copy"
    (found,) = refusals(hosts, groups)
    assert found.startswith("member.copied node=w-1 value=copy limit=")
    cluster(hosts, "cp-1")["live"]["nodes"][3]["ready"] = False
    assert refusals(hosts, groups) == []


@KINDS
def test_a_new_control_plane_does_not_take_an_etcd_members_address(kind):
    hosts, groups = running(kube_distribution=kind)
    lost(hosts, "cp-3")
    members = [
        {"name": name, "learner": False, "peer_urls": ["https://10.0.0.%d:2380" % (10 + number)]}
        for number, name in enumerate(("cp-1", "cp-2", "former"), 1)
    ]
    for host in ("cp-1", "cp-2"):
        cluster(hosts, host)["live"]["etcd_members"] = members
    assert refusals(hosts, groups) == ["member.address_taken node=cp-3 value=10.0.0.13 limit=former"]


# -- clusters --------------------------------------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize("host", ["cp-1", "cp-3"])
def test_two_clusters_with_one_authority_are_seen(kind, host):
    hosts, groups = running(kube_distribution=kind)
    for name in ("cp-1", "cp-2", "cp-3"):
        cluster(hosts, name)["live"].update(uid="one")
    assert refusals(hosts, groups) == []
    cluster(hosts, "cp-2")["live"].update(uid=None)  # it does not say
    assert refusals(hosts, groups) == []
    cluster(hosts, "cp-2")["live"].update(uid="one")
    alone = cluster(hosts, host)["live"]
    alone.update(uid="two", nodes=[row for row in alone["nodes"] if row["name"] == host])
    assert "member.several_clusters value=['one', 'two']" in refusals(hosts, groups)


@KINDS
def test_two_etcd_clusters_are_seen_although_an_api_is_silent(kind):
    hosts, groups = running(kube_distribution=kind)
    for name in ("cp-1", "cp-2", "cp-3"):
        cluster(hosts, name)["live"].update(etcd_cluster="7")
    assert refusals(hosts, groups) == []
    cluster(hosts, "cp-1")["live"].update(etcd_cluster="9", healthy=False, nodes=[])
    assert refusals(hosts, groups) == ["member.several_clusters value=['7', '9']"]


@KINDS
@pytest.mark.parametrize("count", [1, 3])
def test_a_cluster_whose_api_is_silent_is_waited_for(kind, count):
    hosts, groups = running(count, 1, kube_distribution=kind)
    silenced(hosts)
    plan = planner.cluster_plan(hosts, groups)
    assert plan["refusals"] == [] and plan["exists"]
    assert {host: node["action"] for host, node in plan["nodes"].items() if node["action"]} == {"cp-1": "wait"}
    assert plan["nodes"]["w-1"]["joined"]


@KINDS
def test_a_member_is_not_changed_while_the_api_is_silent(kind):
    hosts, groups = running(1, 1, kube_distribution=kind)
    silenced(hosts)
    hosts["w-1"]["inputs"]["kubelet_config"] = {"maxPods": 50}
    assert ids(planner.cluster_plan(hosts, groups)["refusals"]) == ["cluster.silent"]


@pytest.mark.parametrize(("kind", "program"), [("kubeadm", "kubelet"), ("k3s", "k3s")])
def test_a_silent_cluster_keeps_its_version(kind, program):
    hosts, groups = running(1, 1, kube_distribution=kind, kube_version="1.36.3")
    silenced(hosts)
    for row in hosts.values():
        row["inputs"].pop("kube_version")
    hosts["cp-1"]["info"]["installed"] = {program: {"path": "/x", "version": "v1.36.3" + "+k3s1" * (kind == "k3s")}}
    plan = planner.cluster_plan(hosts, groups)
    assert plan["refusals"] == [] and plan["version"] == "1.36.3"


@pytest.mark.parametrize(
    "facts",
    [
        {"finished": True, "etcd_data": False, "live": {"healthy": False, "error": "refused"}},
        {"finished": True, "etcd_data": True, "live": {"healthy": True, "nodes": [], "kubeadm_config": None}},
    ],
)
def test_a_control_plane_that_lost_its_data_starts_no_second_cluster(facts):
    hosts, groups = running(1, 1)
    cluster(hosts, "cp-1").update(facts)
    assert [name for name in ids(planner.cluster_plan(hosts, groups)["refusals"]) if name != "cluster.silent"] == [
        "member.lost_data"
    ]


@pytest.mark.parametrize("count", [1, 3])
def test_a_k3s_server_without_its_data_starts_no_second_cluster(count):
    hosts, groups = inventory(count, 0, {"kube_distribution": "k3s"})
    last = "cp-%d" % count
    cluster(hosts, last).update(admin_conf=True, data_dir="/srv/rancher/k3s")
    assert refusals(hosts, groups) == ["member.lost_data node=%s value=/srv/rancher/k3s/server is empty" % last]


@pytest.mark.parametrize("silent", [False, True])
def test_a_k3s_server_with_a_database_of_its_own_is_another_cluster(silent):
    """It has the others' keys, so only its API could say that it is of another cluster, and that may be silent."""
    hosts, groups = running(3, 1, kube_distribution="k3s")
    cluster(hosts, "cp-2").update(datastore="sqlite", live={"healthy": not silent, "nodes": [], "error": "refused"})
    assert "member.several_datastores value=['SQLite', 'embedded etcd'] limit=embedded etcd" in refusals(hosts, groups)


def test_a_k3s_server_without_its_data_joins_the_others():
    hosts, groups = running(3, 1, kube_distribution="k3s")
    lost(hosts, "cp-1")
    cluster(hosts, "cp-1").update(admin_conf=True)
    plan = planner.cluster_plan(hosts, groups)
    assert plan["refusals"] == [] and plan["nodes"]["cp-1"]["action"] == "join"


# -- what a running cluster keeps ------------------------------------------------------------------------------------


def test_the_directory_of_a_members_containers_is_not_moved():
    hosts, groups = running()
    for host in hosts:
        cluster(hosts, host)["data_dir"] = "/var/lib/containerd"
    assert refusals(hosts, groups) == []
    hosts["w-1"]["inputs"]["kube_data_dir"] = "/srv"
    assert "data_dir.fixed node=w-1 value=/srv/containerd limit=/var/lib/containerd" in refusals(hosts, groups)


@KINDS
def test_a_bare_machine_is_none_of_these(kind):
    hosts, groups = inventory(3, 1, {"kube_distribution": kind})
    assert planner.cluster_plan(hosts, groups)["refusals"] == []
    hosts["w-1"]["info"] = machine("w-1", "10.0.0.14")
    assert planner.cluster_plan(hosts, groups)["refusals"] == []


def test_an_external_etcd_is_asked_before_a_cluster_begins_on_it():
    external = {"endpoints": ["https://10.0.9.1:2379", "https://10.0.9.2:2379"], "caFile": "/etc/etcd/ca.crt"}
    hosts, groups = inventory(1, 0, {"kubeadm_cluster_config": {"etcd": {"external": external}}})
    plan = planner.cluster_plan(hosts, groups)
    node, values = plan["nodes"]["cp-1"], schema.validate(hosts["cp-1"]["inputs"])[0]
    start = slices.of_host(plan, "cp-1", values, hosts["cp-1"]["info"], ["cp-1"])["apply"]["start"]
    assert node["action"] == "init" and start["state"] == "init"
    assert start["external_etcd"] == {
        "servers": "https://10.0.9.1:2379,https://10.0.9.2:2379",
        "cafile": "/etc/etcd/ca.crt",
    }
