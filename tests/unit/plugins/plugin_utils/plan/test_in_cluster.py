# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the plan says of manifests, by the record that the module wrote and the look that read it."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.detect import applied as look
from ansible_collections.kubewright.cluster.plugins.modules import cluster_objects
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan.changes import in_cluster
from ansible_collections.kubewright.cluster.plugins.plugin_utils.report import plan_text
from ansible_collections.kubewright.cluster.tests.unit.plugins.api_server import Module, Server, manifest
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.clusters import running, with_inputs
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import inventory, lost

MAP = "/api/v1/namespaces/web/configmaps/a"
WEB = manifest("web", ("ConfigMap", "a", {"x": "1"}), ("Secret", "login", {"password": "hunter22"}))
DB = manifest("db", ("ConfigMap", "b", {"x": "1"}))


@pytest.fixture
def server():
    made = Server()
    cluster_objects.Cluster(Module([WEB, DB]), made.run).keep_manifests()
    return made


def found(server, *manifests, distribution="kubeadm", **live):
    """The plan of a running cluster whose objects are those of the server, with these manifests."""
    hosts, groups = running({"kube_distribution": distribution})
    given = [{**row, "content": row.get("content")} for row in manifests]
    plan = planner.cluster_plan(with_inputs(hosts, kube_manifests=given or None), groups)
    assert plan["refusals"] == []
    plan["manifests"] = [row for row in plan["manifests"] if row["name"] != "kubewright-network"]
    said = {**hosts["cp-1"]["info"]["cluster"]["live"], "applied": look.applied(server.ask), **live}
    texts = {row["name"]: row["content"] for row in manifests if row.get("content")}
    return {**plan, **in_cluster.find(plan, said, texts)}


def states(plan):
    return {row["name"]: row["state"] for row in plan["manifest_changes"]}


def test_nothing_to_apply(server):
    plan = found(server, WEB, DB)
    assert states(plan) == {"web": "same", "db": "same"}
    assert plan["apply_objects"] is False and plan["cluster_changes"] == []
    assert "nothing to do" in "\n".join(plan_text.text(plan))


@pytest.mark.parametrize(
    ("manifests", "said"),
    [
        ([WEB, DB, manifest("new", ("ConfigMap", "n", {}))], ["apply manifest new (new)"]),
        ([WEB, manifest("db", ("ConfigMap", "b", {"x": "2"}))], ["apply manifest db (changed)"]),
        (
            [manifest("web", ("Secret", "login", {"password": "hunter22"})), DB],
            ["apply manifest web (changed); will be deleted: ConfigMap web/a"],
        ),
        ([WEB], ["remove manifest db; will be deleted: ConfigMap web/b"]),
        ([WEB, {"name": "db", "state": "absent"}], ["remove manifest db; will be deleted: ConfigMap web/b"]),
        (
            [{**WEB, "content": WEB["content"] + "\n---\n" + DB["content"]}],
            ["apply manifest web (changed)", "remove manifest db"],
        ),
        ([WEB, DB, {"name": "never", "state": "absent"}], []),
    ],
    ids=["new", "changed", "an object dropped", "dropped", "absent", "an object moved", "absent, never applied"],
)
def test_changes_of_the_inventory(server, manifests, said):
    plan = found(server, *manifests)
    assert plan["cluster_changes"] == said and plan["apply_objects"] is bool(said)
    text = "\n".join(plan_text.text(plan))
    assert all("the cluster: " + one in " ".join(text.split()) for one in said) and "hunter22" not in text


def test_changes_on_the_cluster(server):
    server.set(MAP, "data", "x", value="9")
    server.remove("/api/v1/namespaces/web/secrets/login")
    plan = found(server, WEB, DB)
    said = "apply manifest web again; changed on the cluster: ConfigMap web/a; deleted on the cluster: Secret web/login"
    assert plan["cluster_changes"] == [said] and plan["apply_objects"] is True
    assert states(plan) == {"web": "altered", "db": "same"}
    text = " ".join(" ".join(plan_text.text(plan)).split())
    assert "4 unchanged, objects in the cluster to change" in text and "verify" not in text


def test_no_manifest_at_all_keeps_what_was_applied(server):
    plan = found(server)
    assert states(plan) == {"web": "kept", "db": "kept"} and plan["apply_objects"] is False
    assert described(in_cluster.kept(plan["manifest_changes"])) == ["manifests.kept value=['db', 'web']"]


def test_what_cannot_be_read_is_unknown_and_compared_by_the_run(server):
    server.status[MAP] = (500, "broken")
    plan = found(server, WEB, DB)
    assert states(plan) == {"web": "unknown", "db": "same"}
    assert plan["apply_objects"] is None and plan["cluster_changes"] == ["compare and apply manifest web"]
    plan = found(server, WEB, DB, applied=None, applied_error="HTTP 500")
    assert states(plan) == {"web": "unknown", "db": "unknown"} and plan["apply_objects"] is None
    assert plan["cluster_changes"][-1] == "what was applied is unknown: HTTP 500"
    assert found(server, WEB, DB, dns_places=None)["apply_objects"] is None
    server.set("/api/v1/namespaces/web/configmaps/b", "data", "x", value="9")
    assert found(server, WEB, DB)["apply_objects"] is True


def test_a_run_that_ended_before_the_digests_were_written_is_finished(server):
    del server.objects["/api/v1/namespaces/kube-system/secrets/kubewright-manifests"]
    assert states(found(server, WEB, DB)) == {"web": "changed", "db": "changed"}


def test_k3s_files_that_it_has_not_applied(server):
    plan = found(server, WEB, DB, distribution="k3s")
    assert plan["apply_objects"] is False
    gone = {**plan["addons"]["wanted"], "kubewright-old": "0", "traefik": "1"}
    assert found(server, WEB, DB, distribution="k3s", addons=gone)["cluster_changes"] == [
        "delete the objects of kubewright-old.yaml, which K3s keeps"
    ]
    assert found(server, WEB, DB, distribution="k3s", addons=None)["apply_objects"] is None


def test_a_dns_pod_that_will_be_moved(server):
    plan = found(server, WEB, DB, dns_places=["cp-1", "cp-1"])
    assert plan["cluster_changes"] == ["move a CoreDNS pod away from cp-1"] and plan["apply_objects"] is True


@pytest.mark.parametrize("labels", [{"a": "1"}, None], ids=["set", "as before"])
def test_labels_are_applied_too(server, labels):
    hosts, groups = running()
    plan = planner.cluster_plan(with_inputs(hosts, kube_node_labels=labels), groups)
    made = in_cluster.find(plan, hosts["cp-1"]["info"]["cluster"]["live"], {})
    assert made["apply_objects"] is bool(labels)


def test_a_new_cluster_applies_everything():
    hosts, groups = inventory(1, 1, {"kube_manifests": [WEB]})
    plan = planner.cluster_plan(hosts, groups)
    made = in_cluster.find(plan, {}, {"web": WEB["content"]})
    assert made["apply_objects"] is True and made["cluster_changes"] == [
        "apply manifest kubewright-network (new)",
        "apply manifest web (new)",
    ]


def test_a_joining_node_is_always_followed_by_the_objects():
    hosts, groups = running()
    lost(hosts, "w-1")
    plan = planner.cluster_plan(hosts, groups)
    assert in_cluster.find(plan, hosts["cp-1"]["info"]["cluster"]["live"], {})["apply_objects"] is True


def test_a_limit_that_leaves_out_the_control_plane():
    plan = {"leader": "cp-1", "cluster_changes": ["apply manifest web (new)"], "apply_objects": True}
    assert described(in_cluster.left_out(plan, ["w-1"])) == ["limit.objects_not_applied node=cp-1"]
    assert in_cluster.left_out(plan, ["cp-1"]) == in_cluster.left_out({**plan, "leader": None}, []) == []
    assert in_cluster.left_out({**plan, "apply_objects": None}, ["w-1"]) == []


def test_long_lists_are_cut():
    names = ["ConfigMap web/%d" % number for number in range(9)]
    assert in_cluster._shortened(names) == ", ".join(names[:6]) + " and 3 more"
    assert in_cluster._shortened(names[:7]) == ", ".join(names[:7])
