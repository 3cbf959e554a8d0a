# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions of containerd, runc, CNI plugins and crictl: running nodes keep them, and only an upgrade changes them."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.api.drain import CORDONED
from ansible_collections.kubewright.cluster.plugins.plugin_utils.base.reference import COMPONENTS
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller.operations.operation import Run
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller.operations.upgrade import Operation
from ansible_collections.kubewright.cluster.plugins.plugin_utils.kubeadm import components
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.clusters import with_inputs
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described, ids
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import machine
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.operations.test_upgrade import Cluster

OLD = {"containerd": "2.1.4", "runc": "1.3.0"}


def versions(**of):
    return {"kube_artifacts": {"versions": of}}


@pytest.fixture
def cluster():
    """A cluster of 1.37.2 that was made with older components than the collection installs by default."""
    made = Cluster({"kube_version": "1.37.2", **versions(**OLD)}, control_planes=1)
    for member in made.members:
        member["version"] = "3.7.0"
    made.hosts = with_inputs(made.hosts, kube_artifacts=None)
    return made


def site(cluster):
    return planner.cluster_plan(cluster.hosts, cluster.groups)


def programs(plan, host):
    return {item["component"]: item["version"] for item in plan["nodes"][host]["programs"]}


def test_a_new_release_of_the_collection_changes_no_running_node(cluster):
    plan = site(cluster)
    assert not plan["refusals"] and not any(node["steps"] for node in plan["nodes"].values())
    assert programs(plan, "w-1")["containerd"] == "2.1.4"
    newer = [row for row in described(plan["warnings"]) if row.startswith("component.")]
    assert newer == [
        "component.newer value=2.1.4 limit=%s" % COMPONENTS["containerd"],
        "component.newer value=1.3.0 limit=%s" % COMPONENTS["runc"],
    ]


def test_another_version_in_the_inventory_waits_for_the_upgrade(cluster):
    cluster.hosts = with_inputs(cluster.hosts, **versions(cni="v1.8.0", containerd="2.1.4", runc="1.3.0"))
    plan = site(cluster)
    assert not plan["refusals"] and not any(node["steps"] for node in plan["nodes"].values())
    kept = [row for row in described(plan["warnings"]) if row.startswith("component.")]
    assert kept == ["component.kept value=%s limit=1.8.0" % COMPONENTS["cni"]]


def test_the_nodes_of_a_warning_are_named(cluster):
    cluster.hosts["w-1"]["inputs"].update(versions(containerd="2.1.3", runc="1.3.0"))
    text = [row["text"] for row in site(cluster)["warnings"] if row["id"] == "component.kept"]
    assert len(text) == 1 and text[0].startswith("w-1: containerd 2.1.4 is installed")


def test_an_upgrade_installs_them_while_the_node_is_out_of_service(cluster):
    made = cluster.planned()
    assert ids(made["refusals"]) == [] and not made["rounds"] and not made["upload"] and not made["kubelets"]
    assert [row["host"] for row in made["windows"]] == ["cp-1"] and made["workers"] == ["w-1"]
    assert made["drained"] == ["cp-1", "w-1"]
    assert made["components"]["w-1"]["containerd"] == ("2.1.4", COMPONENTS["containerd"])
    line = "w-1: evict pods, containerd 2.1.4 → %s, runc 1.3.0 → %s, 20%% at a time"
    assert line % (COMPONENTS["containerd"], COMPONENTS["runc"]) in made["tasks"]
    plan = cluster.plan()
    assert not [row for row in plan["warnings"] if row["id"].startswith("component.")]
    assert plan["nodes"]["w-1"]["services"]["containerd"] == "restarted"


def test_an_upgrade_of_components_needs_no_version_of_kubernetes(cluster):
    cluster.hosts = with_inputs(cluster.hosts, kube_version=None)
    assert ids(cluster.planned()["refusals"]) == [] and cluster.planned()["workers"] == ["w-1"]


def test_the_inventory_decides_what_an_upgrade_installs(cluster):
    cluster.hosts = with_inputs(cluster.hosts, **versions(containerd="2.1.4", runc="1.2.9"))
    assert cluster.planned()["components"]["cp-1"] == {"runc": ("1.3.0", "1.2.9")}


def test_an_upgrade_does_not_go_back_to_an_older_default():
    cluster = Cluster({"kube_version": "1.37.2", **versions(containerd="2.99.0")}, control_planes=1)
    cluster.hosts = with_inputs(cluster.hosts, kube_artifacts=None)
    made = cluster.planned()
    assert made["components"] == {} and not made["workers"]
    assert not [row for row in site(cluster)["warnings"] if row["id"].startswith("component.")]


def test_crictl_evicts_nobody(cluster):
    cluster.hosts = with_inputs(cluster.hosts, **versions(**OLD, crictl="1.99.0"))
    made = cluster.planned()
    assert made["drained"] == [] and made["workers"] == ["w-1"] and [row["host"] for row in made["windows"]] == ["cp-1"]


def test_a_new_node_gets_what_most_running_nodes_have(cluster):
    cluster.hosts["w-2"] = {**cluster.hosts["w-1"], "info": machine("w-2", "10.0.0.29")}
    cluster.groups["kube_node"].append("w-2")
    assert programs(site(cluster), "w-2")["containerd"] == "2.1.4"
    cluster.hosts["w-2"]["inputs"] = {**cluster.hosts["w-2"]["inputs"], **versions(containerd="2.1.9")}
    assert programs(site(cluster), "w-2")["containerd"] == "2.1.9"


def test_a_node_that_is_ahead_of_the_others_does_not_decide():
    def node(version):
        url = "https://github.com/containerd/containerd/releases/download/v%s/x.tar.gz" % version
        return {"info": {"cluster": {"kubelet_conf": True}, "artifacts": {"/x": {"source": url, "version": version}}}}

    assert components.common({"a": node("2.1.4"), "b": node("2.1.4"), "c": node("2.2.0")}) == {"containerd": "2.1.4"}
    assert components.common({"a": node("2.9.1"), "b": node("2.10.0")}) == {"containerd": "2.10.0"}


def test_what_each_node_gets(cluster):
    options = {"force": False, "backup": False, "timeout": 300}
    plan = cluster.plan()
    made = Operation(options, {}, [], lambda _wanted: {"cluster": {**cluster.answer, "lock": ""}, "lock_run": ""})
    made.planned(plan, cluster.hosts)
    made.into(plan, list(plan["nodes"]))
    shared = made.shared()
    assert {"role": "kube", "tasks": "programs"} in shared["before"]
    assert shared["hooks"] == {"before_node": [], "after_node": []}
    assert shared["nodes"]["w-1"]["drain"] is True and shared["nodes"]["w-1"]["kubelet"] is False


def of(tmp_path, **variables):
    given = {"upgrade_backup": False, **variables}
    run = Run("upgrade", {}, {}, given, (), lambda value: value, str, lambda _module, _wanted: {}, True)
    return Operation.of(run)


def test_hooks_that_are_no_task_files_are_refused_by_the_plan(tmp_path):
    (tmp_path / "good.yml").write_text("- name: Call\n  ansible.builtin.debug:\n")
    (tmp_path / "bad.yml").write_text("a: b\n")
    made = of(tmp_path, upgrade_before_node=str(tmp_path / "bad.yml"), upgrade_after_node=str(tmp_path / "absent.yml"))
    assert [finding.id for finding in made.refusals] == ["hooks.form", "hooks.unreadable"]
    assert [finding.text.partition(":")[0] for finding in made.refusals] == [
        "upgrade_before_node",
        "upgrade_after_node",
    ]
    good = of(tmp_path, upgrade_before_node=str(tmp_path / "good.yml"))
    assert not good.refusals and good.options["before_node"] == str(tmp_path / "good.yml")


def test_a_hook_needs_an_absolute_path(tmp_path):
    [found] = of(tmp_path, upgrade_before_node="x.yml").refusals
    assert found.value == "upgrade_before_node" and "absolute path" in found.text


def test_after_a_killed_run_the_kubelets_files_are_written_again(cluster):
    for row in cluster.node("w-1"):
        row["annotations"] = {CORDONED: "upgrade"}
    assert cluster.planned()["kubelets"] == ["w-1"]


def test_a_program_that_a_killed_run_replaced_is_started(cluster):
    facts = cluster.hosts["w-1"]["info"]
    facts["artifacts"]["/usr/local/bin/containerd"]["mtime"] = 300.0  # the service started at 200
    node = site(cluster)["nodes"]["w-1"]
    assert node["services"] == {"containerd": "restarted"}
    assert node["steps"]["containerd"] == ["/usr/local/bin/containerd changed after it started"]
