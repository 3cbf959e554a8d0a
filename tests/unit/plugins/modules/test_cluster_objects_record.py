# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record that the module writes, and what a later look says by it."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.api import applied_objects
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
