# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An API that keeps its objects in memory, for the lock, drains and removals."""

from __future__ import annotations

import copy
import json

from ansible_collections.kubewright.cluster.plugins.module_utils.api.kubernetes import Api


class FakeApi(Api):
    """Objects by path. evictions: by pod (status, message) of an eviction. deleted, evicted: in order."""

    def __init__(self, objects=None):
        self.objects, self.evictions, self.deleted, self.evicted, self.patience = dict(objects or {}), {}, [], [], 0
        self.version, self.before_write = 0, None

    def put(self, path, item):
        self.version += 1
        item = copy.deepcopy(item)
        item.setdefault("metadata", {})["resourceVersion"] = str(self.version)
        self.objects[path] = item
        return 200, json.dumps(item)

    def ask(self, method, path, body=None, patience=None):
        if method != "GET" and self.before_write:
            hook, self.before_write = self.before_write, None
            hook()
        path, _mark, query = path.partition("?")
        if path.endswith("/eviction"):
            return self._evict(path.rpartition("/eviction")[0], body)
        if method == "GET" and (path in self.objects):
            return 200, json.dumps(self.objects[path])
        if method == "GET" and path.rpartition("/")[2] in ("pods", "nodes", "volumeattachments"):
            return 200, json.dumps({"items": self._list(path, query)})
        if method == "POST":
            path = "%s/%s" % (path, body["metadata"]["name"])
            return (409, "{}") if path in self.objects else self.put(path, body)
        if path not in self.objects:
            return 404, "{}"
        if method == "PUT":
            old = self.objects[path]["metadata"]["resourceVersion"]
            return (409, "{}") if body["metadata"]["resourceVersion"] != old else self.put(path, body)
        if method == "PATCH":
            return self.put(path, merged(self.objects[path], body))
        wanted = ((body or {}).get("preconditions") or {}).get("resourceVersion")
        if wanted and wanted != self.objects[path]["metadata"].get("resourceVersion"):
            return 409, "{}"
        self.deleted.append(path)
        del self.objects[path]
        return 200, "{}"

    def _list(self, path, query):
        kind = path.rpartition("/")[2]
        found = [item for place, item in sorted(self.objects.items()) if "/%s/" % kind in place]
        node = query.rpartition("spec.nodeName%3D")[2]
        return [item for item in found if not node or item["spec"].get("nodeName") == node]

    def _evict(self, path, body):
        name = path.rpartition("/")[2]
        status, message = self.evictions.get(name, (201, ""))
        if status == 201 and "dryRun" not in body["deleteOptions"]:
            self.evicted.append(name)
            self.objects.pop(path, None)
        return status, json.dumps({"message": message})


def merged(old, patch):
    """Return a merge patch applied: RFC 7386."""
    made = dict(old)
    for key, value in patch.items():
        if value is None:
            made.pop(key, None)
        else:
            made[key] = merged(made.get(key) or {}, value) if isinstance(value, dict) else value
    return made


def pod(name, node="w1", owner="ReplicaSet", **more):
    """Return (path, pod). owner: kind of its controller, "" for none."""
    meta = {"name": name, "namespace": "default", "uid": "uid-" + name}
    if owner:
        meta["ownerReferences"] = [{"kind": owner, "controller": True}]
    meta.update(more.pop("metadata", {}))
    item = {"metadata": meta, "spec": {"nodeName": node, **more}, "status": {"phase": "Running"}}
    return "/api/v1/namespaces/default/pods/" + name, item
