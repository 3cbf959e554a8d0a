# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""K3s's AddOns, one for each file in its auto-deploy folder. Standard library only.

K3s keeps an AddOn and its objects when its file is removed
(https://docs.k3s.io/installation/packaged-components#auto-deploying-manifests-addons). So the AddOns of our files are
the record of what we created, and annotations of each object name its AddOn: pkg/deploy/controller.go, and
pkg/apply/desiredset_apply.go of https://github.com/rancher/wrangler.
"""

from __future__ import annotations

import hashlib
from typing import Dict, List

from ..api.owned_objects import Object, identity

RESOURCE = "addons.k3s.cattle.io"
NAMESPACE = "kube-system"
OURS = "kubewright-"
SET = "objectset.rio.cattle.io/"
KIND = "k3s.cattle.io/v1, Kind=Addon"
# Nobody has these in a manifest, and a cluster has many of them.
SKIPPED = ("events", "events.events.k8s.io")


def late(found: list[Object], wanted: dict[str, str]) -> list[str]:
    """Return the names of files that K3s has not applied yet, or not in this version.

    found: AddOn objects. wanted: {name: SHA-256 of the file}.
    """
    applied = {item["metadata"]["name"]: (item.get("spec") or {}).get("checksum") for item in found}
    return sorted(name for name, digest in wanted.items() if applied.get(name) != digest)


def dropped(found: list[Object], wanted: dict[str, str], kept: list[str]) -> list[str]:
    """Return the names of our AddOns whose file is no longer wanted. kept: those whose file is still on a server."""
    names = [item["metadata"]["name"] for item in found]
    return sorted(name for name in names if name.startswith(OURS) and name not in wanted and name not in kept)


def selector(names: list[str]) -> str:
    """Return a label selector for the objects of AddOns (GetLabelsAndAnnotations and objectSetHash in wrangler)."""
    digests = [hashlib.sha1(("%s%s%s" % (KIND, name, NAMESPACE)).encode()).hexdigest() for name in names]  # noqa: S324
    return "%shash in (%s)" % (SET, ",".join(sorted(digests)))


def owned(items: list[Object], names: list[str]) -> dict[str, list[str]]:
    """Return {AddOn's name: identities of its objects}. Objects that are marked not to be pruned stay, as in K3s."""
    result: Dict[str, List[str]] = {name: [] for name in names}
    for item in items:
        meta = item["metadata"]
        owner = meta.get("annotations") or {}
        ours = owner.get(SET + "owner-gvk") == KIND and owner.get(SET + "owner-namespace") == NAMESPACE
        name = owner.get(SET + "owner-name")
        if ours and name in result and (meta.get("labels") or {}).get(SET + "prune") != "false":
            result[name].append(identity(item))
    return {name: sorted(set(known)) for name, known in result.items()}


def resources(output: str) -> list[str]:
    """Return the kinds to look for objects in, from the output of `kubectl api-resources --output=name`."""
    return [line for line in output.split() if line not in SKIPPED]


def last_event(items: list[Object], name: str) -> str:
    """Return the message of the last warning about an AddOn, "" if there is none. items: Event objects."""
    about = [item for item in items if (item.get("involvedObject") or {}).get("name") == name]
    warnings = [item for item in about if item.get("type") == "Warning"]
    warnings.sort(key=lambda item: str(item.get("lastTimestamp") or item.get("eventTime") or ""))
    return " ".join(str(warnings[-1].get("message") or "").split())[-600:] if warnings else ""
