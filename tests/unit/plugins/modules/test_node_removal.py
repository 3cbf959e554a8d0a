# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""node_removal: the lock is held while something changes, and given back whatever happens."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.api import lock
from ansible_collections.kubewright.cluster.plugins.module_utils.reset import removal
from ansible_collections.kubewright.cluster.plugins.modules import node_removal
from ansible_collections.kubewright.cluster.tests.unit.plugins.module_utils.api.fake_api import FakeApi, pod
from ansible_collections.kubewright.cluster.tests.unit.plugins.module_utils.reset.test_removal import node

NODES = [{"name": "w1", "host": "w1", "addresses": ["10.0.0.4"]}]
ALICE = {"name": "alice@laptop", "operation": "remove", "run": "laptop/1-1"}
BOB = {"name": "bob@build", "operation": "site", "run": "build/2-2"}


@pytest.fixture
def api(monkeypatch):
    made = FakeApi({removal.NODES + "w1": node("w1"), **dict([pod("web"), pod("proxy", owner="DaemonSet")])})
    monkeypatch.setattr(removal, "api", lambda: made)
    monkeypatch.setattr(removal, "client", lambda: None)
    return made


def test_asked_changes_nothing_and_names_what_is_in_the_way(run_module, api):
    api.evictions["web"] = (429, "budget")
    before = dict(api.objects)
    found = run_module(node_removal, state="asked", nodes=NODES, holder=ALICE)
    assert found["cluster"]["blocked"] == {"w1": ["default/web: HTTP 429, budget"]}
    assert not found["changed"] and api.objects == before and found["cluster"]["lock"] == ""
    lock.Lock(api, lock.Holder(**BOB)).take()
    found = run_module(node_removal, state="asked", nodes=NODES, holder=ALICE)
    assert "bob@build" in found["cluster"]["lock"] and found["lock_run"] == BOB["run"]


def test_a_node_is_drained_and_then_removed_and_again_nothing_changes(run_module, api):
    drained = run_module(node_removal, state="drained", nodes=NODES, holder=ALICE)
    assert drained["changes"] == ["cordon w1", "evict 1 pods from w1"] and api.evicted == ["web"]
    assert lock.PATH in api.objects  # kept for what follows
    done = run_module(node_removal, state="absent", nodes=NODES, holder=ALICE)
    assert done["changes"] == ["delete the Node w1"] and lock.PATH not in api.objects
    assert not run_module(node_removal, state="absent", nodes=NODES, holder=ALICE)["changed"]


@pytest.fixture
def k3s(api, monkeypatch):
    """A K3s server that leaves. Returns what was done."""
    done = []

    def remove(_member, item, note):
        return note("remove the etcd member of %s" % item["host"]) or True

    monkeypatch.setattr(removal, "client", lambda: "member")
    monkeypatch.setattr(removal, "leave_etcd", remove)
    running = SimpleNamespace(is_down=lambda unit: unit in done)
    monkeypatch.setattr(node_removal.services, "here", lambda: running)
    monkeypatch.setattr(node_removal.runner, "stop", done.append)
    return done


def test_a_server_of_k3s_leaves_and_stops(run_module, k3s, monkeypatch):
    wanted = {"state": "left", "nodes": NODES, "holder": ALICE}
    assert len(run_module(node_removal, check=True, **wanted)["changes"]) == 2 and not k3s
    assert run_module(node_removal, **wanted)["changes"] == ["remove the etcd member of w1", "stop K3s on w1"]
    assert k3s == ["k3s"]
    monkeypatch.setattr(removal, "client", lambda: None)  # its datastore is elsewhere, or its member is gone
    assert not run_module(node_removal, **wanted)["changed"]


def test_a_server_whose_member_may_count_goes_on(run_module, k3s, monkeypatch):
    monkeypatch.setattr(removal, "leave_etcd", lambda *_arguments: False)
    assert not run_module(node_removal, state="left", nodes=NODES, holder=ALICE)["changed"] and not k3s


def test_check_mode_says_the_same_and_takes_no_lock(run_module, api):
    before = dict(api.objects)
    checked = run_module(node_removal, check=True, state="drained", nodes=NODES, holder=ALICE)
    assert checked["changes"] == ["cordon w1", "evict 1 pods from w1"]
    assert run_module(node_removal, check=True, state="absent", nodes=NODES, holder=ALICE)["changed"]
    assert api.objects == before


def test_the_lock_is_given_back_after_a_failure(run_module, api):
    api.evictions["web"] = (429, "budget")
    failed = run_module(node_removal, state="drained", nodes=NODES, holder=ALICE, timeout=-1)
    assert failed["failed"] and "default/web: HTTP 429, budget" in failed["msg"]
    assert lock.PATH not in api.objects and removal.NODES + "w1" in api.objects
    assert not api.objects[removal.NODES + "w1"]["spec"].get("unschedulable")


def test_a_node_that_somebody_else_cordoned_stays_so_after_a_failure(run_module, api):
    api.evictions["web"] = (429, "budget")
    api.objects[removal.NODES + "w1"]["spec"]["unschedulable"] = True
    assert run_module(node_removal, state="drained", nodes=NODES, holder=ALICE, timeout=-1)["failed"]
    assert api.objects[removal.NODES + "w1"]["spec"]["unschedulable"]


@pytest.mark.parametrize("state", ["drained", "absent"])
def test_another_holder_is_a_refusal_before_any_change(run_module, api, state):
    lock.Lock(api, lock.Holder(**BOB)).take()
    failed = run_module(node_removal, state=state, nodes=NODES, holder=ALICE)
    assert failed["failed"] and "bob@build" in failed["msg"] and failed["lock_run"] == BOB["run"]
    assert not api.evicted and not api.deleted
    assert not run_module(node_removal, state=state, nodes=NODES, holder={**ALICE, "dead": BOB["run"]}).get("failed")
