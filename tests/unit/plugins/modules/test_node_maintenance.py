# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""node_maintenance: a node goes out of service and comes back, whatever was done before."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.api import drain, lock
from ansible_collections.kubewright.cluster.plugins.module_utils.reset import removal
from ansible_collections.kubewright.cluster.plugins.modules import node_maintenance
from ansible_collections.kubewright.cluster.tests.unit.plugins.module_utils.api.fake_api import FakeApi, pod
from ansible_collections.kubewright.cluster.tests.unit.plugins.module_utils.reset.test_removal import node

ALICE = {"name": "alice@laptop", "operation": "upgrade", "run": "laptop/1-1"}
BOB = {"name": "bob@build", "operation": "site", "run": "build/2-2"}
W1 = removal.NODES + "w1"


class Members:
    """Three etcd members; cp1 leads. down: names of those that do not answer."""

    own_only, cluster_id = False, "7"

    def __init__(self, count=3):
        self.names = ["cp%d" % number for number in range(1, count + 1)]
        self.leader, self.down, self.moved, self.others = "cp1", set(), [], {}

    listed, silent_ids = (), ()

    def members(self):
        rows = self.listed or [(name, name) for name in self.names]
        return [{"ID": number, "name": name, "clientURLs": ["https://" + name]} for number, name in rows]

    def own_status(self):
        return {"leader": self.leader}

    def status(self, member):
        if member["name"] in self.down or member["ID"] in self.silent_ids:
            raise OSError("refused")
        if self.own_only and member["name"] != "cp1-0a1b2c3d":
            return {"reached": True}
        return {"leader": "1", "header": {"cluster_id": self.others.get(member["name"], "7")}}

    def move_leader(self, leader, target):
        self.moved.append((leader["name"], target["name"]))
        self.leader = target["name"]


@pytest.fixture
def members():
    return Members()


@pytest.fixture
def api(monkeypatch, members, clock):
    made = FakeApi({W1: node("w1"), removal.NODES + "cp1": node("cp1")})
    made.objects.update(dict([pod("web"), pod("proxy", owner="DaemonSet")]))
    monkeypatch.setattr(removal, "api", lambda: made)
    monkeypatch.setattr(removal, "client", lambda: members)
    return made


def run(run_module, state, name="w1", **more):
    return run_module(node_maintenance, state=state, name=name, holder=ALICE, **more)


def test_a_worker_is_drained_under_the_lock_and_comes_back(run_module, api):
    assert run(run_module, "entered", drain=True)["changes"] == ["cordon w1", "evict 1 pods from w1"]
    assert api.evicted == ["web"] and api.objects[W1]["metadata"]["annotations"] == {drain.CORDONED: "upgrade"}
    assert api.objects[lock.PATH]["spec"]["leaseDurationSeconds"] == 900
    assert run(run_module, "entered", drain=True)["changes"] == []  # a second run goes on
    assert run(run_module, "left", release=False)["changes"] == ["uncordon w1"] and lock.PATH in api.objects
    assert run(run_module, "left")["changes"] == [] and lock.PATH not in api.objects
    assert not api.objects[W1]["spec"].get("unschedulable")


def test_a_node_that_somebody_else_cordoned_stays_so(run_module, api):
    api.objects[W1]["spec"]["unschedulable"] = True
    assert run(run_module, "entered", drain=True)["changes"] == ["evict 1 pods from w1"]
    assert run(run_module, "left")["changes"] == [] and api.objects[W1]["spec"]["unschedulable"]


def test_pods_that_may_not_go_are_waited_for_before_anything_changes(run_module, api, clock):
    api.evictions["web"] = (429, "budget")
    failed = run(run_module, "entered", drain=True, timeout=20)
    assert failed["failed"] and "default/web: HTTP 429, budget" in failed["msg"] and 20 < clock[0] < 30
    assert not api.objects[W1]["spec"].get("unschedulable") and lock.PATH not in api.objects


def test_a_node_whose_pods_do_not_end_is_schedulable_again(run_module, api, monkeypatch):
    tried = []

    def refused(_api, _pod, dry_run=False):
        tried.append(dry_run)
        return (200, "") if dry_run else (429, "budget")

    monkeypatch.setattr(drain, "_evict", refused)
    failed = run(run_module, "entered", drain=True, timeout=20)
    assert failed["failed"] and tried[:2] == [True, False]
    assert not api.objects[W1]["spec"].get("unschedulable") and lock.PATH not in api.objects


def test_pods_that_would_be_lost_are_a_failure_unless_that_is_allowed(run_module, api):
    api.objects.update(dict([pod("alone", owner="")]))
    failed = run(run_module, "entered", drain=True)
    assert "default/alone has no controller that creates it again" in failed["msg"] and not api.evicted
    assert not run(run_module, "entered", drain=True, force=True).get("failed") and "alone" in api.evicted


def test_the_leader_gives_its_leadership_to_a_member_that_answers(run_module, api, members):
    members.down = {"cp2"}
    members.names.append("cp4")
    members.names.append("cp5")
    assert run(run_module, "entered", "cp1")["changes"] == ["move etcd's leadership from cp1 to cp3"]
    assert members.moved == [("cp1", "cp3")] and run(run_module, "entered", "cp1")["changes"] == []


def test_a_member_whose_loss_would_stop_etcd_is_not_touched(run_module, api, members):
    members.down = {"cp3"}
    failed = run(run_module, "entered", "cp1")
    assert "without cp1 1 of 3 etcd members would answer, and 2 are needed" in failed["msg"]
    assert not members.moved and lock.PATH not in api.objects


def test_a_member_of_another_cluster_does_not_count(run_module, api, members):
    members.others = {"cp3": "8"}  # as after a restore that left one control plane behind
    assert "without cp1 1 of 3 etcd members would answer" in run(run_module, "entered", "cp1")["msg"]


def test_a_former_member_of_the_same_name_is_not_another_one(run_module, api, members):
    """A machine that was set up again under another address: only cp2 would be left of three."""
    members.listed = [("1", "cp1"), ("9", "cp1"), ("2", "cp2")]
    members.silent_ids, members.leader = {"1"}, "9"
    assert "without cp1 1 of 3 etcd members would answer, and 2 are needed" in run(run_module, "entered", "cp1")["msg"]
    members.listed.append(("3", "cp3"))
    members.listed.append(("4", "cp4"))
    assert run(run_module, "entered", "cp1")["changes"] == ["move etcd's leadership from cp1 to cp2"]


def test_a_k3s_server_is_not_stopped_either_if_etcd_would_stop(run_module, api, members):
    members.own_only, members.names = True, ["cp%d-0a1b2c3d" % number for number in (1, 2, 3)]
    members.leader = "cp2-0a1b2c3d"
    assert run(run_module, "entered", "cp2")["changes"] == [] and not members.moved
    members.down = {"cp3-0a1b2c3d"}
    assert "without cp2 1 of 3 etcd members would answer, and 2 are needed" in run(run_module, "entered", "cp2")["msg"]
    assert not run(run_module, "entered", "cp3").get("failed")  # the one that is down may be changed


def test_a_single_member_cannot_hand_over(run_module, api, members):
    members.names = ["cp1"]
    assert run(run_module, "entered", "cp1")["changes"] == [] and not members.moved


def test_check_mode_says_the_same_and_changes_nothing(run_module, api, members):
    before = dict(api.objects)
    found = run_module(node_maintenance, check=True, state="entered", name="w1", drain=True, holder=ALICE)
    assert found["changes"] == ["cordon w1", "evict 1 pods from w1"] and api.objects == before
    found = run_module(node_maintenance, check=True, state="entered", name="cp1", holder=ALICE)
    assert found["changes"] == ["move etcd's leadership from cp1 to cp2"] and not members.moved


@pytest.mark.parametrize("check", [False, True])
def test_another_holder_is_a_failure_before_any_change(run_module, api, check):
    lock.Lock(api, lock.Holder(**BOB)).take()
    failed = run_module(node_maintenance, check=check, state="entered", name="w1", drain=True, holder=ALICE)
    assert failed["failed"] and "bob@build" in failed["msg"] and failed["lock_run"] == BOB["run"] and not api.evicted
    dead = {**ALICE, "dead": BOB["run"]}
    assert not run_module(node_maintenance, check=check, state="entered", name="w1", holder=dead).get("failed")
