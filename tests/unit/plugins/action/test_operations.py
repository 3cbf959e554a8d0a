# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan's operation remove: who is asked, what is printed, what each play gets; and the lock's holder."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from ansible_collections.kubewright.cluster.plugins.action import plan as plan_action
from ansible_collections.kubewright.cluster.plugins.lookup import cluster_hosts, leaving, planned
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller.operations import lock_holder, removal
from ansible_collections.kubewright.cluster.plugins.plugin_utils.operations import remove
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.tests.unit.plugins.action.conftest import HostVars
from ansible_collections.kubewright.cluster.tests.unit.plugins.action.test_plan import lookup
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.clusters import running
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import ids

OPTIONS = {"nodes": ["cp-1"], "timeout": 300, "force": False, "dead": False}


def answer(hosts, dead=(), **more):
    """Return what the cluster says when it is asked."""
    rows, members = [], []
    for number, (host, row) in enumerate(sorted(hosts.items()), 1):
        address = "10.0.0.%d" % number
        serves = host not in dead
        plane = host.startswith("cp")
        state = {"ready": serves, "reports": serves, "answers": [], "machine_id": row["info"]["machine_id"]}
        rows.append({"name": host, "control_plane": plane, "addresses": [address], **state})
        if plane:
            members.append({"id": host, "name": host, "learner": False, "addresses": [address], "serves": serves})
    found = {"nodes": rows, "members": members, "etcd_error": "", "blocked": {}, "lost": {}, "lock": "", **more}
    return {"changed": False, "cluster": found, "lock_run": ""}


@pytest.fixture
def plan(action, store):
    """Plan an operation. Returns (result, action, printed text)."""

    def make(options=None, operation="remove", dead=(), part=None, new=(), **more):
        hosts, groups = running()
        for host in new:
            hosts[host]["info"]["cluster"] = {}
        replies = answer(hosts, dead, **more)
        for host, row in hosts.items():
            info = None if host in dead else row["info"]
            error = "cannot be reached: timed out" if host in dead else None
            store.put("look", host, {"info": info, "error": error, "inputs": row["inputs"], "problems": []})
        given = {"%s_%s" % (operation, name): value for name, value in {"nodes": ["cp-1"], **(options or {})}.items()}
        made = action(plan_action.ActionModule, {"operation": operation}, [replies], variables=given)
        groups = {"all": sorted(hosts), **groups}
        variables = {
            "groups": groups,
            "ansible_play_hosts_all": part or sorted(hosts),
            "inventory_dir": "/inv",
            **given,
        }
        variables["hostvars"] = HostVars({host: {} for host in hosts})
        return made.run(task_vars=variables), made, made._display.text()

    return make


def test_a_dead_control_plane(plan, store):
    result, made, text = plan(dead=["cp-1"])
    assert result == {"changed": False, "refusals": []}
    [(module, asked, _no_log)] = made.asked
    assert module.endswith("node_removal") and asked["state"] == "asked" and asked["silent"] == ["cp-1"]
    assert "cp-1: remove its etcd member, delete its Node (its machine is gone)" in text
    assert "now 2 of 3 members answer, none may fail; then 2 of 2" in text
    assert lookup(cluster_hosts, "endpoint") == ["cp-2", "cp-3", "w-1"]
    assert lookup(cluster_hosts, "asked") == ["cp-2"] and lookup(cluster_hosts, "evict", "remove") == ["!all"]
    [operation] = lookup(planned, "operation")
    assert [node["name"] for node in operation["absent"]] == ["cp-1"] and operation["control_planes"]
    assert [row["tasks"] for row in operation["endpoint"]] == ["apply"] and not operation["evict"]


def test_a_living_worker(plan):
    result, _made, text = plan({"nodes": ["w-1"]})
    assert result["refusals"] == []
    assert "w-1: evict its pods, delete its Node, reset the machine" in text
    assert "take w-1 out of the inventory" in text.replace("\n  ", " ")
    assert lookup(cluster_hosts, "evict") == ["cp-1"] and lookup(cluster_hosts, "remove") == ["w-1"]
    assert lookup(cluster_hosts, "endpoint") == ["!all"]


def test_a_living_control_plane_is_drained_from_the_endpoints(plan):
    plan()
    [operation] = lookup(planned, "operation")
    assert operation["drained"] == ["cp-1"] and [row["tasks"] for row in operation["endpoint"]] == ["drain", "apply"]


def test_nothing_to_do_runs_no_play(plan):
    result, _made, text = plan({"nodes": ["w-99"]})
    assert result["refusals"] == [] and "nothing to do" in text and "no node" not in text
    assert lookup(cluster_hosts, "evict", "endpoint", "asked", "remove", "stay") == ["!all"]


def test_all_problems_end_the_run_and_nothing_is_kept(plan, store):
    result, _made, _text = plan({"nodes": ["cp-2"]}, dead=["cp-1"], lock="bob@build is changing this cluster.")
    assert result["failed"]
    assert lookup(cluster_hosts, "asked", "endpoint", "remove") == ["!all"]


def operation(nodes, name="remove", dead=(), reply=None):
    """Return an operation after the cluster was asked."""
    hosts, groups = running()
    looks = {host: {"info": None if host in dead else row["info"], "inputs": {}} for host, row in hosts.items()}
    made = removal.Operation(name, {**OPTIONS, "nodes": nodes}, looks, groups, {})
    made.ask(lambda _wanted: reply or answer(hosts, dead))
    return made


def test_what_the_controller_refuses():
    assert ids(operation([]).refusals) == ["remove.no_nodes"]
    assert ids(operation(["cp-1", "cp-2", "cp-3"]).refusals) == ["remove.no_control_plane"]
    assert ids(operation(["cp-1"], reply={"failed": True, "msg": "HTTP 500"}).refusals) == ["remove.not_asked"]
    assert ids(operation(["cp-1"], "replace", ["cp-1"]).refusals) == ["replace.no_machine"]
    assert not operation(["cp-1"], "replace").refusals


def test_servers_of_k3s_leave_before_their_nodes_are_deleted():
    hosts, groups = running()
    for row in hosts.values():
        row["info"]["cluster"]["kind"] = "k3s"
    looks = {host: {"info": row["info"], "inputs": {}} for host, row in hosts.items()}
    made = removal.Operation("remove", {**OPTIONS, "nodes": ["cp-1", "w-1"], "dead": True}, looks, groups, {})
    asked = []
    made.ask(lambda wanted: asked.append(wanted) or answer(hosts))
    assert asked[0]["powered_off"] is True and not made.refusals
    plan = {"nodes": {"cp-2": {}, "cp-3": {}}}
    assert made.stages(plan)["leave"] == ["cp-1"] and made.stages(plan)["evict"] == ["cp-2"]
    assert [node["name"] for node in made.shared()["leave"]] == ["cp-1"]


def test_nodes_that_joined_by_a_server_that_goes_name_another_one():
    hosts, groups = running({"kube_distribution": "k3s"})
    looks = {host: {"info": row["info"], "inputs": row["inputs"]} for host, row in hosts.items()}
    joined_by = {host: row["info"]["cluster"].get("server") for host, row in hosts.items()}
    targets = remove.resolve(["cp-1"], looks, groups["kube_control_plane"], {})
    staying = {host: row for host, row in hosts.items() if host != "cp-1"}
    plan = planner.cluster_plan(staying, {name: [h for h in some if h != "cp-1"] for name, some in groups.items()})
    found = remove.redirects(targets, looks, plan)
    gone = targets[0].addresses
    expected = [host for host in staying if any(address in joined_by[host] for address in gone)]
    assert "w-1" in expected and sorted(found) == sorted(expected)
    assert all(url.startswith("https://") and not any(address in url for address in gone) for url in found.values())
    # The file is as the plan wants it then, so that the next site changes nothing.
    for host, url in found.items():
        hosts[host]["info"]["cluster"]["server"] = url
    assert remove.redirects(targets, looks, plan) == {}


def test_nothing_is_said_of_nodes_that_nobody_was_asked_about(plan):
    result, made, text = plan({"nodes": ["cp-1", "cp-2", "cp-3"]})
    assert result["failed"] and not made.asked
    assert "No control plane would be left" in text and "nothing to remove" not in text


def test_hosts_that_are_no_nodes_are_not_verified(plan):
    result, _made, _text = plan({"nodes": ["cp-1"]}, new=["w-1"])
    assert result["refusals"] == []
    assert lookup(cluster_hosts, "stay") == ["cp-2", "cp-3"] and lookup(cluster_hosts, "endpoint") == ["cp-2", "cp-3"]
    assert lookup(planned, "verify")[0]["names"].keys() == {"cp-2", "cp-3"}


def test_a_limit_that_leaves_out_an_endpoint_is_refused(plan):
    result, _made, text = plan(dead=["cp-1"], part=["cp-1", "cp-2"])
    assert result["failed"] and "--limit leaves it out" in text.replace("\n  ", " ")


def test_a_dead_runs_lock_is_no_problem():
    host = lock_holder.holder("site")["run"].rpartition("/")[0]
    held = {**answer(running()[0], lock="bob@build is changing this cluster (site)."), "lock_run": "%s/1-77" % host}
    made = operation(["cp-1"], reply=held)
    assert not made.removal.problems.refusals and made.holder["dead"] == held["lock_run"]
    held["lock_run"] = "elsewhere/1-77"
    assert ids(operation(["cp-1"], reply=held).removal.problems.refusals) == ["cluster.locked"]


def test_a_healthy_control_plane_that_stays_is_asked(plan, store):
    plan()
    made = leaving.LookupModule()
    made.set_options = lambda **_named: None
    made._templar = SimpleNamespace(template=lambda value: value)
    for name, nodes, host in (
        ("remove", "cp-1", "cp-2"),
        ("replace", "cp-1", "cp-2"),
        ("remove", "", "w-1"),
        ("remove", "cp-1,cp-2,cp-3", "w-1"),
        ("backup", "cp-1", "w-1"),
        (None, "cp-1", "w-1"),
    ):
        variables = {"groups": running()[1], "ansible_play_hosts_all": [], "inventory_hostname": "w-1"}
        made.get_option = {"operation": name}.get
        assert made.run(["asked"], {**variables, "%s_nodes" % name: nodes}) == [host]


def test_a_killed_run_on_this_controller_is_recognised():
    holder = lock_holder.holder("site")
    assert holder["name"].count("@") == 1 and not lock_holder.is_gone(holder["run"])
    done = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    host = holder["run"].rpartition("/")[0]
    assert lock_holder.is_gone("%s/%d-77" % (host, int(done.stdout)))
    assert lock_holder.is_gone("%s/%d-1" % (host, os.getppid()))  # another process has its number now
    assert not lock_holder.is_gone("elsewhere/1-1") and not lock_holder.is_gone("")
    # A container of the same name, whose processes are not seen here, may be in the middle of a run.
    assert not lock_holder.is_gone("%s/0123456789ab/%d-77" % (host.partition("/")[0], int(done.stdout)))
