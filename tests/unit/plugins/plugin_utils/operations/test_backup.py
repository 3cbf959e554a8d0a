# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a backup: who is asked, and when nothing can be saved."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.operations import operations
from ansible_collections.kubewright.cluster.plugins.plugin_utils.report import plan_text
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described

SERVERS = ["cp-1", "cp-2", "cp-3"]
OPTIONS = {"dir": "/backups", "keep": 3, "encrypted": True, "check": None}


def info(**changes):
    live = {"healthy": True, "uid": "u", "etcd_cluster": "1", "etcd_members": [{}, {}, {}], **changes.pop("live", {})}
    cluster = {"kind": "kubeadm", "ca_sha256": "aa", "manifests": ["etcd.yaml"], "etcd_data": True, "live": live}
    return {"cluster": {**cluster, **changes}}


@pytest.fixture
def infos():
    return {name: info() for name in SERVERS}


def planned(infos, **options):
    cluster = {"name": "prod", "control_planes": SERVERS, "nodes": {}}
    return operations.plan("backup", cluster, infos, {**OPTIONS, **options})


def test_one_healthy_control_plane_is_asked(infos):
    infos["cp-1"] = info(live={"healthy": False, "error": "refused"})
    infos["cp-2"] = info(live={"etcd_members": None, "etcd_error": "timed out"})
    made = planned(infos)
    assert made["source"] == "cp-3" and made["refusals"] == []
    assert made["cluster"] == {"name": "prod", "ca_sha256": "aa", "uid": "u"}
    assert described(made["warnings"]) == ["backup.sick_control_plane node=cp-1", "backup.sick_control_plane node=cp-2"]
    assert made["tasks"][-1] == (
        "controller: write the archive to /backups (mode 0600, encrypted with your passphrase), keep the newest 3 of "
        "this cluster"
    )


def test_silent_hosts_are_named(infos):
    del infos["cp-2"]
    made = planned(infos, keep=0, encrypted=False)
    assert described(made["warnings"]) == ["backup.silent_control_plane node=cp-2"]
    assert made["tasks"][-1].endswith("not encrypted), keep all")


def test_nothing_to_back_up():
    empty = info(kind=None, manifests=[], etcd_data=False, live={"healthy": False})
    assert described(planned({"cp-1": empty})["refusals"]) == ["backup.no_cluster value=['cp-2', 'cp-3']"]
    assert described(planned(dict.fromkeys(SERVERS, empty))["refusals"]) == ["backup.no_cluster value=[]"]


def test_nobody_is_healthy(infos):
    for name in SERVERS:
        infos[name] = info(live={"healthy": False, "error": "refused"})
    why = "its API server does not answer (refused)"
    expected = "backup.no_healthy value=%s" % dict.fromkeys(SERVERS, why)
    made = planned(infos)
    assert described(made["refusals"]) == [expected] and made["source"] is None and made["tasks"] == []


def test_two_clusters_are_not_mixed_up(infos):
    infos["cp-3"] = info(live={"etcd_cluster": "2"})
    assert described(planned(infos)["refusals"]) == ["member.several_clusters value=['1', '2']"]


def test_what_this_release_does_not_save(infos):
    assert described(planned(dict.fromkeys(SERVERS, info(manifests=[])))["refusals"]) == []
    external = dict.fromkeys(SERVERS, info(manifests=["kube-apiserver.yaml"], etcd_data=False))
    assert described(planned(external)["refusals"]) == ["backup.external_etcd node=cp-1"]
    assert described(planned(dict.fromkeys(SERVERS, info(kind="rke2")))["refusals"]) == [
        "backup.unsupported node=cp-1 value=rke2"
    ]


def test_an_external_etcd_of_k3s_is_left_to_its_own_tool():
    made = planned(dict.fromkeys(SERVERS, info(kind="k3s", datastore="external https")))
    assert described(made["refusals"]) == ["backup.unsupported node=cp-1 value=k3s with an external etcd"]
    assert "etcdctl snapshot save" in made["refusals"][0]["text"]


@pytest.mark.parametrize(
    "scheme, engine", [("postgres", "PostgreSQL"), ("postgresql", "PostgreSQL"), ("mysql", "MySQL")]
)
def test_an_external_database_is_copied(scheme, engine):
    k3s = {"kind": "k3s", "manifests": [], "datastore": "external " + scheme}
    infos = {
        "cp-1": info(**k3s, live={"healthy": False, "error": "refused"}),
        "cp-2": info(**k3s, live={"etcd_members": None}),
    }
    made = planned(infos)
    assert made["refusals"] == [] and made["source"] == "cp-2"
    assert made["tasks"][:2] == [
        "cp-2: copy the %s database while it serves, certificate authorities, credentials, tokens, configuration"
        % engine,
        "cp-2: compare the copy with the database, and check that the token opens it",
    ]


def test_embedded_etcd_is_saved_by_a_member_that_answers():
    k3s = {"kind": "k3s", "manifests": []}
    infos = {
        "cp-1": info(**k3s, datastore="removed"),
        "cp-2": info(**k3s, datastore="etcd", live={"etcd_members": None, "etcd_error": "timed out"}),
        "cp-3": info(**k3s, datastore="etcd"),
    }
    made = planned(infos)
    assert made["source"] == "cp-3" and made["refusals"] == []
    assert described(made["warnings"]) == ["backup.sick_control_plane node=cp-1", "backup.sick_control_plane node=cp-2"]
    assert made["tasks"][:2] == [
        "cp-3: save a snapshot of etcd (3 members), certificate authorities, credentials, tokens, configuration",
        "cp-3: compare the snapshot with the cluster's etcd, and check that the token opens it",
    ]
    torn = planned({"cp-1": info(**k3s, datastore="torn")})
    assert (
        described(torn["refusals"])[0].startswith("backup.no_healthy") and "interrupted" in torn["refusals"][0]["text"]
    )


def test_sqlite_is_saved_where_its_server_answers():
    k3s = {"kind": "k3s", "datastore": "sqlite", "manifests": []}
    live = {"etcd_members": None, "etcd_cluster": None}
    made = planned({"cp-1": info(**k3s, live=live)})
    assert made["source"] == "cp-1" and made["refusals"] == []
    assert made["tasks"][:2] == [
        "cp-1: copy the SQLite database while it serves, certificate authorities, credentials, tokens, configuration",
        "cp-1: compare the copy with the database, and check that the token opens it",
    ]
    silent = planned({"cp-1": info(**k3s, live={**live, "healthy": False, "error": "refused"})})
    assert described(silent["refusals"])[0].startswith("backup.no_healthy")


def test_an_archive_is_examined_whatever_the_cluster_does():
    made = planned({}, check="/backups/x.tar.gz")
    assert made["tasks"] == ["controller: examine /backups/x.tar.gz"] and made["refusals"] == []


def test_it_is_shown(infos):
    infos["cp-1"] = info(live={"healthy": False, "error": "refused"})
    plan = {"nodes": {}, "operation": planned(infos)}
    lines = plan_text.text(plan)
    assert lines[0] == "Backup:" and lines[1].startswith("  cp-2: save a snapshot of etcd (3 members)")
    assert lines[-1] == "Next: kubewright.cluster.backup" and any(line.startswith("warning: cp-1") for line in lines)


def test_the_plan_says_where_the_archive_goes_too(infos):
    made = planned(infos, labels=["s3://b/p/", "sftp://me@h:22/"], keep_there=2)
    assert made["tasks"][-2:] == [
        "controller: send the archive to s3://b/p/, read it back, keep the newest 2 of this cluster",
        "controller: send the archive to sftp://me@h:22/, read it back, keep the newest 2 of this cluster",
    ]
    assert planned(infos, labels=["s3://b/"], keep_there=0)["tasks"][-1].endswith("keep all")
