# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the collection owns in a cluster: labels and taints of nodes, and manifests. Standard library only.

The record is kept in the cluster: an annotation on each node names the labels and taints that we set, a ConfigMap names
the objects that each manifest created. An entry that is dropped from the inputs is removed; what others set stays.
"""

from __future__ import annotations

import json
import re
from typing import Any, Dict, List

from . import drain
from .readiness import is_ready

# An object of the API.
Object = Dict[str, Any]

ANNOTATION = "kubewright.cluster/owned"
CONFIG_MAP = "kubewright-manifests"
# How the names of manifests begin that are the collection's own.
OURS = "kubewright-"
MANAGER = "kubewright"
# kubectl's errors if no API server answered or the connection broke: a proxy that switches servers closes with EOF.
_UNREACHED = re.compile(
    r"^(?!Error from server).*(?:Unable to connect to the server|connection (?:refused|reset|lost)"
    r"|The connection to the server \S+ was refused"
    r"|TLS handshake timeout|i/o timeout|: (?:unexpected )?EOF\s*$)",
    re.MULTILINE,
)

# A manifest that brings namespaces or kinds, in YAML or JSON, and kubectl's errors where one is missing.
BRINGS = re.compile(r"[\"']?\bkind[\"']?\s*:\s*[\"']?(?:Namespace|CustomResourceDefinition)\b")
MISSING = re.compile(r"namespaces \"[^\"]*\" not found|no matches for kind|could not find the requested resource")


def unreached(errors: str) -> bool:
    """Return True if kubectl's error output reports an API server that did not answer.

    An error in an answer, such as one about a webhook that did not answer, does not count.
    """
    return bool(_UNREACHED.search(errors))


def owned_of(node: Object) -> dict[str, list[Any]]:
    """Return {labels: [keys], taints: [[key, effect]]} that an earlier run set on a node."""
    try:
        found = json.loads((node["metadata"].get("annotations") or {}).get(ANNOTATION) or "{}")
    except ValueError:
        found = {}
    return {"labels": list(found.get("labels") or []), "taints": [list(pair) for pair in found.get("taints") or []]}


def node_patch(node: Object, wanted: dict[str, Any], uncordon: bool = True) -> dict[str, Any]:
    """Return the merge patch that gives a node its labels and taints, {} if it has them.

    node: the Node object. wanted: {labels: {key: value}, taints: [{key, value, effect}] or None to leave taints alone}.
    uncordon: a node that a run has cordoned becomes schedulable.
    """
    owned = owned_of(node)
    labels = node["metadata"].get("labels") or {}
    changes = {key: value for key, value in wanted["labels"].items() if labels.get(key) != value}
    changes.update({key: None for key in owned["labels"] if key not in wanted["labels"] and key in labels})
    existing = [_plain(taint) for taint in (node.get("spec") or {}).get("taints") or []]
    taints = existing
    if wanted["taints"] is not None or owned["taints"]:
        new = [_plain(taint) for taint in wanted["taints"] or []]
        ours = [tuple(pair) for pair in owned["taints"]] + [(taint["key"], taint["effect"]) for taint in new]
        # If kube_node_taints is set, the user decides about the control plane's own taint too.
        ours += [("node-role.kubernetes.io/control-plane", "NoSchedule")] if wanted["taints"] is not None else []
        taints = [taint for taint in existing if (taint["key"], taint["effect"]) not in ours] + new
    record = {
        "labels": sorted(wanted["labels"]),
        "taints": sorted([taint["key"], taint["effect"]] for taint in wanted["taints"] or []),
    }
    patch: Dict[str, Dict[str, Any]] = {}
    if changes:
        patch["metadata"] = {"labels": changes}
    if _sorted(taints) != _sorted(existing):
        patch["spec"] = {"taints": taints}
    if uncordon and is_cordoned(node):  # by a run that was interrupted
        patch.setdefault("spec", {})["unschedulable"] = None
        patch.setdefault("metadata", {})["annotations"] = {drain.CORDONED: None}
    if record != {"labels": sorted(owned["labels"]), "taints": sorted(owned["taints"])}:
        kept = json.dumps(record, sort_keys=True) if any(record.values()) else None
        patch.setdefault("metadata", {}).setdefault("annotations", {})[ANNOTATION] = kept
    return patch


def is_cordoned(node: Object) -> bool:
    """Return True if the collection made a node unschedulable."""
    return drain.CORDONED in (node["metadata"].get("annotations") or {})


def _plain(taint: dict[str, Any]) -> dict[str, str]:
    return {"key": taint["key"], "value": taint.get("value") or "", "effect": taint["effect"]}


def _sorted(taints: list[dict[str, str]]) -> list[dict[str, str]]:
    return sorted(taints, key=lambda taint: (taint["key"], taint["effect"]))


def may_crowd(pods: list[Object], nodes: list[Object]) -> bool:
    """Return True if several pods run, or may be scheduled, on one of several nodes."""
    places = {pod["spec"].get("nodeName") for pod in pods} - {None}
    return len(pods) > 1 and len(nodes) > 1 and len(places) < 2


def settled(pods: list[Object], nodes: list[Object]) -> bool:
    """Return True if every pod is scheduled and every node is Ready."""
    return all(pod["spec"].get("nodeName") for pod in pods) and all(is_ready(node) for node in nodes)


def crowded(pods: list[Object], nodes: list[Object]) -> Object:
    """Return the pod to move if all pods run on one node and another node can take one, otherwise {}.

    CoreDNS tolerates only the control plane's own taint (kubeadm's manifest).
    """
    places = {pod["spec"].get("nodeName") for pod in pods}
    if len(pods) < 2 or len(places) != 1 or None in places:
        return {}
    fit = [
        node["metadata"]["name"]
        for node in nodes
        if not (node.get("spec") or {}).get("unschedulable")
        and all(
            taint["key"] == "node-role.kubernetes.io/control-plane"
            for taint in (node.get("spec") or {}).get("taints") or []
        )
        and is_ready(node)
    ]
    return pods[-1] if set(fit) - places else {}


def identity(item: Object) -> str:
    """Return the key of an object in the record: "apps/v1|DaemonSet|kube-system|kube-router"."""
    meta = item["metadata"]
    return "|".join((item["apiVersion"], item["kind"], meta.get("namespace") or "", meta["name"]))


def same_object(known: str) -> str:
    """Return what two identities of one object have in common: its group, kind, namespace and name.

    Its version is only how the object is written: raising it in a manifest makes no other object.
    """
    version, rest = known.split("|", 1)
    return "%s|%s" % (version.rpartition("/")[0], rest)


def renamed_group(known: str, other: str) -> bool:
    """Return True if two identities may be one object under two groups, as Ingress was in extensions/v1beta1."""
    return same_object(known) != same_object(other) and known.split("|")[1:] == other.split("|")[1:]


def kubectl_target(known: str) -> list[str]:
    """Return kubectl's arguments for an object: ["-n", "kube-system", "DaemonSet.v1.apps/kube-router"]."""
    version, kind, namespace, name = known.split("|")
    group, _slash, number = version.rpartition("/")
    resource = "%s.%s.%s" % (kind, number, group) if group else kind
    return (["-n", namespace] if namespace else []) + ["%s/%s" % (resource, name)]


def items_of(output: str) -> list[Object]:
    """Return the objects in kubectl's JSON output, which is one object or a List."""
    parsed = json.loads(output)
    return parsed.get("items", [parsed]) if parsed.get("kind") == "List" else [parsed]


def waits_for_its_own(content: str, errors: str) -> bool:
    """Return True if kubectl misses a namespace or a kind, and the manifest itself brings some.

    content: the manifest's YAML or JSON. errors: kubectl's.
    """
    return bool(BRINGS.search(content) and MISSING.search(errors))


def documents(text: str) -> list[Object]:
    """Return the objects in a text of several JSON documents, one after the other."""
    decoder, position = json.JSONDecoder(), 0
    found: List[Object] = []
    while text[position:].strip():
        position += len(text[position:]) - len(text[position:].lstrip())
        item, end = decoder.raw_decode(text[position:])
        found += items_of(json.dumps(item))
        position += end
    return found
