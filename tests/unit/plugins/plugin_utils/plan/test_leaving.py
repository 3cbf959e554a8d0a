# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A control plane that is reset while its cluster stays: who removes its etcd member, and when nothing may be reset."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.base.findings import as_dicts
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan.leaving import leaving
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import machine

SERVERS = ["cp-1", "cp-2", "cp-3"]


def look(name, number, healthy=True, **cluster):
    info = machine(name, "10.0.0.1%d" % number)
    member = name in SERVERS
    info["cluster"] = {
        "kind": "kubeadm", "role": "control_plane" if member else "worker", "ca_sha256": "ca",
        "manifests": ["etcd.yaml"] if member else [], "live": {"healthy": healthy} if member else None, **cluster,
    }  # fmt: skip
    return {"info": info, "error": None, "inputs": {}}


@pytest.fixture
def looks():
    return {name: look(name, number) for number, name in enumerate([*SERVERS, "w-1"], 1)}


def refused(found):
    return described(as_dicts(found.refusals))


def test_a_healthy_control_plane_that_stays_is_asked(looks):
    looks["cp-1"] = look("cp-1", 1, healthy=False)
    looks["cp-3"]["inputs"] = {"kube_node_name": "third"}
    found = leaving(looks, SERVERS, ["cp-3", "w-1"])
    assert found.asked == "cp-2" and refused(found) == []
    assert found.hosts == [
        {"host": "cp-3", "name": "third", "addresses": ["10.0.0.13"]},
        {"host": "w-1", "name": "w-1", "addresses": ["10.0.0.14"]},
    ]


def test_nobody_is_asked_if_the_whole_cluster_goes(looks):
    assert leaving(looks, SERVERS, list(looks)) == (None, [], [])


@pytest.mark.parametrize("datastore", ["etcd", "sqlite", "external postgres"])
def test_workers_do_not_stay_without_the_clusters_data(looks, datastore):
    """With an external database the servers may come back and find everything."""
    if datastore != "etcd":
        looks = {
            name: look(name, number, kind="k3s", datastore=datastore, manifests=[])
            for number, name in enumerate(["cp-1", "w-1", "w-2"])
        }
    servers = [name for name in looks if name in SERVERS]
    expected = ["reset.workers_left value=%s limit=%s" % (servers, [name for name in looks if name not in servers])]
    assert refused(leaving(looks, servers, servers)) == ([] if datastore.startswith("external") else expected)
    for name in set(looks) - set(servers):
        looks[name]["info"]["cluster"]["ca_sha256"] = "of another cluster"
    assert refused(leaving(looks, servers, servers)) == []


def test_nobody_is_asked_before_the_look():
    assert leaving({}, SERVERS, ["cp-1"]) == (None, [], [])


def test_a_control_plane_is_not_reset_while_those_that_stay_are_silent(looks):
    looks["cp-1"], looks["cp-2"] = look("cp-1", 1, healthy=False), look("cp-2", 2, healthy=False)
    found = leaving(looks, SERVERS, ["cp-3", "w-1"])
    assert refused(found) == ["reset.no_control_plane node=cp-3 value=cp-1, cp-2"]
    assert refused(leaving(looks, SERVERS, ["w-1"])) == []


@pytest.mark.parametrize("failed", [False, True])
def test_control_planes_that_stay_and_could_not_be_looked_at_are_not_taken_for_none(looks, failed):
    for name in ("cp-1", "cp-2"):
        if failed:
            looks[name]["info"].update(cluster=machine(name)["cluster"], failed_parts={"cluster": "no answer"})
        else:
            looks[name] = {"info": None, "error": "cannot be reached", "inputs": {}}
    found = leaving(looks, SERVERS, ["cp-3", "w-1"])
    assert refused(found) == ["reset.no_control_plane node=cp-3 value=cp-1, cp-2"]
    assert refused(leaving(looks, SERVERS, ["w-1"])) == []


def test_a_member_whose_manifest_was_moved_away_is_a_member(looks):
    looks["cp-1"], looks["cp-2"] = look("cp-1", 1, healthy=False), look("cp-2", 2, healthy=False)
    looks["cp-3"] = look("cp-3", 3, manifests=[], etcd_data=True)
    assert refused(leaving(looks, SERVERS, ["cp-3"])) == ["reset.no_control_plane node=cp-3 value=cp-1, cp-2"]


@pytest.mark.parametrize("failed", [False, True])
def test_unknown_is_not_absent(looks, failed):
    if failed:
        looks["cp-3"]["info"]["failed_parts"] = {"cluster": "RuntimeError: can't start new thread"}
    else:
        looks["cp-3"] = {"info": None, "error": "cannot be reached", "inputs": {}}
    assert refused(leaving(looks, SERVERS, ["cp-3"])) == ["reset.unknown_member node=cp-3"]


def test_a_host_of_another_cluster_leaves_this_one_alone(looks):
    looks["cp-3"] = look("cp-3", 3, ca_sha256="other")
    assert leaving(looks, SERVERS, ["cp-3"]).hosts == []


@pytest.mark.parametrize(("datastore", "asked"), [("etcd", "cp-1"), ("sqlite", None), ("external postgres", None)])
def test_k3s_has_members_only_with_its_own_etcd(datastore, asked):
    looks = {
        name: look(name, number, kind="k3s", datastore=datastore, manifests=[]) for number, name in enumerate(SERVERS)
    }
    assert leaving(looks, SERVERS, ["cp-3"]).asked == asked
