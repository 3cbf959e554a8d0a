# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A manifest may create namespaces and kinds that its objects use; what was applied is remembered after a failure."""

from __future__ import annotations

import json

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.api import manifests
from ansible_collections.kubewright.cluster.plugins.modules import cluster_objects
from ansible_collections.kubewright.cluster.tests.unit.plugins.modules.test_cluster_objects_deletes import (
    Failed,
    Module,
    manifest,
)

pytestmark = pytest.mark.usefixtures("clock")

NO_NAMESPACE = 'Error from server (NotFound): namespaces "web" not found'
NO_KIND = (
    'error: resource mapping not found for name: "w" namespace: "web" from "STDIN": no matches for kind "Widget" in '
    'version "example.com/v1"\nensure CRDs are installed first'
)
INSIDE = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "inside", "namespace": "web"}}
BRINGS = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "web"}}
WEB = {"name": "web", "content": json.dumps(BRINGS) + "\n" + json.dumps(INSIDE), "state": "present"}
OBJECTS = ["v1|ConfigMap|web|inside", "v1|Namespace||web"]


class Server(Module):
    """errors: what kubectl apply says, in turn, before it succeeds."""

    def __init__(self, manifests, stored, missing, errors=()):
        super().__init__(manifests, stored)
        self.missing, self.errors, self.applied = missing, list(errors), 0

    def diff(self, _words, data):
        return (1, "", self.missing) if "web" not in data else (2, "", self.missing)

    def apply(self, words, data):
        if "configmap" not in data.lower() or "kubewright-manifests" in data:
            return super().apply(words, data)
        self.applied += 1
        return (1, "", self.errors.pop(0)) if self.errors else (0, data, "")


@pytest.mark.parametrize("missing", [NO_NAMESPACE, NO_KIND])
def test_a_manifest_brings_what_its_objects_need(missing):
    module = Server([WEB], {}, missing, [NO_KIND, NO_KIND])
    made = cluster_objects.Cluster(module, module.run)
    made.keep_manifests()
    assert module.applied == 3 and module.written == {"web": OBJECTS} and len(made.changes) == 1


def test_check_mode_applies_nothing_and_predicts_no_deletion():
    module = Server([WEB], {"web": OBJECTS}, NO_KIND)
    module.check_mode = True
    made = cluster_objects.Cluster(module, module.run)
    made.keep_manifests()
    assert module.applied == 0 and module.written is None and module.deleted == []
    assert made.changes == ["manifest web: its namespaces or kinds, then its other objects"]


def test_a_namespace_of_nobody_is_not_waited_for(clock):
    module = Server([{**WEB, "content": json.dumps(INSIDE)}], {}, NO_NAMESPACE)
    with pytest.raises(Failed, match="manifest web cannot be applied"):
        cluster_objects.Cluster(module, module.run).keep_manifests()
    assert module.applied == 0 and clock[0] == 0


def test_a_kind_that_is_never_served_ends_the_run(clock):
    module = Server([WEB], {}, NO_KIND, [NO_KIND] * 99)
    with pytest.raises(Failed, match="no matches for kind"):
        cluster_objects.Cluster(module, module.run).keep_manifests()
    assert manifests.KIND_SECONDS <= clock[0] <= manifests.KIND_SECONDS + 2


def test_another_error_is_not_tried_again():
    module = Server([WEB], {}, NO_NAMESPACE, ['Error from server (Forbidden): configmaps "inside" is forbidden'])
    with pytest.raises(Failed, match="is forbidden"):
        cluster_objects.Cluster(module, module.run).keep_manifests()
    assert module.applied == 1


def test_what_was_applied_before_a_failure_is_remembered():
    module = Server([manifest("first"), WEB], {"old": ["v1|ConfigMap|db|old"]}, "Error: no", [])
    with pytest.raises(Failed):
        cluster_objects.Cluster(module, module.run).keep_manifests()
    assert module.written == {"first": ["v1|Namespace||first"], "old": ["v1|ConfigMap|db|old"]}
    assert module.deleted == []
