# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.local import nodes as local_nodes
from ansible_collections.kubewright.cluster.plugins.module_utils.local.nodes import LocalError


def box(name, cluster="demo", running=True, **more):
    return dict({"name": name, "cluster": cluster, "running": running, "spec": None}, **more)


def names(nodes):
    return [node["name"] for node in nodes]


def test_counts_make_control_planes_then_workers():
    nodes = local_nodes.wanted_nodes("demo", 2, 1, ports=["8080:80"], limits={"cpus": 1.5, "memory": "2g"})
    assert names(nodes) == ["demo-cp1", "demo-cp2", "demo-w1"]
    assert [node["groups"] for node in nodes] == [["kube_control_plane"], ["kube_control_plane"], ["kube_node"]]
    assert [node["ports"] for node in nodes] == [["8080:80"], [], []]
    assert {(node["cpus"], node["memory"]) for node in nodes} == {(1.5, "2g")}


def test_explicit_nodes_replace_counts_and_override_limits():
    explicit = [{"name": "a", "groups": ["kube_control_plane", "etcd"], "cpus": None, "memory": "4g"}, {"name": "b"}]
    nodes = local_nodes.wanted_nodes("demo", 3, 3, explicit, limits={"cpus": 2.0, "memory": "2g"})
    assert names(nodes) == ["a", "b"]
    assert (nodes[0]["cpus"], nodes[0]["memory"], nodes[1]["memory"]) == (2.0, "4g", "2g")
    assert nodes[1]["groups"] == ["kube_node"]


def test_every_problem_is_told_at_once():
    nodes = local_nodes.wanted_nodes(
        "Bad_Name",
        explicit=[
            {"name": "a", "ports": ["80:80", "x:1"]},
            {"name": "a", "ports": ["70000:1"]},
            {"name": "no.dots", "ports": ["80:81"]},
        ],
    )
    told = "\n".join(local_nodes.problems_of("Bad_Name", nodes))
    for part in (
        "Bad_Name",
        "Two nodes are called a",
        "no.dots",
        "'x:1'",
        "70000",
        "80/tcp is given to a and to no.dots",
    ):
        assert part in told


@pytest.mark.parametrize(
    "given", [{"name": "a\n"}, {"name": "a", "memory": "2g\n"}, {"name": "a", "ports": ["80:80\n"]}]
)
def test_a_line_end_at_the_end_is_not_overlooked(given):
    (told,) = local_nodes.problems_of("demo", local_nodes.wanted_nodes("demo", explicit=[given]))
    assert "\\n" in told
    assert "\\n" in local_nodes.problems_of("demo\n", [])[0]


@pytest.mark.parametrize(
    ("port", "argument"),
    [
        ("8080:80", "127.0.0.1:8080:80/tcp"),
        ("0.0.0.0:8080:80", "0.0.0.0:8080:80/tcp"),
        ("53:53/udp", "127.0.0.1:53:53/udp"),
        ("[::1]:443:6443", "[::1]:443:6443/tcp"),
    ],
)
def test_port_argument(port, argument):
    assert local_nodes.port_argument(port) == argument


def test_addresses_are_the_lowest_free_ones():
    taken = {"10.131.0.2", "10.131.0.10", "10.131.0.12"}
    assert local_nodes.allocate("10.131.0.0/24", taken, ["a", "b", "c"]) == {
        "a": "10.131.0.11", "b": "10.131.0.13", "c": "10.131.0.14",
    }  # fmt: skip


def test_addresses_stop_where_virtual_ones_begin():
    wanted = [f"n{number}" for number in range(191)]
    assert len(local_nodes.allocate("10.131.0.0/24", set(), wanted[:190])) == 190
    with pytest.raises(LocalError, match="no address left for 1"):
        local_nodes.allocate("10.131.0.0/24", set(), wanted)


def test_small_subnets_give_what_they_have():
    assert list(local_nodes.allocate("10.9.0.0/28", set(), list("abcde")).values())[-1] == "10.9.0.14"
    with pytest.raises(LocalError):
        local_nodes.allocate("10.9.0.0/28", set(), list("abcdef"))


@pytest.mark.parametrize(
    ("occupied", "subnet"),
    [
        ([], "10.131.0.0/24"),
        (["192.168.1.0/24", "fd00::/64"], "10.131.0.0/24"),
        (["10.131.0.128/25"], "10.132.0.0/24"),
        (["10.128.0.0/10"], "10.192.0.0/24"),
    ],
)
def test_subnet_keeps_clear_of_routes(occupied, subnet):
    assert local_nodes.choose_subnet(None, occupied) == subnet


def test_wanted_subnet_that_collides_is_refused_with_the_route():
    assert local_nodes.choose_subnet("172.30.5.0/24", ["10.0.0.0/8"]) == "172.30.5.0/24"
    with pytest.raises(LocalError, match=r"10\.0\.0\.0/8"):
        local_nodes.choose_subnet("10.5.0.0/24", ["10.0.0.0/8"])
    with pytest.raises(LocalError, match="No free subnet"):
        local_nodes.choose_subnet(None, ["10.0.0.0/8"])


def test_present_makes_what_lacks_and_starts_what_is_stopped():
    nodes = local_nodes.wanted_nodes("demo", 2, 1)
    todo = local_nodes.decide("present", "demo", nodes, [box("demo-cp1", running=False), box("other-cp1", "other")])
    assert (todo["create"], todo["start"]) == (["demo-cp2", "demo-w1"], ["demo-cp1"])
    assert not todo["refusals"] and not todo["remove"] and not todo["stop"]


def test_present_keeps_nodes_no_longer_asked_for_and_says_so():
    todo = local_nodes.decide(
        "present", "demo", local_nodes.wanted_nodes("demo", 1, 0), [box("demo-cp1"), box("demo-w2")]
    )
    assert not todo["remove"]
    assert "demo-w2" in todo["warnings"][0]


@pytest.mark.parametrize(("owner", "said"), [(None, "not made by this collection"), ("other", "cluster other")])
def test_a_container_of_others_is_a_refusal(owner, said):
    todo = local_nodes.decide("present", "demo", local_nodes.wanted_nodes("demo", 1, 1), [box("demo-w1", owner)])
    assert said in todo["refusals"][0]
    assert "demo-w1" not in todo["create"]


@pytest.mark.parametrize("state", ["present", "started", "stopped", "absent"])
def test_nothing_of_others_is_ever_touched(state):
    others = [box("x", None), box("lead-cp1", "lead", running=False), box("kubewright-lab", None)]
    todo = local_nodes.decide(state, "demo", [], others)
    assert not todo["start"] and not todo["stop"] and not todo["remove"]


def test_a_node_made_with_other_settings_is_told_not_remade():
    old, new = local_nodes.wanted_nodes("demo", 1), local_nodes.wanted_nodes("demo", 1, ports=["80:80"])
    there = [box("demo-cp1", spec=local_nodes.spec_of(old[0]))]
    assert not local_nodes.decide("present", "demo", old, there)["warnings"]
    todo = local_nodes.decide("present", "demo", new, there)
    assert "demo-cp1" in todo["warnings"][0] and not todo["create"] and not todo["remove"]


def test_states_take_only_what_they_change():
    there = [box("demo-cp1"), box("demo-w10", running=False), box("demo-w2", running=False)]
    assert local_nodes.decide("stopped", "demo", [], there)["stop"] == ["demo-cp1"]
    assert local_nodes.decide("started", "demo", [], there)["start"] == ["demo-w2", "demo-w10"]
    assert local_nodes.decide("absent", "demo", [], there)["remove"] == ["demo-cp1", "demo-w2", "demo-w10"]
    assert "cluster demo does not exist" in local_nodes.decide("started", "demo", [], [])["refusals"][0]


def test_a_lost_node_is_refused_with_the_way_out_and_can_be_removed():
    there = [box("demo-cp1", running=False, lost=True), box("demo-w1")]
    for state in ("present", "started"):
        (refusal,) = local_nodes.decide(state, "demo", [], there)["refusals"]
        assert "demo-cp1: " in refusal and "state absent" in refusal
    assert local_nodes.decide("stopped", "demo", [], there)["stop"] == ["demo-w1"]
    assert local_nodes.decide("absent", "demo", [], there)["remove"] == ["demo-cp1", "demo-w1"]


def test_inventory_has_groups_addresses_and_the_users_variables_last():
    nodes = [
        {"name": "demo-w1", "groups": ["kube_node"], "address": "10.131.0.11"},
        {"name": "demo-cp1", "groups": ["kube_control_plane", "etcd"], "address": "10.131.0.10"},
    ]
    variables = local_nodes.cluster_variables("demo", {"cgroup": "v1"}, {"kube_allow_cgroup_v1": False, "x": 1})
    made = local_nodes.inventory(nodes, variables, "/k/id")["all"]
    assert made["children"]["kube_control_plane"]["hosts"] == {"demo-cp1": {"ansible_host": "10.131.0.10"}}
    assert list(made["children"]["etcd"]["hosts"]) == ["demo-cp1"]
    assert list(made["children"]["kube_node"]["hosts"]) == ["demo-w1"]
    assert made["vars"]["ansible_ssh_private_key_file"] == "/k/id"
    assert made["vars"]["kube_allow_cgroup_v1"] is False and made["vars"]["x"] == 1


def test_an_ordinary_machine_needs_no_special_variables():
    assert local_nodes.cluster_variables("demo", {"cgroup": "v2"}, None) == {"kube_cluster_name": "demo"}


def test_hardware_address_follows_the_address():
    assert local_nodes.mac_of("10.131.0.10") == "02:42:0a:83:00:0a"


def test_summary_counts_running_nodes():
    node = {"name": "a", "address": "10.0.0.1", "groups": ["kube_node"], "status": "running", "running": True}
    assert local_nodes.summary({"demo": [node]}, ["made a"], "demo")[:2] == ["Made a.", "demo: 1 of 1 nodes running"]
