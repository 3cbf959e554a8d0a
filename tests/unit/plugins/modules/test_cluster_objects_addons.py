# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects of files that were dropped from K3s's auto-deploy folder: deleted once, never because something failed."""

from __future__ import annotations

import json
import os

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.base.commands import Result
from ansible_collections.kubewright.cluster.plugins.modules import cluster_objects

pytestmark = pytest.mark.usefixtures("clock")

UNAVAILABLE = "Error from server (ServiceUnavailable): the server is currently unable to handle the request"
WEB, DATABASE = "kubewright-web", "kubewright-db"
OWNER = {"gvk": "k3s.cattle.io/v1, Kind=Addon", "namespace": "kube-system"}


class Module:
    """Answers as kubectl does. applied: {AddOn: digest}. owner: whose the Namespace is. answers: replace kubectl's."""

    def __init__(self, applied, owner=DATABASE, check=False, **answers):
        self.params = {"kubeconfig": "/etc/rancher/k3s/k3s.yaml"}
        self.applied, self.owner, self.check_mode, self.answers = applied, owner, check, answers
        self.deleted, self.warnings = [], []

    def run(self, argv, timeout, stdin, env):
        assert os.path.basename(argv[0]) == "k3s" and argv[1] == "kubectl"
        words = [word for word in argv if word not in ("-n", "kube-system")][4:]
        verb = {"addons.k3s.cattle.io": "addons", "events": "events"}.get(words[1], words[0])
        if words[0] == "delete":
            self.deleted.append("/".join(words[-2:]) if "addons.k3s.cattle.io" in words else words[-1])
            return Result(0)
        return Result(*self.answers.get(verb) or getattr(self, verb.replace("-", "_"))())

    def addons(self):
        items = [{"metadata": {"name": name}, "spec": {"checksum": at}} for name, at in self.applied.items()]
        return 0, json.dumps({"kind": "List", "items": items}), ""

    def events(self):
        return 0, json.dumps({"kind": "List", "items": []}), ""

    def api_resources(self):
        return 0, "namespaces\n", ""

    def get(self):
        notes = {"objectset.rio.cattle.io/owner-" + key: at for key, at in {**OWNER, "name": self.owner}.items()}
        item = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "prod", "annotations": notes}}
        return 0, json.dumps({"kind": "List", "items": [item]}), ""

    def warn(self, text):
        self.warnings.append(text)


GONE = ["Namespace/prod", "addons.k3s.cattle.io/" + DATABASE]


def keep(module, wanted=None, kept=()):
    cluster = cluster_objects.Cluster(module, module.run)
    cluster.keep_addons(wanted or {WEB: "1"}, list(kept))
    return cluster.changes


@pytest.mark.parametrize("check", [False, True])
def test_objects_of_a_dropped_file_are_deleted(check):
    module = Module({WEB: "1", DATABASE: "2"}, check=check)
    assert keep(module) == ["addon kubewright-db: delete v1|Namespace||prod"] and module.warnings == []
    assert module.deleted == ([] if check else GONE)


def test_a_file_that_is_left_on_a_server_keeps_its_objects():
    module = Module({WEB: "1", DATABASE: "2"})
    assert keep(module, kept=[DATABASE]) == module.deleted == []


def test_an_object_that_moves_to_a_file_that_is_late_is_not_deleted():
    """K3s has not applied the other file, so the object is still the dropped file's, and both want it."""
    module = Module({WEB: "former", DATABASE: "2"})
    assert keep(module) == module.deleted == []
    assert "K3s has not applied kubewright-web.yaml" in module.warnings[0]
    assert module.warnings[1].startswith("Nothing of kubewright-db.yaml is deleted before K3s has applied the other")
    module = Module({WEB: "1", DATABASE: "2"}, owner=WEB)  # a moment later
    assert keep(module) == ["addon kubewright-db: delete its record"] and module.deleted == GONE[1:]


@pytest.mark.parametrize(
    "answers",
    [
        {"get": (1, "", UNAVAILABLE)},
        {"get": (1, '{"kind": "List", "items": []}', UNAVAILABLE)},
        {"api-resources": (1, "", "error: unable to retrieve the complete list of server APIs")},
    ],
    ids=str,
)
def test_objects_that_cannot_be_listed_keep_their_record(answers):
    module = Module({WEB: "1", DATABASE: "2"}, **answers)
    assert keep(module) == module.deleted == []
    assert "Nothing of kubewright-db.yaml is deleted, because its objects cannot be listed" in module.warnings[0]
