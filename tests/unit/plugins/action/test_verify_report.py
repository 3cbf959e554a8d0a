# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A verification without a cluster is a failure: a monthly check must not be green when the cluster is gone."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.action import verify_report

NOTHING = "No cluster was found: none of these hosts is a node of one."


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize("awaited", [False, True])
@pytest.mark.parametrize("control_planes", [["cp-1"], []])
def test_no_cluster_at_all(action, store, check_mode, awaited, control_planes):
    report = {"name": "kubernetes", "version": None, "control_planes": control_planes, "refusals": []}
    scope = {"report": report, "names": {"cp-1": "cp-1"}, "control_planes": control_planes}
    store.put("plan", "verify", {**scope, "not_made_yet": True} if awaited else scope)
    begun = {"begun": {"nothing": True, "checks": []}}
    made = action(verify_report.ActionModule, {"begun": begun}, check_mode=check_mode)
    variables = {"hostvars": {"cp-1": {}}, "ansible_play_hosts_all": ["cp-1"]}
    result = made.run(task_vars=variables)
    # In check mode the cluster that site would make is not there yet; verify makes none.
    good = check_mode and awaited
    assert result["healthy"] is good and bool(result.get("failed")) is not good
    assert [line for line, _colour in made._display.lines] == [NOTHING]


def probe(uid, *failed):
    checks = [{"name": "x", "status": "fail", "text": text, "node": None, "hint": "", "ms": None} for text in failed]
    cluster = {"uid": uid, "etcd_cluster": None, "datastore": "SQLite", "problems": []}
    return {"checks": checks, "member": True, "cluster": cluster}


@pytest.mark.parametrize(("second", "healthy"), [("a", False), ("b", False), (None, True)])
def test_two_clusters_are_not_healthy_though_each_of_them_is(action, store, second, healthy):
    hosts = {"cp-1": "a", "cp-2": second} if second else {"cp-1": "a"}
    report = {"name": "kubernetes", "version": None, "control_planes": list(hosts), "refusals": []}
    store.put("plan", "verify", {"report": report, "names": dict(zip(hosts, hosts)), "control_planes": list(hosts)})
    made = action(verify_report.ActionModule, {"begun": {"begun": {"checks": []}}, "bundle": False})
    hostvars = {host: {"__verify_probed": probe(uid)} for host, uid in hosts.items()}
    result = made.run(task_vars={"hostvars": hostvars, "ansible_play_hosts_all": list(hosts)})
    assert result["healthy"] is healthy
    assert any("SQLite database of its own" in line for line, _colour in made._display.lines) is not healthy


def test_what_etcd_said_of_two_clusters_is_said_once(action, store):
    text = "the members are of 2 clusters: 7 on cp-1; 9 on cp-2"
    begun = {"checks": [{"name": "etcd", "status": "fail", "text": text, "node": None, "hint": "", "ms": None}]}
    report = {"name": "kubernetes", "version": None, "control_planes": ["cp-1", "cp-2"], "refusals": []}
    names = {"cp-1": "cp-1", "cp-2": "cp-2"}
    store.put("plan", "verify", {"report": report, "names": names, "control_planes": list(names)})
    made = action(verify_report.ActionModule, {"begun": {"begun": begun}, "bundle": False})
    hostvars = {}
    for host, known in (("cp-1", "7"), ("cp-2", "9")):
        hostvars[host] = {"__verify_probed": probe("a")}
        hostvars[host]["__verify_probed"]["cluster"].update(etcd_cluster=known, datastore="etcd")
    made.run(task_vars={"hostvars": hostvars, "ansible_play_hosts_all": list(names)})
    assert len([line for line, _colour in made._display.lines if "7 on cp-1; 9 on cp-2" in line]) == 1
