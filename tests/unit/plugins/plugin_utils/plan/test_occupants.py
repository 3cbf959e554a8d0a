# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What other programs have on a new node: refused before anything is changed, and not said of the node's own."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner, steps
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import applied, inventory

ACTIVE = {"exists": True, "active": "active", "enabled": "enabled"}
UNITS = "/etc/systemd/system/"


def refusals(host="w-1", inputs=None, **facts):
    hosts, groups = inventory(inputs=inputs)
    hosts[host]["info"].update(facts)
    return described(planner.cluster_plan(hosts, groups)["refusals"])


def ours(*units, **more):
    return {"files": {"%s%s.service" % (UNITS, name): {"backup": None} for name in units}, **more}


@pytest.mark.parametrize("name", ["docker", "containerd", "crio"])
@pytest.mark.parametrize(
    "state", [ACTIVE, {**ACTIVE, "active": "inactive"}, {**ACTIVE, "active": "active", "enabled": "disabled"}]
)
def test_another_runtime_is_refused_on_a_kubeadm_node(name, state):
    assert refusals(services={name: state}) == ["host.other_runtime node=w-1 value=%s" % name]


def test_a_runtime_that_never_runs_is_not_in_the_way():
    state = {"exists": True, "active": "inactive", "enabled": "disabled"}
    assert refusals(services={"docker": state, "containerd": {**state, "enabled": "masked"}}) == []


def test_docker_and_a_containerd_can_be_beside_k3s():
    services, inputs = {"docker": ACTIVE, "containerd": ACTIVE}, {"kube_distribution": "k3s"}
    occupied = {"/var/lib/containerd": ["x"], "/run/containerd": ["x"], "/var/lib/etcd": ["default"]}
    assert refusals("cp-1", inputs, services=services, occupied=occupied) == []
    assert refusals("cp-1", inputs, services={"crio": ACTIVE}) == ["host.other_runtime node=cp-1 value=crio"]


def test_the_nodes_own_containerd_is_not_another_one():
    facts = {"services": {"containerd": ACTIVE}, "occupied": {"/run/containerd": ["x"]}}
    data = {"/run/containerd": {"before": []}}
    assert refusals(owned=ours("containerd", data=data), **facts) == []


@pytest.mark.parametrize(
    ("host", "path", "refused"),
    [
        ("w-1", "/var/lib/containerd", True),
        ("w-1", "/run/containerd", True),
        ("cp-1", "/var/lib/etcd", True),
        ("w-1", "/var/lib/etcd", False),
        ("cp-1", "/var/log", False),
    ],
)
def test_data_of_others_are_refused_where_the_node_needs_the_place(host, path, refused):
    expected = ["host.data_in_the_way node=%s value=%s" % (host, path)] if refused else []
    assert refusals(host, occupied={path: ["a", "b", "c", "d"]}) == expected


def test_data_of_a_runtime_that_is_refused_are_not_said_to_be_moved():
    occupied = {"/var/lib/containerd": ["x"], "/run/containerd": ["containerd.sock"], "/var/lib/etcd": ["default"]}
    assert refusals("cp-1", services={"containerd": ACTIVE}, occupied=occupied) == [
        "host.other_runtime node=cp-1 value=containerd",
        "host.data_in_the_way node=cp-1 value=/var/lib/etcd",
    ]


def test_data_under_kube_data_dir_are_refused_too():
    found = refusals(inputs={"kube_data_dir": "/srv/data"}, occupied={"/srv/data/containerd": ["x"]})
    assert found == ["host.data_in_the_way node=w-1 value=/srv/data/containerd"]


@pytest.mark.parametrize(("before", "refused"), [([], False), (["default"], True)])
def test_kept_images_are_ours_only_if_the_record_says_so(before, refused):
    owned = ours(data={"/var/lib/containerd": {"before": before}})
    assert bool(refusals(occupied={"/var/lib/containerd": ["x"]}, owned=owned)) is refused


def test_an_etcd_of_the_users_is_not_taken_for_half_a_cluster():
    cluster = {"kind": None, "kubelet_conf": False, "manifests": [], "etcd_data": True, "live": None}
    port = {"port": 2379, "protocol": "tcp", "address": "0.0.0.0", "process": "etcd"}
    found = refusals("cp-1", cluster=cluster, occupied={"/var/lib/etcd": ["member"]}, ports=[port])
    assert "host.data_in_the_way node=cp-1 value=/var/lib/etcd" in found


@pytest.mark.parametrize(("port", "process"), [(2379, "etcd"), (10250, "kubelet"), (6443, "haproxy"), (6443, "k3s")])
def test_a_port_is_excused_only_where_the_collection_started_its_holder(port, process):
    held = [{"port": port, "protocol": "tcp", "address": "0.0.0.0", "process": process}]
    assert refusals("cp-1", ports=held) == ["port.used node=cp-1 value=%d limit=%s" % (port, process)]
    units = ("kubelet", "kube-endpoint", "k3s")
    assert refusals("cp-1", ports=held, owned=ours(*units)) == []


@pytest.mark.parametrize(
    ("port", "way_out"),
    [(6443, "set kube_api_port"), (7443, "set kube_api_endpoint.port"), (2379, "let it use another port")],
)
def test_an_input_is_named_only_for_a_port_that_has_one(port, way_out):
    hosts, groups = inventory()
    hosts["cp-1"]["info"]["ports"] = [{"port": port, "protocol": "tcp", "address": "0.0.0.0", "process": "mine"}]
    assert [row["text"] for row in planner.cluster_plan(hosts, groups)["refusals"]][0].endswith(way_out + ".")


def test_an_external_etcd_may_be_on_the_control_planes():
    etcd = {"external": {"endpoints": ["https://10.0.0.11:2379"]}}
    held = [{"port": 2379, "protocol": "tcp", "address": "0.0.0.0", "process": "etcd"}]
    found = refusals(
        "cp-1",
        {"kubeadm_cluster_config": {"etcd": etcd}},
        ports=held,
        occupied={"/var/lib/etcd": ["default"]},
    )
    assert not any("2379" in text or "data_in_the_way" in text for text in found)


@pytest.mark.parametrize(
    ("inputs", "names", "refused"),
    [
        ({}, ["87-podman-bridge.conflist"], True),
        ({}, ["10-containerd-net.conflist", "nerdctl-bridge.conflist.bak"], False),
        ({"kube_network": {"plugin": "kube-router"}}, ["10-containerd-net.conflist"], True),
        ({"kube_network": {"plugin": "none"}}, ["10-calico.conflist"], False),
        ({"kube_distribution": "k3s"}, ["87-podman-bridge.conflist"], False),
    ],
)
def test_pods_do_not_get_another_programs_network(inputs, names, refused):
    cluster = {"kind": None, "kubelet_conf": False, "manifests": [], "etcd_data": False, "live": None}
    found = refusals(inputs=inputs, cluster={**cluster, "cni_conf": names})
    assert found == (["host.other_cni node=w-1 value=%s" % names[0]] if refused else [])


def test_a_file_of_others_is_said_to_be_replaced_and_never_to_be_removed():
    entry = {"path": "/etc/containerd/config.toml", "content": "ours", "mode": "0644"}
    there = {"sha256": "0", "mode": "0644", "owned": False}
    assert steps.wrong_files([entry], {"files": {entry["path"]: there}}) == {entry["path"]: steps.REPLACED}
    absent = {**entry, "state": "absent"}
    assert steps.wrong_files([absent], {"files": {entry["path"]: there}}) == {}
    assert steps.wrong_files([absent], {"files": {entry["path"]: {**there, "owned": True}}}) == {
        entry["path"]: "will be removed"
    }


def test_another_tools_cluster_is_one_problem():
    """Its runtime is part of it, and goes with it."""
    facts = {"kind": "kubeadm", "foreign": True, "made_by": "Kubespray", "role": "worker", "kubelet_conf": True}
    cluster = {"manifests": [], "etcd_data": False, "live": None, **facts}
    found = refusals(cluster=cluster, services={"docker": ACTIVE}, occupied={"/var/lib/containerd": ["x"]})
    assert found == ["member.foreign node=w-1 value=Kubespray"]


def test_a_member_is_not_examined():
    hosts, groups = inventory()
    plan = planner.cluster_plan(hosts, groups)
    for host, row in hosts.items():
        row["info"] = applied(row["info"], plan["nodes"][host], plan)
        row["info"]["occupied"] = {"/var/lib/containerd": ["x"], "/var/lib/etcd": ["member"]}
        row["info"]["services"]["docker"] = ACTIVE
    assert planner.cluster_plan(hosts, groups)["refusals"] == []


def test_addresses_of_an_older_clusters_services_are_named_with_what_removes_them():
    row = {"address": "10.96.0.1", "prefix": 32, "family": 4, "scope": "global"}
    left = {"name": "kube-ipvs0", "mtu": 1500, "up": False, "addresses": [row, {**row, "address": "10.96.0.10"}]}
    hosts, groups = inventory(1, 1)
    network = hosts["w-1"]["info"]["network"]
    network["interfaces"] = [left, *network["interfaces"]]
    plan = planner.cluster_plan(hosts, groups)
    assert described(plan["refusals"]) == ["host.ipvs_left_over node=w-1 value=['10.96.0.1', '10.96.0.10']"]
    assert plan["nodes"]["w-1"]["address"] == "10.0.0.12"
    hosts["w-1"]["info"]["cluster"].update(kubelet_conf=True, kind="kubeadm")  # of another cluster
    assert "host.ipvs_left_over" not in "".join(described(planner.cluster_plan(hosts, groups)["refusals"]))
