# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore from the data of etcd on a control plane that is left: its plan, why it is refused, and who is asked."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible import context
from ansible_collections.kubewright.cluster.plugins.action.restore import ActionModule
from ansible_collections.kubewright.cluster.tests.unit.plugins.action.test_restore import (
    dead,
    interrupted,
    lost_servers,
    planned,
)
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.clusters import running, with_inputs
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described, ids

OPTIONS = {"from": "cp-2", "confirm": "prod"}


@pytest.fixture(autouse=True)
def arguments(monkeypatch):
    monkeypatch.setattr(context, "CLIARGS", {"extra_vars": []})


@pytest.fixture(scope="module")
def cluster():
    return running()


@pytest.fixture
def lost(cluster):
    """The cluster with new machines as cp-1 and cp-3: they have neither data nor a kubelet."""
    hosts, groups = dead(cluster)
    for host in ("cp-1", "cp-3"):
        info = hosts[host]["info"]
        new = {**info["cluster"], "etcd_data": False, "manifests": [], "kubelet_conf": False, "ca_sha256": None,
               "live": None, "finished": False, "kind": None}  # fmt: skip
        hosts[host] = {**hosts[host], "info": {**info, "machine_id": "new " + host, "cluster": new}}
    return hosts, groups


def member(address, answers=False, learner=False):
    return {"urls": ["https://%s:2380" % address], "answers": answers, "learner": learner}


def survey(cluster, revision=70, members=None, etcd_cluster="99", **more):
    """What a control plane says about its data."""
    hosts, _groups = cluster
    live = hosts["cp-1"]["info"]["cluster"]["live"]
    nodes = [{"name": host, "machine_id": row["info"]["machine_id"]} for host, row in hosts.items()]
    manifest = {
        "created": "2026-11-29T12:00:00Z",
        "cluster": {"name": "prod", "distribution": "kubeadm", "ca_sha256": "ca", "uid": "u", "nodes": nodes,
                    "version": live["version"], "etcd_cluster": etcd_cluster},
        "versions": {"kubernetes": live["version"], "etcd": "3.6.8"},
        "datastore": {"kind": "etcd", "revision": revision, "counts": {"secrets": 3, "configmaps": 4}},
        "missing": [],
        "parts": {"pki/ca.crt": {"path": "/etc/kubernetes/pki/ca.crt"},
                  "files/etc/kubernetes/enc.yaml": {"path": "/etc/kubernetes/enc.yaml", "mode": "0600", "owner": 0,
                                                    "group": 0}},
    }  # fmt: skip
    settings = live["kubeadm_config"]["ClusterConfiguration"]
    known = members if members is not None else [member("10.0.0.11"), member("10.0.0.13")]
    return {"archive": "id", "manifest": manifest, "settings": settings, "members": known, "left_out": 0, **more}


def test_the_plan(action, store, cluster, lost):
    surveys = {"cp-2": survey(cluster, left_out=2)}
    made, stages, text = planned(action, store, *lost, OPTIONS, refuse=True, surveys=surveys)
    assert described(made["refusals"]) == [] and made["first"] == "cp-2" and made["goes_on"]
    assert stages == {"receive": ["cp-2"], "stop": ["cp-1", "cp-2", "cp-3"], "restore": ["cp-2"]}
    assert made["replaced"] == ["cp-1", "cp-3"] and made["from"] == "cp-2" and made["prepare"] == []
    assert "etcd's data of cp-2 (prod" in text and "cp-2: copy etcd's data and check the copy" in text
    assert "cp-1, cp-3: join the control plane, with an empty etcd" in text
    assert {"restore.silent_members", "restore.left_out"} <= set(ids(made["warnings"]))
    assert "kind: InitConfiguration" in store.get("node", "cp-2")["apply"]["start"]["config"]


def test_the_newest_data_are_restored(action, store, cluster):
    five = [member("10.0.0.%d" % number) for number in (12, 13, 14, 15)]
    surveys = {
        "cp-1": survey(cluster, 60, five),
        "cp-2": survey(cluster, 70, five),
        "cp-3": {"problem": "it is damaged"},
    }
    hosts = dead(cluster)
    made, stages, text = planned(action, store, *hosts, {**OPTIONS, "from": "cp-1"}, refuse=True, surveys=surveys)
    assert described(made["refusals"]) == ["restore.newer_data node=cp-1 value=60 limit=70"] and stages == {}
    newest, own = text.index("cp-2: etcd's data end at revision 70"), text.index("cp-1: etcd's data end at revision 60")
    assert newest < own and "restore.data_unknown" in ids(made["warnings"])
    made, _stages, _text = planned(action, store, *hosts, OPTIONS, refuse=True, surveys=surveys)
    assert made["refusals"] == []
    of_another = {**surveys, "cp-2": survey(cluster, 70, five, etcd_cluster="1")}
    made, _stages, text = planned(action, store, *hosts, {**OPTIONS, "from": "cp-1"}, refuse=True, surveys=of_another)
    assert made["refusals"] == [] and "revision 70" not in text


def test_a_majority_that_can_come_back(action, store, cluster, lost):
    learner = [member("10.0.0.11", answers=True, learner=True), member("10.0.0.12"), member("10.0.0.13")]
    made, _stages, _text = planned(action, store, *lost, OPTIONS, surveys={"cp-2": survey(cluster, members=learner)})
    assert made["refusals"] == []
    surveys = {"cp-2": survey(cluster, members=[member("10.0.0.11", answers=True), member("10.0.0.13")])}
    made, stages, _text = planned(action, store, *lost, OPTIONS, refuse=True, surveys=surveys)
    assert ids(made["refusals"]) == ["restore.majority"] and stages == {}
    made, _stages, _text = planned(action, store, *lost, {**OPTIONS, "overwrite": True}, refuse=True, surveys=surveys)
    assert made["refusals"] == []


def test_two_of_three_have_their_data(action, store, cluster):
    surveys = {"cp-1": survey(cluster), "cp-2": survey(cluster)}
    made, _stages, _text = planned(action, store, *dead(cluster), OPTIONS, refuse=True, surveys=surveys)
    assert described(made["refusals"]) == ["restore.majority node=cp-2 value=2 limit=1"]


@pytest.mark.parametrize("surveys, more, wanted", [
    ({"cp-2": {"leader": True}}, {}, "restore.not_needed node=cp-2"),
    ({"cp-2": {"problem": "the disk is full."}}, {}, "restore.data_unreadable node=cp-2"),
    ({}, {}, "restore.no_data node=cp-2"),
    ({}, {"from": "w-1"}, "restore.not_a_control_plane value=w-1"),
    ({}, {"archive": "/a.tar.gz"}, "restore.one_source value=cp-2"),
])  # fmt: skip
def test_sources_that_have_nothing(action, store, lost, surveys, more, wanted):
    made, stages, _text = planned(action, store, *lost, {**OPTIONS, **more}, refuse=True, surveys=surveys)
    assert described(made["refusals"]) == [wanted] and stages == {}


def test_other_sources(action, store, cluster, lost):
    made, _stages, _text = planned(action, store, *lost, {**OPTIONS, "from": "cp-1"}, surveys={"cp-2": survey(cluster)})
    assert "Set restore_from: cp-2" in made["refusals"][0]["text"] and ids(made["refusals"]) == ["restore.no_data"]
    made, _stages, _text = planned(action, store, *dead(cluster), {"from": "cp-2"}, surveys={"cp-2": survey(cluster)},
                                   refuse=True)  # fmt: skip
    assert "restore.not_confirmed limit=prod" in described(made["refusals"])


def k3s_survey(revision=70):
    """What a K3s server says about its data. It does not know the cluster's name."""
    settings = {"cluster-cidr": ["10.244.0.0/16"], "service-cidr": ["10.96.0.0/12"]}
    manifest = {
        "created": "2026-11-29T12:00:00Z",
        "cluster": {"name": "", "distribution": "k3s", "ca_sha256": "ca", "uid": "u", "nodes": [{"name": "cp-2"}],
                    "version": "v1.36.3", "etcd_cluster": "u", "settings": settings},
        "versions": {"kubernetes": "v1.36.3", "k3s": "v1.36.3+k3s1"},
        "datastore": {"kind": "etcd", "revision": revision, "counts": {"secrets": 3}},
        "missing": [],
        "parts": {"server/token": {"path": "/var/lib/rancher/k3s/server/token"}},
    }  # fmt: skip
    members = [member("10.0.0.11"), member("10.0.0.13")]
    return {"archive": "id", "manifest": manifest, "settings": "", "members": members, "left_out": 0}


def test_a_k3s_server_that_is_left(action, store):
    hosts, groups = lost_servers()
    hosts = with_inputs(hosts, kube_cluster_name="edge")
    options, surveys = {"from": "cp-2", "confirm": "edge"}, {"cp-2": k3s_survey()}
    made, stages, text = planned(action, store, hosts, groups, options, refuse=True, surveys=surveys)
    assert described(made["refusals"]) == [] and made["first"] == "cp-2" and made["goes_on"]
    assert stages == {"receive": ["cp-2"], "stop": ["cp-1", "cp-2", "cp-3"], "restore": ["cp-2"]}
    assert made["data_dirs"]["cp-2"] == "/var/lib/rancher/k3s"
    assert "cp-2: stop K3s, let it read a copy of etcd's data as the only member (k3s server --cluster-reset)" in text
    assert "etcd's data of cp-2 (edge" in text and "cp-1, cp-3: join the control plane, with an empty etcd" in text
    assert "restore.silent_members" in ids(made["warnings"])
    made, _stages, _text = planned(action, store, hosts, groups, {"from": "cp-2"}, refuse=True, surveys=surveys)
    assert described(made["refusals"]) == ["restore.not_confirmed limit=edge"]


def test_a_killed_run_goes_on(action, store, cluster, lost):
    hosts, groups = lost
    half = interrupted(hosts, "id", cp_2="stopped")
    row = half["cp-2"]["info"]["owned"]["settings"]["restore"]
    row.update(leader="cp-2", first=True)
    surveys = {"cp-2": survey(cluster, members=[member("10.0.0.11", answers=True), member("10.0.0.13", answers=True)])}
    made, stages, _text = planned(action, store, half, groups, OPTIONS, refuse=True, surveys=surveys)
    assert made["refusals"] == [] and made["first"] == "cp-2" and made["at"] == "20261129T130000Z"
    assert stages == {"receive": ["cp-2"], "stop": ["cp-1", "cp-3"], "restore": ["cp-2"]}


# -- what is asked -----------------------------------------------------------------------------------------------------


def acted(action, state, answers, host="cp-2", options=None, check_mode=False):
    variables = {"inventory_hostname": host, "inventory_dir": "/nowhere", "restore_from": "cp-2", **(options or {})}
    made = action(ActionModule, {"state": state}, answers=answers, variables=variables, check_mode=check_mode)
    made._connection._play_context = SimpleNamespace(no_log=False)
    return made, made.run(task_vars=variables)


def test_only_control_planes_with_data_are_asked(action, store, lost):
    planned(action, store, *lost, OPTIONS)
    made, result = acted(action, "surveyed", [{"found": {"archive": "id"}}], check_mode=True)
    assert not result["changed"] and store.get("look", "cp-2")["survey"] == {"archive": "id"}
    [(_module, asked, hidden)] = made.asked
    assert asked == {"state": "surveyed"} and hidden
    for host, options in (("cp-1", {}), ("w-1", {}), ("cp-2", {"restore_from": ""}), ("cp-2", {"restore_undo": True})):
        made, result = acted(action, "surveyed", [], host, options)
        assert result["skipped"] and made.asked == []
    _made, result = acted(action, "surveyed", [{"failed": True, "msg": "no space"}])
    assert not result.get("failed") and store.get("look", "cp-2")["survey"] == {"problem": "no space"}


def test_the_data_do_not_travel(action, store, cluster, lost):
    row = survey(cluster)
    planned(action, store, *lost, OPTIONS, refuse=True, surveys={"cp-2": row})
    manifest = {**row["manifest"], "parts": {**row["manifest"]["parts"], "etcd/snapshot.db": {}}}
    answer = {"found": {**row, "manifest": manifest}, "files": {"files/etc/kubernetes/enc.yaml": "a2V5"}}
    made, result = acted(action, "prepared", [answer, {"changed": True}])
    assert result["changed"] and [asked["state"] for _module, asked, _hidden in made.asked] == ["copied", "prepared"]
    assert made.asked[1][1]["manifest"] == manifest and made.asked[0][1]["archive"] == "id"
    assert store.get("plan", "operation")["manifest"] == manifest
    made, _result = acted(action, "stopped", [{"changed": True}], "cp-1")
    [file] = made.asked[0][1]["files"]
    assert file["content"] == "a2V5" and file["path"] == "/etc/kubernetes/enc.yaml"
    answer = {"changed": True, "counts": {"secrets": 3, "configmaps": 4}, "wrong": [], "deleted": [], "seconds": 9.5}
    made, _result = acted(action, "started", [answer])
    assert made.asked[0][1]["manifest"] == manifest and made.asked[0][1]["replaced"] == ["cp-1", "cp-3"]
