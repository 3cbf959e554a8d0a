# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An API server with as much of server-side apply as the record of manifests rests on, asked by path or by kubectl."""

from __future__ import annotations

import copy
import json

from ansible_collections.kubewright.cluster.plugins.module_utils.api import applied_objects
from ansible_collections.kubewright.cluster.plugins.module_utils.api.owned_objects import documents as json_documents
from ansible_collections.kubewright.cluster.plugins.module_utils.base.commands import Result

KINDS = {
    "v1": {"ConfigMap": "configmaps", "Secret": "secrets", "Namespace": "namespaces", "Service": "services"},
    "apps/v1": {"Deployment": "deployments"},
}


def documents(text):
    """The objects of a manifest that manifest() wrote, or of a document of the module's own."""
    return json_documents(text.replace("\n---\n", "\n"))


def leaves(value, path=()):
    """The fields of an object that a manager owns: {path: value}."""
    if isinstance(value, dict) and value:
        return {key: found for name in value for key, found in leaves(value[name], (*path, name)).items()}
    return {path: value}


class Server:
    """objects: by path. asked: the requests for objects as (path, Accept)."""

    def __init__(self):
        self.objects, self.asked, self.applied, self.status = {}, [], [], {}

    # What people do behind our back

    def set(self, path, *field, value):
        """Change one field as another manager: the field is not in anybody else's entry any more."""
        item = here = self.objects[path]
        for name in field[:-1]:
            here = here.setdefault(name, {})
        here[field[-1]] = value
        for entry in item["metadata"]["managedFields"]:
            entry["fieldsV1"].pop(".".join(field), None)
        item["metadata"]["managedFields"].append(
            {"manager": "edit", "operation": "Update", "fieldsV1": {".".join(field): {}}}
        )

    def remove(self, path):
        del self.objects[path]

    # Requests by path, as the look makes them

    def ask(self, path, accept="application/json"):
        self.asked.append((path, accept))
        if path in self.status:
            return self.status[path]
        path = path.partition("?")[0]
        if path in self.objects:
            item = self.objects[path]
            shown = {"metadata": item["metadata"]} if "PartialObjectMetadata" in accept else item
            return 200, json.dumps(shown)
        if path.endswith("/pods"):
            return 200, json.dumps({"items": []})
        name = path.rpartition("/")[2]
        return 404, json.dumps({"kind": "Status", "reason": "NotFound", "details": {"name": name}})

    # kubectl, as the module runs it

    def run(self, argv, timeout=None, stdin=None, env=None):
        words = argv[3:]
        if words[:2] == ["-n", "kube-system"]:
            words = words[2:]
            place = "/api/v1/namespaces/kube-system/%ss/%s" % (words[1], words[2]) if words[0] == "get" else ""
            if place in self.objects:
                return Result(0, json.dumps(self.objects[place]), "")
            return Result(0, "", "") if "--ignore-not-found" in words else Result(1, "", "Error (NotFound): none")
        return Result(*getattr(self, words[0])(words, stdin))

    def diff(self, _words, text):
        wanted = [(self._path(item), leaves(item)) for item in documents(text)]
        same = all(
            path in self.objects and leaves(self.objects[path]).items() >= fields.items() for path, fields in wanted
        )
        return 0 if same else 1, "", ""

    def create(self, _words, text):
        return 0, json.dumps({"kind": "List", "items": [self._named(item) for item in documents(text)]}), ""

    def get(self, words, text):
        if "--raw" in words:
            kinds = KINDS[words[-1].removeprefix("/apis/").removeprefix("/api/")]
            rows = [{"kind": kind, "name": name} for kind, name in kinds.items()]
            return 0, json.dumps({"resources": [{"kind": "ConfigMap", "name": "configmaps/none"}, *rows]}), ""
        if "-A" in words:
            kind = {"horizontalpodautoscalers.autoscaling": "HorizontalPodAutoscaler"}[words[1]]
            found = [item for item in self.objects.values() if item["kind"] == kind]
            return 0, json.dumps({"kind": "List", "items": found}), ""
        if "-f" in words:
            paths = [self._path(item) for item in documents(text)]
            found = [self.objects[path] for path in paths if path in self.objects or "--ignore-not-found" not in words]
            return 0, json.dumps({"kind": "List", "items": found}), ""
        kind, _slash, name = words[-1].partition("/")
        found = [
            item
            for item in self.objects.values()
            if item["kind"] == kind.partition(".")[0] and item["metadata"]["name"] == name
        ]
        return 0, json.dumps(found[0]) if found else "", ""

    def delete(self, words, _text):
        for path in [path for path in self.objects if path.endswith("/" + words[-1].partition("/")[2])]:
            del self.objects[path]
        return 0, "", ""

    def apply(self, _words, text):
        found = []
        for item in documents(text):
            path = self._path(item)
            self.applied.append(path)
            new = copy.deepcopy(self._named(item))
            before = self.objects.get(path) or {}
            named = [("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace")]
            fields = {".".join(map(str, key)): {} for key in leaves(item) if key not in named}
            others = [
                entry
                for entry in (before.get("metadata") or {}).get("managedFields") or []
                if entry["manager"] == "edit"
            ]
            own = {"manager": "kubewright", "operation": "Apply", "time": str(len(self.applied)), "fieldsV1": fields}
            new["metadata"].update(uid="1", managedFields=[*others, own] if fields else others)
            self.objects[path] = new
            found.append(new)
        return 0, json.dumps({"kind": "List", "items": found}), ""

    def _named(self, item):
        meta = dict(item["metadata"])
        if item["kind"] != "Namespace":
            meta.setdefault("namespace", "default")
        return {**item, "metadata": meta}

    def _path(self, item):
        kinds = [{"kind": kind, "name": name} for kind, name in KINDS[item["apiVersion"]].items()]
        return applied_objects.path(self._named(item), json.dumps({"resources": kinds}))


class Module:
    """What the module cluster_objects needs of Ansible."""

    def __init__(self, manifests, check_mode=False):
        self.params = {"kubeconfig": "/etc/kubernetes/admin.conf", "manifests": manifests}
        self.check_mode, self.warnings = check_mode, []

    def fail_json(self, msg, **_more):
        raise AssertionError(msg)

    def warn(self, text):
        self.warnings.append(text)


def manifest(name, *items):
    """A manifest of the input, of objects as (kind, name, data)."""
    rows = [
        {"apiVersion": "v1", "kind": kind, "metadata": {"name": own, "namespace": "web"}, "data": data}
        for kind, own, data in items
    ]
    return {"name": name, "content": "\n---\n".join(json.dumps(row) for row in rows), "state": "present"}
