# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removing nodes: who goes, by which name, and everything that speaks against it at once."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.operations import remove
from ansible_collections.kubewright.cluster.plugins.plugin_utils.operations.quorum import Quorum
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import ids

PLANES = ["cp1", "cp2", "cp3"]


def look(name, number, **cluster):
    """Return the look of a member of the cluster."""
    network = {"interfaces": [{"addresses": [{"address": "10.0.0.%d" % number, "scope": "global"}]}]}
    made = {"kind": "kubeadm", "ca_sha256": "A", "node_name": name, "live": {"healthy": name.startswith("cp")}}
    return {"info": {"hostname": name, "network": network, "cluster": {**made, **cluster}}, "inputs": {}}


def dead(error="cannot be reached: timed out"):
    return {"info": None, "error": error, "inputs": {}}


def row(name, number, **more):
    made = {"name": name, "ready": True, "reports": True, "answers": [], "machine_id": "m-" + name}
    return {**made, "addresses": ["10.0.0.%d" % number], "control_plane": name.startswith("cp"), **more}


def member(number, serves=True, learner=False, name=None):
    name = "cp%d" % number if name is None else name
    return {"id": str(number), "name": name, "learner": learner, "addresses": ["10.0.0.%d" % number], "serves": serves}


@pytest.fixture
def looks():
    return {name: look(name, number) for number, name in enumerate([*PLANES, "w1"], 1)}


@pytest.fixture
def cluster():
    rows = [row(name, number) for number, name in enumerate([*PLANES, "w1"], 1)]
    members = [member(number) for number in (1, 2, 3)]
    return {"nodes": rows, "members": members, "etcd_error": "", "blocked": {}, "lost": {}, "lock": ""}


def lose(looks, cluster, number, reports=False):
    """Let a machine die."""
    name = list(looks)[number - 1]
    looks[name] = dead()
    cluster["nodes"][number - 1].update(ready=False, reports=reports)
    if number < 4:
        cluster["members"][number - 1]["serves"] = False


def planned(looks, cluster, *given, force=False, found=None):
    targets = remove.resolve(given, looks, PLANES, found or {})
    return remove.plan(targets, looks, "A", cluster, PLANES, force)


def test_a_living_worker_is_drained_removed_and_reset(looks, cluster):
    made = planned(looks, cluster, "w1")
    [target] = made.targets
    assert target.alive and target.known and target.evicts and not target.control_plane
    assert made.problems == ([], []) and made.quorum.going == 0


def test_a_dead_control_plane_goes_by_name_with_the_numbers(looks, cluster):
    lose(looks, cluster, 1)
    made = planned(looks, cluster, "cp1")
    [target] = made.targets
    assert target.known and target.control_plane and not target.alive and not target.evicts
    assert made.as_dict()["etcd"] == {
        "before": {"voters": 3, "serving": 2, "needed": 2, "spare": 0},
        "after": {"voters": 2, "serving": 2, "needed": 2, "spare": 0},
        "going": 1,
    }
    assert ids(made.problems.warnings) == ["remove.no_spare"] and not made.problems.refusals


def test_a_member_at_the_address_of_a_dead_node_is_another_ones(looks, cluster):
    """The dead node's member is gone, and its address belongs to a control plane that joined under another name."""
    lose(looks, cluster, 1)
    cluster["nodes"][0]["addresses"] = ["10.0.0.1", "10.9.0.1"]
    cluster["members"][0].update(name="cp4", serves=True)
    cluster["nodes"].append(row("cp4", 1))
    made = planned(looks, cluster, "cp1", found={"cp1": "10.0.0.1"})
    [target] = made.targets
    assert target.addresses == ("10.9.0.1",) and target.known and made.quorum.going == 0
    assert not made.problems.refusals


def test_a_dead_machine_is_found_by_its_address_if_its_node_has_another_name(looks, cluster):
    lose(looks, cluster, 4)
    looks["box"] = looks.pop("w1")
    [target] = planned(looks, cluster, "box", found={"box": "10.0.0.4"}).targets
    assert (target.host, target.name, target.known) == ("box", "w1", True)


def test_a_node_that_left_the_inventory_goes_by_its_name_once_it_is_off(looks, cluster):
    del looks["w1"]
    assert ids(planned(looks, cluster, "w1").problems.refusals) == ["remove.still_runs"]
    cluster["nodes"][3].update(ready=False, reports=False)
    made = planned(looks, cluster, "w1")
    assert made.targets[0].known and not made.problems.refusals


def test_a_machine_that_is_only_cut_off_is_refused(looks, cluster):
    lose(looks, cluster, 4, reports=True)
    assert ids(planned(looks, cluster, "w1").problems.refusals) == ["remove.still_runs"]
    cluster["nodes"][3].update(reports=False)
    assert not planned(looks, cluster, "w1").problems.refusals


def test_a_machine_that_answers_without_its_kubelet_is_refused(looks, cluster):
    lose(looks, cluster, 1)
    cluster["nodes"][0]["answers"] = ["10.0.0.1:2379"]
    [found] = planned(looks, cluster, "cp1").problems.refusals
    assert (found.id, found.value) == ("remove.still_runs", ["10.0.0.1:2379"]) and ids([found])
    cluster["nodes"][0]["answers"] = []
    cluster["members"][0]["serves"] = True
    assert ids(planned(looks, cluster, "cp1").problems.refusals) == ["remove.still_runs"]


def test_a_new_machine_with_the_name_of_one_that_runs_is_refused(looks, cluster):
    looks["w1"] = look("w1", 9, kind=None, ca_sha256=None, node_name=None)
    assert ids(planned(looks, cluster, "w1").problems.refusals) == ["remove.still_runs"]
    cluster["nodes"][3].update(ready=False, reports=False)
    made = planned(looks, cluster, "w1")
    assert made.targets[0].known and not made.targets[0].alive and not made.problems.refusals


def test_a_machine_of_another_cluster_is_not_reset(looks, cluster):
    looks["w1"] = look("w1", 4, ca_sha256="B")
    cluster["nodes"][3].update(ready=False, reports=False)
    assert not planned(looks, cluster, "w1").targets[0].alive


def test_quorum_counts_the_dead_ones_that_stay(looks, cluster):
    lose(looks, cluster, 1)
    assert ids(planned(looks, cluster, "cp2").problems.refusals) == ["remove.quorum"]
    made = planned(looks, cluster, "cp1", "cp2")
    assert not made.problems.refusals and made.quorum.after.voters == 1


def test_without_a_majority_nothing_is_removed(looks, cluster):
    lose(looks, cluster, 1)
    lose(looks, cluster, 2)
    assert ids(planned(looks, cluster, "cp1").problems.refusals) == ["remove.no_quorum"]


def test_a_learner_that_stays_is_waited_for_and_one_that_goes_is_not(looks, cluster):
    cluster["members"][2]["learner"] = True
    assert "remove.learner" in ids(planned(looks, cluster, "cp2").problems.refusals)
    assert not planned(looks, cluster, "cp3").problems.refusals


def test_an_even_number_is_warned_about(looks, cluster):
    cluster["members"] += [member(5), member(6)]
    assert ids(planned(looks, cluster, "cp1").problems.warnings) == ["remove.even"]
    assert planned(looks, cluster, "cp1", "cp2").problems == ([], [])


def test_the_last_control_plane_stays(looks, cluster):
    for number in (1, 2):
        lose(looks, cluster, number)
        cluster["nodes"][number - 1]["control_plane"] = False
    assert "remove.last_control_plane" in ids(planned(looks, cluster, "cp3").problems.refusals)


def test_an_orphaned_member_goes_by_its_name(looks, cluster):
    cluster["members"].append(member(9, serves=False, name="cp9"))
    made = planned(looks, cluster, "cp9")
    assert made.targets[0].known and made.targets[0].control_plane and made.quorum.going == 1


def test_an_unknown_name_changes_nothing_and_says_what_was_meant(looks, cluster):
    made = planned(looks, cluster, "w11")
    assert not made.targets[0].known and ids(made.problems.warnings) == ["remove.unknown"]
    assert "did you mean w1?" in made.problems.warnings[0].text
    looks["w1"] = look("w1", 4, kind=None, ca_sha256=None, node_name=None)
    del cluster["nodes"][3]
    made = planned(looks, cluster, "w1")  # it was removed before
    assert not made.targets[0].known and not made.targets[0].alive and made.problems == ([], [])


def test_an_interrupted_removal_is_finished(looks, cluster):
    del cluster["nodes"][3]
    [target] = planned(looks, cluster, "w1").targets
    assert target.alive and not target.known


def test_everything_is_said_at_once(looks, cluster):
    lose(looks, cluster, 1)
    cluster["blocked"] = {"w1": ["default/web: HTTP 429, budget"]}
    cluster["lost"] = {"w1": ["default/bare has no controller that creates it again"]}
    cluster["lock"] = "bob@build is changing this cluster (site, since 20:01, renewed 3 s ago)."
    found = ids(planned(looks, cluster, "cp2", "w1").problems.refusals)
    assert found == ["remove.quorum", "remove.blocked_pod", "remove.lost_pod", "cluster.locked"]
    assert "remove.lost_pod" not in ids(planned(looks, cluster, "w1", force=True).problems.refusals)


def test_a_silent_etcd_is_not_an_empty_one(looks, cluster):
    cluster.update(members=None, etcd_error="timed out")
    assert ids(planned(looks, cluster, "cp1").problems.refusals) == ["remove.etcd_silent"]
    assert not planned(looks, cluster, "w1").problems.refusals


def test_k3s_names_its_members_after_the_node(looks, cluster):
    for one in cluster["members"]:
        one.update(name=one["name"] + "-0a1b2c3d", addresses=[])
    assert planned(looks, cluster, "cp3").quorum.going == 1


def test_only_living_servers_of_k3s_leave_by_themselves(looks, cluster):
    assert not planned(looks, cluster, "cp3").targets[0].leaves
    for one in looks.values():
        one["info"]["cluster"]["kind"] = "k3s"
    assert [target.leaves for target in planned(looks, cluster, "cp3", "w1").targets] == [True, False]
    lose(looks, cluster, 3)
    assert not planned(looks, cluster, "cp3").targets[0].leaves


def test_a_control_plane_that_stays_and_answers_is_asked(looks):
    targets = remove.resolve(["cp1"], looks, PLANES, {})
    assert remove.asked(looks, PLANES, targets) == "cp2"
    looks["cp2"] = dead()
    assert remove.asked(looks, PLANES, targets) == "cp3"
    assert remove.asked(looks, PLANES, remove.resolve(PLANES, looks, PLANES, {})) is None
    assert remove.silent(looks, remove.resolve(["cp2", "w1", "gone"], looks, PLANES, {})) == ["cp2", "gone"]


def test_replace_needs_a_machine(looks, cluster):
    lose(looks, cluster, 4)
    targets = planned(looks, cluster, "w1", "gone").targets
    assert ids(remove.not_replaceable(targets, looks)) == ["replace.no_machine", "replace.not_in_inventory"]


@pytest.mark.parametrize(
    "voters,down,going,refused", [(3, 0, 1, False), (3, 1, 1, True), (5, 1, 2, False), (5, 2, 1, True)]
)
def test_the_worst_case_counts(voters, down, going, refused):
    members = [member(number, serves=number > down) for number in range(1, voters + 1)]
    leaving = {str(number) for number in range(voters - going + 1, voters + 1)}
    quorum = Quorum.of(members, leaving)
    assert bool(quorum.problems(["x"]).refusals) is refused
