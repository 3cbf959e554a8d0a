# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scheduled backups in the plan: set up, changed and removed without touching what runs, and how the last ones went."""

from __future__ import annotations

import json

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.node import paths
from ansible_collections.kubewright.cluster.plugins.plugin_utils.inputs import schema
from ansible_collections.kubewright.cluster.plugins.plugin_utils.machine import backup_program
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner, slices
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.clusters import running, with_inputs
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import ids
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import inventory

SECRET = "wJalrXUtnFEMIK7MDENG"
S3 = {"s3": {"bucket": "backups", "access_key": "A", "secret_key": SECRET}}
DAILY = {"schedule": "daily", "to": [S3]}
TIMER, SETTINGS, PROGRAM = paths.BACKUP_TIMER, paths.BACKUP_SETTINGS, paths.BACKUP_PROGRAM
SINGLE = {"kube_distribution": "k3s"}


def planned(hosts, groups, **backup):
    return planner.cluster_plan(with_inputs(hosts, kube_backup=backup or None), groups)


def scheduled(backup=None, distribution="kubeadm"):
    """A cluster that has its schedule: (hosts, groups, its plan)."""
    count = 3 if distribution == "kubeadm" else 1
    hosts, groups = running({"kube_distribution": distribution, "kube_backup": backup or DAILY}, count)
    return hosts, groups, planner.cluster_plan(hosts, groups)


@pytest.mark.parametrize("distribution, count", [("kubeadm", 3), ("k3s", 1)])
def test_a_running_cluster_gets_it_beside_what_runs(distribution, count):
    hosts, groups = running({"kube_distribution": distribution}, count)
    plan = planned(hosts, groups, **DAILY)
    assert plan["refusals"] == []
    for host, node in plan["nodes"].items():
        if node["role"] == "worker":
            assert node["steps"] == {} and node["stages"] == []
            continue
        assert node["steps"].keys() == {"backup"} and node["services"] == {TIMER: "started"}
        assert set(node["stages"]) - {"leader"} == {"backup"} and not node["action"]
        reasons = " ".join(node["steps"]["backup"])
        assert all(path + " is missing" in reasons for path in (SETTINGS, PROGRAM, *paths.BACKUP_UNITS)), reasons
        values = schema.validate(with_inputs(hosts, kube_backup=DAILY)[host]["inputs"])[0]
        share = slices.of_host(plan, host, values, hosts[host]["info"], list(hosts))
        assert (share["phase"], share["hooks"], share["needs"]) == ("endpoint", {}, ["parts"])
        secret = slices.secrets(plan, host, values)["files"]
        assert [entry["path"] for entry in secret] == [SETTINGS]
        assert SECRET in secret[0]["content"]
    # Neither the plan nor what the tasks of all hosts share has a secret, or the program itself.
    text = json.dumps(plan)
    assert SECRET not in text and backup_program.digest() in text and "zipfile" not in text


@pytest.mark.parametrize("distribution", ["kubeadm", "k3s"])
def test_a_cluster_that_has_it_is_left_as_it_is(distribution):
    _hosts, _groups, plan = scheduled(distribution=distribution)
    assert plan["refusals"] == [] and all(node["steps"] == {} for node in plan["nodes"].values())


@pytest.mark.parametrize(
    "changed, services, reason",
    [
        ({"schedule": "02:30"}, {TIMER: "restarted"}, "%s changes" % paths.BACKUP_UNITS[1]),
        ({"keep": 3}, {}, SETTINGS + " differs"),
        ({"to": [S3, {"directory": "/srv/backups"}]}, {}, SETTINGS + " differs"),
    ],
)
def test_a_change_restarts_the_timer_only_if_the_time_changes(changed, services, reason):
    hosts, groups, _plan = scheduled()
    plan = planned(hosts, groups, **{**DAILY, **changed})
    for host in groups["kube_control_plane"]:
        node = plan["nodes"][host]
        assert node["services"] == services and reason in node["steps"]["backup"]
        assert set(node["stages"]) - {"leader"} == {"backup"}


def test_another_release_of_the_program_is_put_there(monkeypatch):
    hosts, groups, _plan = scheduled()
    monkeypatch.setattr(backup_program, "digest", lambda: "1" * 64)
    plan = planned(hosts, groups, **DAILY)
    assert plan["nodes"][groups["kube_control_plane"][0]]["steps"] == {"backup": [PROGRAM + " differs"]}


@pytest.mark.parametrize("distribution", ["kubeadm", "k3s"])
@pytest.mark.parametrize("backup", [{}, {"to": [S3]}])
def test_without_the_input_everything_goes_but_archives(distribution, backup):
    hosts, groups, _plan = scheduled(distribution=distribution)
    plan = planned(hosts, groups, **backup)
    assert plan["refusals"] == []
    for host in groups["kube_control_plane"]:
        node = plan["nodes"][host]
        assert node["services"] == {TIMER: "stopped"} and node["steps"].keys() == {"backup"}
        gone = {entry["path"] for entry in node["files"]["backup"] if entry["state"] == "absent"}
        assert gone == {SETTINGS, PROGRAM, *paths.BACKUP_UNITS}
        values = schema.validate({"kube_backup": backup})[0]
        assert slices.secrets(plan, host, values)["files"] == []


def test_it_comes_with_a_new_node_and_with_other_changes():
    hosts, groups = running({}, 1)
    changed = with_inputs(hosts, kube_backup=DAILY, kubelet_config={"maxPods": 99})
    node = planner.cluster_plan(changed, groups)["nodes"][groups["kube_control_plane"][0]]
    assert {"kubelet", "backup"} == set(node["steps"]) and "change" in node["stages"]


def test_a_dead_cluster_is_started_though_its_program_is_older(monkeypatch):
    hosts, groups, _plan = scheduled()
    for host in groups["kube_control_plane"]:
        hosts[host]["info"]["cluster"]["live"].update(healthy=False, error="connection refused", nodes=[])
    monkeypatch.setattr(backup_program, "digest", lambda: "1" * 64)
    assert "cluster.silent" not in ids(planned(hosts, groups, **DAILY)["refusals"])


REFUSED = [
    ({}, {"schedule": "daily"}, "backup.no_destination"),
    ({}, {"schedule": "*/5:00", "to": [S3]}, "inputs.format"),
    ({}, {"schedule": "daily", "to": [{"directory": "/var/lib/etcd/backups"}]}, "inputs.format"),
    ({}, {"schedule": "daily", "to": [{"directory": "relative"}]}, "inputs.format"),
    (
        {"kube_data_dir": "/data"},
        {"schedule": "daily", "to": [{"directory": "/data/backups"}]},
        "backup.directory_in_data",
    ),
    (
        {
            "kube_distribution": "k3s",
            "kube_needs": ["external_database"],
            "k3s_datastore_endpoint": "https://db:2379",
        },
        DAILY,
        "backup.schedule_unsupported",
    ),
]


@pytest.mark.parametrize("inputs, backup, problem", REFUSED)
def test_what_cannot_work_is_refused(inputs, backup, problem):
    hosts, groups = running({}, 1, 0) if "k3s_datastore_endpoint" not in inputs else inventory(1, 0, inputs)
    plan = planner.cluster_plan(with_inputs(hosts, **inputs, kube_backup=backup), groups)
    assert problem in ids(plan["refusals"]) and SECRET not in str(plan["refusals"])


def test_an_external_database_is_saved_on_a_schedule():
    inputs = {**SINGLE, "kube_distribution": "k3s", "kube_needs": ["external_database"]}
    hosts, groups = inventory(1, 0, {**inputs, "k3s_datastore_endpoint": "postgres://u:p@db/k3s", "kube_backup": DAILY})
    plan = planner.cluster_plan(hosts, groups)
    assert plan["refusals"] == [] and plan["nodes"]["cp-1"]["files"]["backup"]


def test_a_host_without_systemd_is_refused():
    hosts, groups = running(SINGLE, 1, 0)
    for row in hosts.values():
        row["info"]["init"] = "openrc"
    assert "backup.no_timers" in ids(planned(hosts, groups, **DAILY)["refusals"])


WARNED = [
    ({"to": [{"directory": "/srv/backups"}]}, "backup.directory_unused"),
    ({**DAILY, "to": [{"s3": {**S3["s3"], "endpoint": "http://s3.example"}}]}, "backup.schedule_not_encrypted"),
    ({**DAILY, "to": [{"sftp": {"host": "backup.example.com"}}]}, "backup.roots_own_key"),
]


@pytest.mark.parametrize("backup, problem", WARNED)
def test_what_is_doubtful_is_a_warning(backup, problem):
    hosts, groups = running({}, 1, 0)
    plan = planned(hosts, groups, **backup)
    assert plan["refusals"] == [] and problem in ids(plan["warnings"])


@pytest.mark.parametrize("failure, days, problem", [(True, 1, "backup.failed"), (False, 3, "backup.overdue")])
def test_the_plan_says_how_the_last_ones_went(failure, days, problem):
    hosts, groups, plan = scheduled()
    assert not {"backup.failed", "backup.overdue"} & set(ids(plan["warnings"]))
    info = hosts[groups["kube_control_plane"][0]]["info"]
    now = info["clock"]["epoch"] = 1796000000.0
    good = {"time": now - days * 86400, "period": now - days * 86400, "name": "a.tar.gz", "node": "cp-1"}
    why = {"time": now - 3600, "node": "cp-2", "text": "sftp://backup.example.com/: the server cannot be reached"}
    record = {"good": good, "places": {}, "failure": why if failure else {}}
    info["cluster"]["live"]["backups"] = record
    warnings = planner.cluster_plan(hosts, groups)["warnings"]
    found = [row for row, name in zip(warnings, ids(warnings)) if name == problem]
    assert len(found) == 1 and "a.tar.gz" in found[0]["text"]
    record.update(good={**good, "time": now - 60, "period": now}, failure={})
    assert problem not in ids(planner.cluster_plan(hosts, groups)["warnings"])
