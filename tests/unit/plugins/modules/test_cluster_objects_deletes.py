# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module cluster_objects deletes, and above all what it does not: nothing goes because an answer failed."""

from __future__ import annotations

import json

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.base.commands import Result
from ansible_collections.kubewright.cluster.plugins.modules import cluster_objects

UNAVAILABLE = "Error from server (ServiceUnavailable): the server is currently unable to handle the request"
FORBIDDEN = 'Error from server (Forbidden): configmaps "kubewright-manifests" is forbidden'


class Failed(Exception):
    pass


class Module:
    """Answers as kubectl does. objects: {identity: UID} that exist; answers: what replaces one of kubectl's answers."""

    check_mode = False

    def __init__(self, manifests, stored, objects=None, **answers):
        self.params = {"kubeconfig": "/etc/kubernetes/admin.conf", "manifests": manifests}
        self.stored, self.objects, self.answers = stored, objects or {}, answers
        self.deleted, self.written, self.warnings = [], None, []

    def run(self, argv, timeout, stdin, env):
        assert env["HTTPS_PROXY"] == env["no_proxy"] == "" and timeout
        words = argv[3:]
        verb = "record" if "configmap" in words else "kept_digests" if "secret" in words else words[0]
        verb = "uid" if verb == "get" and not {"-f", "--raw"} & set(words) else verb
        if verb in self.answers:
            return Result(*self.answers[verb])
        return Result(*getattr(self, verb)(words, stdin))

    def record(self, _words, _data):
        return 0, json.dumps({"data": {"manifests": json.dumps(self.stored)}}), ""

    def kept_digests(self, _words, _data):
        return 0, "", ""

    def diff(self, _words, _data):
        return 0, "", ""

    def create(self, _words, data):
        return 0, data, ""

    def get(self, words, data):
        if "--raw" in words:
            return 0, "{}", ""
        if "-f" in words:  # as it was applied before
            item = json.loads(data)
            item["metadata"]["managedFields"] = [{"manager": "kubewright", "operation": "Apply", "fieldsV1": {}}]
            return 0, json.dumps(item), ""
        raise AssertionError(words)

    def uid(self, words, _data):
        uid = self.objects.get(words[-1])
        return (0, json.dumps({"metadata": {"uid": uid}}), "") if uid else (0, "", "")

    def delete(self, words, _data):
        self.deleted.append(words[-1])
        return 0, "", ""

    def apply(self, _words, data):
        given = json.loads(data)
        if given["kind"] == "ConfigMap":
            self.written = json.loads(given["data"]["manifests"])
        return 0, data, ""

    def fail_json(self, msg, **_more):
        raise Failed(msg)

    def warn(self, text):
        self.warnings.append(text)


def manifest(name="db", version="v1", kind="Namespace", **more):
    item = {"apiVersion": version, "kind": kind, "metadata": {"name": name, **more}}
    return {"name": name, "content": json.dumps(item), "state": "present"}


RECORD = {"db": ["v1|Namespace||db"], "old": ["v1|ConfigMap|db|old"]}
THERE = {"Namespace/db": "1", "ConfigMap/old": "2"}


def test_what_a_dropped_manifest_made_is_deleted():
    module = Module([manifest()], RECORD, THERE)
    cluster_objects.Cluster(module, module.run).keep_manifests()
    assert module.deleted == ["ConfigMap/old"] and module.written == {"db": ["v1|Namespace||db"]}


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"create": (1, "", UNAVAILABLE)}, "kubectl create .*unable to handle"),
        (
            {"create": (1, "", "error validating data: failed to download openapi: context deadline exceeded")},
            "kubectl create .*failed to download openapi",
        ),
        ({"create": (0, "", "")}, "has no objects"),
        ({"diff": (2, "", UNAVAILABLE)}, "cannot be applied: .*unable to handle"),
        ({"diff": (1, "", ""), "apply": (1, "", UNAVAILABLE)}, "kubectl apply .*unable to handle"),
        ({"record": (1, "", UNAVAILABLE)}, "record .* cannot be read: .*unable to handle"),
        ({"record": (1, "", FORBIDDEN)}, "record .* cannot be read: .*forbidden"),
        ({"record": (0, '{"data": {"manifests": "{cut"}}', "")}, "record .* cannot be read: it is damaged"),
        ({"get": (1, "", UNAVAILABLE)}, "kubectl get .*unable to handle"),
        ({"uid": (1, "", UNAVAILABLE)}, "ConfigMap.* cannot be read: .*unable to handle"),
        ({"delete": (1, "", UNAVAILABLE)}, "kubectl delete .*unable to handle"),
    ],
    ids=str,
)
def test_a_failed_answer_deletes_nothing(answers, said):
    module = Module([manifest()], RECORD, THERE, **answers)
    with pytest.raises(Failed, match=said):
        cluster_objects.Cluster(module, module.run).keep_manifests()
    assert module.deleted == [] and module.written is None


@pytest.mark.parametrize("answers", [{}, {"uid": (1, "", 'error: the server doesn\'t have a resource type "Gadget"')}])
def test_what_is_gone_already_is_forgotten(answers):
    module = Module([manifest()], RECORD, {"Namespace/db": "1"}, **answers)
    cluster_objects.Cluster(module, module.run).keep_manifests()
    assert module.deleted == [] and module.written == {"db": ["v1|Namespace||db"]}


def test_check_mode_says_what_would_be_deleted():
    module = Module([manifest()], RECORD, THERE)
    module.check_mode = True
    cluster = cluster_objects.Cluster(module, module.run)
    cluster.keep_manifests()
    assert cluster.changes == ["manifest old: delete v1|ConfigMap|db|old"]
    assert module.deleted == [] and module.written is None


def test_a_manifest_without_objects_deletes_nothing():
    module = Module([{"name": "db", "content": "", "state": "present"}], RECORD, THERE)
    with pytest.raises(Failed, match="has no objects"):
        cluster_objects.Cluster(module, module.run).keep_manifests()
    assert module.deleted == []


def test_no_manifest_at_all_deletes_nothing_and_warns():
    module = Module([manifest("kubewright-network")], RECORD, THERE)
    cluster_objects.Cluster(module, module.run).keep_manifests()
    assert module.deleted == [] and "state: absent" in module.warnings[0]
    assert {"db", "old"} <= set(module.written)


def test_absent_deletes():
    module = Module([{"name": "db", "state": "absent"}, {"name": "old", "state": "absent"}], RECORD, THERE)
    cluster_objects.Cluster(module, module.run).keep_manifests()
    assert sorted(module.deleted) == ["ConfigMap/old", "Namespace/db"] and module.written == {}


def test_a_raised_version_is_the_same_object():
    record = {"kafka": ["kafka.strimzi.io/v1beta2|Kafka|prod|kafka"]}
    wanted = manifest("kafka", "kafka.strimzi.io/v1", "Kafka", namespace="prod")
    module = Module(
        [wanted], record, {"Kafka.v1beta2.kafka.strimzi.io/kafka": "1", "Kafka.v1.kafka.strimzi.io/kafka": "1"}
    )
    cluster_objects.Cluster(module, module.run).keep_manifests()
    assert module.deleted == [] and module.written == {"kafka": ["kafka.strimzi.io/v1|Kafka|prod|kafka"]}


def test_another_group_of_the_same_object_is_known_by_its_uid():
    record = {"web": ["extensions/v1beta1|Ingress|web|web"]}
    wanted = manifest("web", "networking.k8s.io/v1", "Ingress", namespace="web")
    names = ("Ingress.v1beta1.extensions/web", "Ingress.v1.networking.k8s.io/web")
    module = Module([wanted], record, dict.fromkeys(names, "1"))
    cluster_objects.Cluster(module, module.run).keep_manifests()
    assert module.deleted == []
    module = Module([wanted], record, dict(zip(names, "12")))
    cluster_objects.Cluster(module, module.run).keep_manifests()
    assert module.deleted == ["Ingress.v1beta1.extensions/web"]
