# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a control plane that stays does to remove a node."""

from __future__ import annotations

import socket
import time

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.api import drain
from ansible_collections.kubewright.cluster.plugins.module_utils.reset import removal
from ansible_collections.kubewright.cluster.tests.unit.plugins.module_utils.api.fake_api import FakeApi, pod
from ansible_collections.kubewright.cluster.tests.unit.plugins.module_utils.reset.test_leaving import Etcd, host

LEASE = removal.NODE_LEASES + "w1"


def node(name, ready=True):
    condition = {"type": "Ready", "status": "True" if ready else "Unknown"}
    return {"metadata": {"name": name}, "spec": {}, "status": {"conditions": [condition]}}


def lease(age):
    text = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(time.time() - age))
    return {"metadata": {}, "spec": {"renewTime": text}}


@pytest.fixture
def api():
    return FakeApi({removal.NODES + "w1": node("w1"), LEASE: lease(5)})


def test_a_node_that_died_a_moment_ago_is_waited_for(api):
    rounds = []

    def sleep(_seconds):
        rounds.append(1)
        if len(rounds) == 3:
            api.objects[LEASE] = lease(60)
            api.objects[removal.NODES + "w1"] = node("w1", ready=False)

    [row] = removal.nodes(api, ["w1"], sleep=sleep)
    assert len(rounds) == 3 and not row["ready"] and not row["reports"]
    rounds.clear()
    assert removal.nodes(api, [], sleep=sleep) and not rounds  # one that can be reached is not waited for


@pytest.mark.parametrize("off,age,waits", [(True, 12, True), (True, 20, False), (False, 20, True), (False, 41, False)])
def test_one_missed_report_is_enough_for_a_machine_that_is_off(api, off, age, waits):
    api.objects[LEASE], rounds = lease(age), []
    api.objects[removal.NODES + "w1"] = node("w1", ready=off)

    def sleep(_seconds):
        rounds.append(1)
        api.objects[LEASE] = lease(60)

    assert not removal.nodes(api, ["w1"], off, sleep)[0]["reports"] and bool(rounds) is waits


def test_a_machine_that_still_takes_connections_is_told_apart(api, monkeypatch):
    api.objects[LEASE] = lease(60)
    api.objects[removal.NODES + "w1"] = node("w1", ready=False)
    api.objects[removal.NODES + "w1"]["status"]["addresses"] = [{"type": "InternalIP", "address": "127.0.0.1"}]
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setattr(removal.paths, "KUBELET_PORT", port)
        monkeypatch.setattr(removal.paths, "ETCD_PORT", 1)
        monkeypatch.setattr(removal, "local_server", lambda: ("127.0.0.1", 2))
        assert removal.nodes(api, ["w1"])[0]["answers"] == ["127.0.0.1:%d" % port]
        assert removal.nodes(api, [])[0]["answers"] == []  # one that can be reached is not tried
    assert removal.nodes(api, ["w1"])[0]["answers"] == []


def test_the_address_of_a_machine_that_is_gone_may_be_another_ones(api, monkeypatch):
    """A machine was set up again under another name: what answers there is not the former node."""
    places = [{"type": "InternalIP", "address": address} for address in ("10.0.0.1", "10.0.0.2")]
    api.objects[LEASE] = lease(60)
    api.objects[removal.NODES + "w1"] = node("w1", ready=False)
    api.objects[removal.NODES + "w1"]["status"]["addresses"] = places
    api.objects[removal.NODES + "w4"] = node("w4")
    api.objects[removal.NODES + "w4"]["status"]["addresses"] = places[:1]
    monkeypatch.setattr(removal, "answers", list)
    rows = {row["name"]: row for row in removal.nodes(api, ["w1"])}
    assert rows["w1"]["answers"] == rows["w1"]["addresses"] == ["10.0.0.2"]
    assert rows["w4"]["addresses"] == ["10.0.0.1"]


class Watch:
    """Time that passes while somebody sleeps. offset: how far the node's clock is ahead of ours. alive: it reports."""

    def __init__(self, api, monkeypatch, offset, alive, ready=True):
        self.now, self.api, self.offset, self.alive = 0.0, api, offset, alive
        monkeypatch.setattr(removal.time, "monotonic", lambda: self.now)
        api.objects[removal.NODES + "w1"] = node("w1", ready)
        api.objects[LEASE] = lease(-offset)

    def sleep(self, seconds):
        self.now += seconds
        if self.alive and self.now % 10 == 0:
            self.api.objects[LEASE] = lease(-self.offset - self.now)


@pytest.mark.parametrize("offset", [0, 3600, -3600])
@pytest.mark.parametrize("off", [False, True])
def test_a_node_that_goes_on_reporting_is_alive_whatever_its_clock_says(api, monkeypatch, offset, off):
    if off and offset < 0:
        pytest.skip("the user says that it is off, and its last report looks old")
    watch = Watch(api, monkeypatch, offset, alive=True)
    [row] = removal.nodes(api, ["w1"], off, sleep=watch.sleep)
    assert row["reports"] and watch.now >= (removal.MISSED_SECONDS if off else removal.LOST_SECONDS)


@pytest.mark.parametrize(
    ("offset", "off", "ready", "seconds"),
    [
        (3600, False, False, 40),  # its clock was an hour ahead: its last report is in the future until then
        (3600, True, True, 15),
        (0, False, True, 40),
        (-3600, False, True, 15),  # it looks old, and Kubernetes has not missed a report yet
        (-3600, False, False, 0),
        (-3600, True, True, 0),
    ],
)
def test_a_node_that_is_silent_is_dead_whatever_its_clock_said(api, monkeypatch, offset, off, ready, seconds):
    watch = Watch(api, monkeypatch, offset, alive=False, ready=ready)
    [row] = removal.nodes(api, ["w1"], off, sleep=watch.sleep)
    assert not row["reports"] and watch.now == seconds


class LivingEtcd(Etcd):
    """An etcd with a leader."""

    own_only = False
    own_id = None
    leader = 1

    def __init__(self, *arguments, **more):
        super().__init__(*arguments, **more)
        self.moved = []

    def own_status(self):
        return {"leader": str(self.leader)}

    def move_leader(self, _leader, target):
        self.moved.append(target["ID"])


def test_leadership_goes_first_and_only_if_it_is_there():
    etcd, notes = LivingEtcd(3), []
    removal.remove_member(etcd, host(1), lambda text: notes.append(text) or True)
    assert etcd.moved == ["2"] and etcd.removed == [1]
    assert notes == ["move etcd's leadership from cp-1 to cp-2", "remove the etcd member of cp-1"]
    removal.remove_member(etcd, host(3), lambda text: notes.append(text) or True)
    assert etcd.moved == ["2"] and etcd.removed == [1, 3]
    removal.remove_member(etcd, host(3), lambda text: notes.append(text) or True)  # again
    assert len(notes) == 3


def test_check_mode_changes_nothing():
    etcd, notes = LivingEtcd(3), []
    removal.remove_member(etcd, host(1), notes.append)
    assert len(notes) == 2 and not etcd.moved and not etcd.removed


def server_of(number, count=3, down=()):
    """Return the etcd of K3s as the server of this number sees it."""
    etcd = LivingEtcd(count, down)
    etcd.own_only, etcd.own_id = True, str(number)
    for one in etcd.list:
        one["name"] += "-0a1b2c3d"
    return etcd


def test_a_server_of_k3s_gives_the_leadership_away_and_leaves():
    etcd, notes = server_of(1), []
    assert removal.leave_etcd(etcd, host(1), lambda text: notes.append(text) or True)
    assert etcd.moved == ["2"] and etcd.removed == [1] and len(notes) == 2
    etcd = server_of(3)
    assert removal.leave_etcd(etcd, host(3), lambda _text: True)
    assert not etcd.moved and etcd.removed == [3]


def test_a_server_of_k3s_stays_if_the_others_need_it_or_if_its_etcd_is_silent(monkeypatch):
    etcd = server_of(1, down=[2])
    with pytest.raises(removal.RemovalError, match="2 are needed"):
        removal.leave_etcd(etcd, host(1), lambda _text: True)
    assert not etcd.removed and not etcd.moved
    monkeypatch.setattr(etcd, "members", silent)
    assert not removal.leave_etcd(etcd, host(1), lambda _text: True)


def silent():
    raise OSError("refused")


def test_a_removed_member_need_not_confirm_it(monkeypatch):
    etcd = server_of(1)
    monkeypatch.setattr(etcd, "remove", lambda _number: silent())
    assert removal.leave_etcd(etcd, host(1), lambda _text: True)


def test_the_others_cannot_move_the_leadership_of_k3s():
    etcd = server_of(2)
    removal.remove_member(etcd, host(1), lambda _text: True)
    assert not etcd.moved and etcd.removed == [1]


def test_a_member_that_the_majority_needs_stays():
    etcd = LivingEtcd(3, down=[2])
    with pytest.raises(removal.RemovalError, match="2 are needed"):
        removal.remove_member(etcd, host(3), lambda _text: True)
    assert not etcd.removed and not etcd.moved


def test_a_node_goes_with_its_password_and_static_pods(api):
    path, static = pod("etcd-w1", metadata={"annotations": {drain.MIRROR: "x"}})
    api.objects[path], api.objects[removal.PASSWORD % "w1"] = static, {"metadata": {}}
    others, web = pod("web")
    api.objects[others] = web
    notes = []
    removal.forget(api, "w1", lambda text: notes.append(text) or True)
    assert api.deleted == [removal.PASSWORD % "w1", path, removal.NODES + "w1", others] and len(notes) == 2
    removal.forget(api, "w1", lambda text: notes.append(text) or True)
    assert len(notes) == 2


def test_a_node_with_finalizers_is_waited_for_and_then_named(api, monkeypatch):
    monkeypatch.setattr(api, "delete", lambda _path: None)
    api.objects[removal.NODES + "w1"]["metadata"]["finalizers"] = ["wrangler.cattle.io/node"]
    moments = iter(range(0, 1000, 10))
    monkeypatch.setattr(removal.time, "monotonic", lambda: next(moments))
    with pytest.raises(removal.RemovalError, match="wrangler.cattle.io/node"):
        removal.forget(api, "w1", lambda _text: True, lambda _s: None)
