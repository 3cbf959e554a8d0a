# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""AddOns, which K3s keeps of the files in its auto-deploy folder. Standard library only.

K3s leaves an AddOn and its objects where its file is taken away
(https://docs.k3s.io/installation/packaged-components#auto-deploying-manifests-addons). So the AddOns of our files are the record of what we
made, and each object says whose it is: pkg/deploy/controller.go, and pkg/apply/desiredset_apply.go of https://github.com/rancher/wrangler.
"""

from __future__ import annotations

import hashlib

from ..api import owned_objects as cluster_objects

RESOURCE = "addons.k3s.cattle.io"
NAMESPACE = "kube-system"
OURS = "kubewright-"
SET = "objectset.rio.cattle.io/"
KIND = "k3s.cattle.io/v1, Kind=Addon"
# Of these nobody keeps any in a manifest, and a cluster has many.
SKIPPED = ("events", "events.events.k8s.io")


def late(found: list, wanted: dict) -> list:
    """Names of files that K3s did not apply yet, or not in this version. found: Addon objects. wanted: {name: SHA-256 of the file}."""
    applied = {item["metadata"]["name"]: (item.get("spec") or {}).get("checksum") for item in found}
    return sorted(name for name, digest in wanted.items() if applied.get(name) != digest)


def dropped(found: list, wanted: dict, kept: list) -> list:
    """Names of AddOns of ours whose file is no longer wanted. kept: those whose file is still on a server."""
    names = [item["metadata"]["name"] for item in found]
    return sorted(name for name in names if name.startswith(OURS) and name not in wanted and name not in kept)


def selector(names: list) -> str:
    """A label selector of the objects of these AddOns: GetLabelsAndAnnotations and objectSetHash there."""
    digests = [hashlib.sha1(("%s%s%s" % (KIND, name, NAMESPACE)).encode()).hexdigest() for name in names]  # noqa: S324
    return "%shash in (%s)" % (SET, ",".join(sorted(digests)))


def owned(items: list, names: list) -> dict:
    """{AddOn's name: identities of its objects}. One that is marked not to be pruned stays, as K3s itself has it."""
    result = {name: [] for name in names}
    for item in items:
        meta = item["metadata"]
        owner = meta.get("annotations") or {}
        ours = owner.get(SET + "owner-gvk") == KIND and owner.get(SET + "owner-namespace") == NAMESPACE
        name = owner.get(SET + "owner-name")
        if ours and name in result and (meta.get("labels") or {}).get(SET + "prune") != "false":
            result[name].append(cluster_objects.identity(item))
    return {name: sorted(set(known)) for name, known in result.items()}


def resources(output: str) -> list:
    """Kinds to look for objects in, of `kubectl api-resources --output=name`."""
    return [line for line in output.split() if line not in SKIPPED]


def last_event(items: list, name: str) -> str:
    """What K3s said last of an AddOn. items: Event objects."""
    told = [item for item in items if (item.get("involvedObject") or {}).get("name") == name and item.get("type") == "Warning"]
    told.sort(key=lambda item: str(item.get("lastTimestamp") or item.get("eventTime") or ""))
    return " ".join(str(told[-1].get("message") or "").split())[-600:] if told else ""
