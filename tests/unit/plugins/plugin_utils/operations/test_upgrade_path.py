# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of an upgrade, from every state that an interrupted one can leave."""

from __future__ import annotations

import itertools

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.base import versions
from ansible_collections.kubewright.cluster.plugins.plugin_utils.kubeadm import etcd_image
from ansible_collections.kubewright.cluster.plugins.plugin_utils.operations import upgrade_path
from ansible_collections.kubewright.cluster.plugins.plugin_utils.operations.upgrade_path import Plane, State

OLD, SAFE, NEW = (3, 6, 8), (3, 6, 12), (3, 7, 0)


def state(apis, stored, etcd=OLD, tag="", kubelets=None, leader=0):
    """Return a state of control planes cp1, cp2 ...; etcd: of all members, or a list."""
    members = etcd if isinstance(etcd, list) else [etcd] * len(apis)
    planes = [
        Plane("cp%d" % number, "cp%d" % number, api, member, number == leader + 1)
        for number, (api, member) in enumerate(zip(apis, members), 1)
    ]
    return State(planes, stored, tag, kubelets or {})


def shown(path):
    """Return the rounds in short: "cp2 apply 1.37.2 etcd"."""
    return [
        " ".join(
            [each.host, each.kind, each.version]
            + ["etcd"] * each.etcd
            + (["upload " + each.upload] if each.upload else [])
            + ["addons"] * each.addons
        )
        for each in path.rounds
    ]


def test_an_etcd_that_is_new_enough_goes_along_with_the_release():
    path = upgrade_path.find(state(["1.36.3"] * 3, "1.36.3", SAFE, "3.6.11-0"), "1.37.2", "3.7.0-0")
    assert shown(path) == [
        "cp2 apply 1.37.2 etcd upload start addons",
        "cp3 node 1.37.2 etcd addons",
        "cp1 node 1.37.2 etcd addons",  # its member leads
    ]
    assert path.documents["start"] == ("1.36.3", "3.7.0-0")
    assert all(each.asked != each.host for each in path.rounds)


def test_an_older_etcd_first_gets_the_version_that_the_next_one_asks_for():
    path = upgrade_path.find(state(["1.36.3"] * 3, "1.36.3"), "1.37.2", "3.7.0-0")
    assert path.carried == "3.6.11-0" and path.documents["start"] == ("1.36.3", "3.6.11-0")
    assert shown(path)[3:] == [
        "cp2 node 1.37.2 etcd upload etcd",
        "cp3 node 1.37.2 etcd",
        "cp1 node 1.37.2 etcd",
    ]


def test_three_releases_restart_a_member_twice_and_move_the_addons_once():
    path = upgrade_path.find(state(["1.34.4"] * 3, "1.34.4", (3, 6, 5)), "1.37.2", "3.7.0-0")
    assert path.hops == ["1.35.4", "1.36.3", "1.37.2"] and len(path.rounds) == 12
    for host in ("cp1", "cp2", "cp3"):
        assert sum(each.etcd for each in path.rounds if each.host == host) == 2
    assert {each.version for each in path.rounds if each.addons} == {"1.37.2"}
    applied = [each.version for each in path.rounds if each.kind == "apply"]
    assert applied == ["1.35.4", "1.36.3", "1.37.2"]


def test_a_single_control_plane_asks_itself():
    path = upgrade_path.find(state(["1.36.3"], "1.36.3"), "1.37.2", "3.7.0-0")
    assert shown(path) == ["cp1 apply 1.37.2 etcd upload start addons", "cp1 node 1.37.2 etcd upload etcd"]
    assert {each.asked for each in path.rounds} == {"cp1"}


def test_an_external_etcd_is_left_alone():
    path = upgrade_path.find(state(["1.36.3"] * 3, "1.36.3", None), "1.37.2", "3.7.0-0")
    assert not any(each.etcd or each.upload for each in path.rounds) and len(path.rounds) == 3


@pytest.mark.parametrize(
    "apis,stored,expected",
    [
        # Killed in the first apply, before it stored the version: the same control plane applies again.
        (["1.36.3", "1.36.3", "1.37.2"], "1.36.3", ["cp3 apply", "cp2 node", "cp1 node"]),
        # Killed after it: its last phases may be missing.
        (["1.36.3", "1.36.3", "1.37.2"], "1.37.2", ["cp3 apply", "cp2 node", "cp1 node"]),
        # Killed between two control planes.
        (["1.36.3", "1.37.2", "1.37.2"], "1.37.2", ["cp2 apply", "cp1 node"]),
    ],
)
def test_an_interrupted_release_is_finished(apis, stored, expected):
    made = state(apis, stored, [NEW if api == "1.37.2" else SAFE for api in apis], "3.7.0-0")
    path = upgrade_path.find(made, "1.37.2", "3.7.0-0")
    assert [line.split(" 1.37.2")[0] for line in shown(path)] == expected


def test_what_is_left_of_etcd_is_finished():
    path = upgrade_path.find(state(["1.37.2"] * 3, "1.37.2", [NEW, SAFE, SAFE], "3.7.0-0"), "1.37.2", "3.7.0-0")
    assert shown(path) == ["cp2 node 1.37.2 etcd", "cp3 node 1.37.2 etcd"]


def test_a_cluster_that_is_there_has_no_rounds():
    assert not upgrade_path.find(state(["1.37.2"] * 3, "1.37.2", NEW), "1.37.2", "3.7.0-0").rounds


def test_kubelets_that_are_behind_repeat_the_apply_that_may_not_have_ended():
    made = state(["1.37.2"] * 3, "1.37.2", NEW, kubelets={"w1": "1.36.3"})
    assert shown(upgrade_path.find(made, "1.37.2", "3.7.0-0")) == ["cp2 apply 1.37.2 addons"]


def test_from_wherever_a_run_was_killed_the_next_one_ends_in_the_same_state():
    """Play the rounds one by one; stop after each, plan again, and go on."""
    start = state(["1.34.4"] * 3, "1.34.4", (3, 6, 5))
    whole = upgrade_path.find(start, "1.37.2", "3.7.0-0")
    for killed, stored_last in itertools.product(range(len(whole.rounds) + 1), (True, False)):
        now = played(start, whole, killed, stored_last)
        path = upgrade_path.find(now, "1.37.2", "3.7.0-0")
        end = played(now, path, len(path.rounds), True)
        assert {plane.version for plane in end.planes} == {"1.37.2"} and end.stored == "1.37.2", killed
        assert {plane.etcd for plane in end.planes} == {NEW}, killed


def played(made, path, count, stores_last):
    """Return the state after some rounds, each checked against the rules of skew. stores_last: the last one got so far
    that its version was stored."""
    apis = {plane.host: plane.version for plane in made.planes}
    members = {plane.host: plane.etcd for plane in made.planes}
    stored, tag = made.stored, made.stored_tag
    for number, each in enumerate(path.rounds[:count]):
        if each.upload:
            tag = path.documents[each.upload][1]
        if each.kind == "node":
            assert each.version == stored, "kubeadm upgrade node follows the stored version"
        assert versions.parse(each.version)[1] - versions.parse(apis[each.host])[1] in (0, 1)
        apis[each.host] = each.version
        if each.etcd:
            wanted = SAFE if tag == "3.6.11-0" else etcd_image.parsed(tag)
            if wanted[:2] > members[each.host][:2]:
                assert min(members.values()) >= (3, 6, 11), "all members are new enough"
            members[each.host] = wanted
        if each.kind == "apply" and (stores_last or number < count - 1):
            stored = each.version
        numbers = sorted(versions.parse(version)[1] for version in apis.values())
        assert numbers[-1] - numbers[0] <= 1, "API servers within one minor release"
    planes = [
        Plane(plane.host, plane.name, apis[plane.host], members[plane.host], plane.leads) for plane in made.planes
    ]
    return State(planes, stored, tag)
