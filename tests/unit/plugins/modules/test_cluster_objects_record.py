# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record that the module writes, and what a later look says by it."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import time

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.api import applied_objects, drain, lock
from ansible_collections.kubewright.cluster.plugins.module_utils.detect import applied as look
from ansible_collections.kubewright.cluster.plugins.modules import cluster_objects
from ansible_collections.kubewright.cluster.tests.unit.plugins.api_server import Module, Server, manifest

MAP = "/api/v1/namespaces/web/configmaps/a"
LOGIN = "/api/v1/namespaces/web/secrets/login"
RECORD = "/api/v1/namespaces/kube-system/secrets/kubewright-manifests"
WEB = manifest("web", ("ConfigMap", "a", {"x": "1", "y": "2"}), ("Secret", "login", {"password": "aHVudGVyMg=="}))


def run(server, *manifests, check_mode=False):
    """The sentences about changes of one run of the module."""
    server.applied.clear()
    cluster = cluster_objects.Cluster(Module(list(manifests), check_mode), server.run)
    cluster.keep_manifests()
    return cluster.changes


@pytest.fixture
def server():
    made = Server()
    run(made, WEB)
    made.asked.clear()
    return made


def states(server):
    return look.applied(server.ask)["objects"]


def test_a_second_run_applies_and_writes_nothing(server):
    assert run(server, WEB) == [] and server.applied == []
    assert set(states(server).values()) == {"same"}


def test_the_look_reads_metadata_only(server):
    assert states(server)["v1|Secret|web|login"] == "same"
    assert {accept for path, accept in server.asked if path in (MAP, LOGIN)} == {look.METADATA}


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (lambda server: server.set(MAP, "data", "x", value="9"), "changed"),
        (lambda server: server.remove(MAP), "deleted"),
        (lambda server: server.objects[MAP]["metadata"].pop("managedFields"), "changed"),
        (lambda server: server.objects[MAP]["metadata"].update(labels={"of": "others"}), "same"),
        (lambda server: server.objects[MAP].update(status={"phase": "Active"}), "same"),
        (lambda server: server.status.update({MAP: (500, "broken")}), None),
        (lambda server: server.status.update({MAP: (404, "404 page not found")}), None),
        (lambda server: server.status.update({MAP: (404, '{"reason": "NotFound", "details": {}}')}), None),
        (lambda server: server.status.update({MAP: (403, '{"reason": "Forbidden"}')}), None),
        (lambda server: server.status.update({MAP: (200, "{cut")}), None),
    ],
    ids=[
        "a value is changed",
        "it is deleted",
        "its managers are cleared",
        "others label it",
        "its status changes",
        "an error",
        "no such path",
        "no such resource",
        "forbidden",
        "a cut answer",
    ],
)
def test_what_others_do_to_an_object(server, act, expected):
    act(server)
    assert states(server) == {"v1|ConfigMap|web|a": expected, "v1|Secret|web|login": "same"}


def test_a_value_that_was_changed_and_changed_back_is_owned_again(server):
    server.set(MAP, "data", "x", value="9")
    server.set(MAP, "data", "x", value="1")
    assert states(server)["v1|ConfigMap|web|a"] == "changed"
    assert run(server, WEB, check_mode=True) == ["manifest web: v1|ConfigMap|web|a, v1|Secret|web|login"]
    assert states(server)["v1|ConfigMap|web|a"] == "changed"
    assert len(run(server, WEB)) == 1 and set(states(server).values()) == {"same"}
    assert run(server, WEB) == []


def test_an_object_that_is_only_named_is_not_applied_again():
    """A Namespace without labels: the API server keeps no entry where no field is set."""
    server, item = Server(), {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "web"}}
    only = {"name": "web", "state": "present", "content": json.dumps(item)}
    assert len(run(server, only)) == 1 and "managedFields" in server.objects["/api/v1/namespaces/web"]["metadata"]
    assert run(server, only) == [] and states(server) == {"v1|Namespace||web": "same"}


def test_the_value_of_a_string_in_a_secret_is_in_no_entry():
    """The API server writes stringData as data, and the entry still names stringData: its resource version counts."""
    entry = {"manager": "kubewright", "operation": "Apply", "fieldsV1": {"f:stringData": {"f:password": {}}}}
    first, second = ({"metadata": {"managedFields": [entry], "resourceVersion": version}} for version in ("1", "2"))
    assert applied_objects.fields(first) != applied_objects.fields(second)
    entry["fieldsV1"] = {"f:data": {"f:password": {}}}
    assert applied_objects.fields(first) == applied_objects.fields(second)


def test_an_object_that_existed_like_this_before_is_applied_to_own_its_fields():
    server = Server()
    item = json.loads(WEB["content"].partition("\n")[0])
    server.objects[MAP] = item
    assert len(run(server, {**WEB, "content": json.dumps(item)})) == 1
    assert states(server) == {"v1|ConfigMap|web|a": "same"}


def test_the_record_is_a_secret_with_a_key_of_its_own(server):
    """A digest of a short password can be guessed by whoever can read it: it must need the key beside it."""
    made = server.objects[RECORD]
    assert made["kind"] == "Secret"
    text = json.dumps([base64.b64decode(value).decode() for value in made["data"].values()])
    plain = hashlib.sha256(WEB["content"].encode()).hexdigest()
    found = look.applied(server.ask)
    assert plain not in text and found["digests"]["web"] == applied_objects.digest(found["key"], plain)
    other = Server()
    run(other, WEB)
    assert look.applied(other.ask)["digests"] != found["digests"]
    run(server, manifest("web", ("ConfigMap", "a", {"x": "2"})))
    again = look.applied(server.ask)
    assert again["key"] == found["key"] and again["digests"] != found["digests"]


@pytest.mark.parametrize(
    "data", [None, {}, {"key": "eA==", "applied": "e30="}, {"key": "", "applied": "W10="}], ids=str
)
def test_a_damaged_record_is_unknown_and_written_again(server, data):
    server.objects[RECORD]["data"] = data
    with pytest.raises(ValueError, match="is damaged"):
        look.applied(server.ask)
    run(server, WEB)
    assert set(states(server).values()) == {"same"} and look.applied(server.ask)["digests"]


@pytest.mark.parametrize("answer", [(500, "broken"), (403, "{}"), (404, "404 page not found")])
@pytest.mark.parametrize("kind", ["secrets", "configmaps"])
def test_a_record_that_cannot_be_read_is_not_an_empty_one(server, kind, answer):
    server.status["/api/v1/namespaces/kube-system/%s/kubewright-manifests" % kind] = answer
    with pytest.raises(ValueError):
        look.applied(server.ask)


def test_without_a_record_nothing_was_applied():
    assert look.applied(Server().ask) == {"record": {}, "key": "", "digests": {}, "objects": {}}


def test_objects_that_were_not_asked_in_time_are_unknown(server, monkeypatch):
    monkeypatch.setattr(look, "SECONDS", -1)
    assert set(states(server).values()) == {None}


def test_manifests_that_stay_without_being_named_keep_their_digests(server):
    before = look.applied(server.ask)
    run(server, manifest("kubewright-network", ("ConfigMap", "net", {"a": "b"})))
    after = look.applied(server.ask)
    assert after["digests"]["web"] == before["digests"]["web"] and set(after["objects"].values()) == {"same"}


# -- an autoscaler
# --------------------------------------------------------------------------

SHOP = "/apis/apps/v1/namespaces/web/deployments/shop"
SCALER = {"kind": "HorizontalPodAutoscaler", "metadata": {"name": "shop", "namespace": "web"}}
SCALER["spec"] = {"scaleTargetRef": {"kind": "Deployment", "name": "shop"}, "minReplicas": 2}


def shop(replicas=2, image="shop:1"):
    spec = {"replicas": replicas, "image": image}
    item = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "shop", "namespace": "web"},
        "spec": spec,
    }
    return {"name": "shop", "content": json.dumps(item), "state": "present"}


def scale(server, replicas, manager="kube-controller-manager"):
    """Set the replicas as an autoscaler does, or by `kubectl scale`."""
    item = server.objects[SHOP]
    item["spec"]["replicas"] = replicas
    entries = [entry for entry in item["metadata"]["managedFields"] if entry.get("subresource") != "scale"]
    for entry in entries:
        entry["fieldsV1"].get("f:spec", {}).pop("f:replicas", None)
    more = {"manager": manager, "operation": "Update", "subresource": "scale"}
    item["metadata"]["managedFields"] = [*entries, {**more, "fieldsV1": {"f:spec": {"f:replicas": {}}}}]


@pytest.fixture
def shop_server(monkeypatch):
    """A server that notes fields as the real one does, and keeps what others own."""
    made = Server()
    plain = made.apply

    def apply(words, text):
        before = copy.deepcopy(made.objects.get(SHOP))
        done = plain(words, text)
        item = made.objects.get(SHOP)
        if item is not None and SHOP in made.applied[-1:]:
            own = {"f:spec": {"f:" + name: {} for name in item["spec"]}}
            item["metadata"]["managedFields"][-1]["fieldsV1"] = own
            others = [row for row in (before or item)["metadata"]["managedFields"] if row.get("subresource")]
            if "replicas" not in item["spec"]:
                item["spec"]["replicas"] = before["spec"]["replicas"] if others else 1
                item["metadata"]["managedFields"] += others
            return 0, json.dumps({"kind": "List", "items": [item]}), ""
        return done

    monkeypatch.setattr(made, "apply", apply)
    made.objects["/apis/autoscaling/v2/namespaces/web/horizontalpodautoscalers/shop"] = copy.deepcopy(SCALER)
    run(made, shop())
    return made


def test_replicas_that_an_autoscaler_has_set_are_its_own(shop_server):
    assert set(states(shop_server).values()) == {"same"}
    scale(shop_server, 5)
    assert set(states(shop_server).values()) == {"same"}  # so the plan does not apply the manifest again
    assert run(shop_server, shop()) == [] and shop_server.objects[SHOP]["spec"]["replicas"] == 5
    assert len(run(shop_server, shop(image="shop:2"))) == 1
    assert shop_server.objects[SHOP]["spec"] == {"replicas": 5, "image": "shop:2"}
    scale(shop_server, 7)
    assert set(states(shop_server).values()) == {"same"} and run(shop_server, shop(image="shop:2")) == []


def test_replicas_that_it_has_not_set_yet_stay_those_of_the_manifest(shop_server):
    """Without them the API server would set one."""
    assert len(run(shop_server, shop(replicas=3))) == 1 and shop_server.objects[SHOP]["spec"]["replicas"] == 3


def test_replicas_that_a_person_has_set_are_ours(shop_server):
    scale(shop_server, 5, "kubectl")
    assert set(states(shop_server).values()) == {"changed"}
    assert len(run(shop_server, shop())) == 1 and shop_server.objects[SHOP]["spec"]["replicas"] == 2


def test_without_the_autoscaler_a_new_number_is_applied(shop_server):
    scale(shop_server, 5)
    del shop_server.objects["/apis/autoscaling/v2/namespaces/web/horizontalpodautoscalers/shop"]
    assert len(run(shop_server, shop(replicas=3))) == 1 and shop_server.objects[SHOP]["spec"]["replicas"] == 3


# -- nodes that a run has made unschedulable
# --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age", "run_of", "patched"), [(None, "", 1), (10, "b/2-2", 0), (10, "a/1-1", 1), (999, "b/2-2", 1)]
)
def test_a_node_that_another_run_evicts_stays_unschedulable(age, run_of, patched):
    server, now = Server(), time.time()
    sent = []
    server.patch = lambda words, _text: (sent.append(words), (0, "", ""))[1]
    if age is not None:
        spec = {"holderIdentity": "bob@build", "leaseDurationSeconds": 60, "renewTime": lock.micro_time(now - age)}
        notes = {lock.OPERATION: "upgrade", lock.RUN: run_of}
        server.objects["/api/v1/namespaces/kube-system/leases/kubewright"] = {
            "kind": "Lease",
            "metadata": {"name": "kubewright", "annotations": notes},
            "spec": spec,
        }
    module = Module([])
    module.params.update(nodes={"w-1": {"labels": {}, "taints": None}}, run="a/1-1")
    node = {"metadata": {"name": "w-1", "annotations": {drain.CORDONED: "upgrade"}}, "spec": {"unschedulable": True}}
    cluster_objects.Cluster(module, server.run).keep_nodes([node])
    assert len(sent) == patched and len(module.warnings) == 1 - patched
    if not patched:
        assert "w-1 stays unschedulable: bob@build is changing this cluster (upgrade, since" in module.warnings[0]
