# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the collection keeps in a cluster: labels and taints of nodes, manifests. Standard library only.

Ownership is written where the thing is: an annotation on the node names the labels and taints that we set, a ConfigMap names
the objects that each manifest made. So a dropped one is taken away, and what others set is left alone.
"""

from __future__ import annotations

import json
import re

ANNOTATION = "kubewright.cluster/owned"
CONFIG_MAP = "kubewright-manifests"
MANAGER = "kubewright"
# What kubectl says where no API server answered it, or one went away: a proxy between two servers closes with EOF.
_UNREACHED = re.compile(
    r"^(?!Error from server).*(?:Unable to connect to the server|connection (?:refused|reset|lost)"
    r"|TLS handshake timeout|i/o timeout|: (?:unexpected )?EOF\s*$)",
    re.MULTILINE,
)


def unreached(errors: str) -> bool:
    """Whether kubectl's error output tells of an API server that did not answer, not of what one answered (of a webhook, say)."""
    return bool(_UNREACHED.search(errors))


def owned_of(node: dict) -> dict:
    """{labels: [keys], taints: [[key, effect]]} that an earlier run set on a node."""
    try:
        found = json.loads((node["metadata"].get("annotations") or {}).get(ANNOTATION) or "{}")
    except ValueError:
        found = {}
    return {"labels": list(found.get("labels") or []), "taints": [list(pair) for pair in found.get("taints") or []]}


def node_patch(node: dict, wish: dict) -> dict:
    """The merge patch that gives a node its labels and taints, empty where it has them.

    node: the Node object. wish: {labels: {key: value}, taints: [{key, value, effect}] or None for hands off}.
    """
    owned = owned_of(node)
    labels = node["metadata"].get("labels") or {}
    changes = {key: value for key, value in wish["labels"].items() if labels.get(key) != value}
    changes.update({key: None for key in owned["labels"] if key not in wish["labels"] and key in labels})
    there = [_plain(taint) for taint in (node.get("spec") or {}).get("taints") or []]
    taints = there
    if wish["taints"] is not None or owned["taints"]:
        wanted = [_plain(taint) for taint in wish["taints"] or []]
        ours = [tuple(pair) for pair in owned["taints"]] + [(taint["key"], taint["effect"]) for taint in wanted]
        # With kube_node_taints given, the control plane's own taint is the user's choice too.
        ours += [("node-role.kubernetes.io/control-plane", "NoSchedule")] if wish["taints"] is not None else []
        taints = [taint for taint in there if (taint["key"], taint["effect"]) not in ours] + wanted
    record = {
        "labels": sorted(wish["labels"]),
        "taints": sorted([taint["key"], taint["effect"]] for taint in wish["taints"] or []),
    }
    patch = {}
    if changes:
        patch["metadata"] = {"labels": changes}
    if _sorted(taints) != _sorted(there):
        patch["spec"] = {"taints": taints}
    if record != {"labels": sorted(owned["labels"]), "taints": sorted(owned["taints"])}:
        patch.setdefault("metadata", {})["annotations"] = {
            ANNOTATION: json.dumps(record, sort_keys=True) if any(record.values()) else None
        }
    return patch


def _plain(taint):
    return {"key": taint["key"], "value": taint.get("value") or "", "effect": taint["effect"]}


def _sorted(taints):
    return sorted(taints, key=lambda taint: (taint["key"], taint["effect"]))


def may_crowd(pods: list, nodes: list) -> bool:
    """Whether several pods sit, or will come to sit, on one node of several."""
    places = {pod["spec"].get("nodeName") for pod in pods} - {None}
    return len(pods) > 1 and len(nodes) > 1 and len(places) < 2


def settled(pods: list, nodes: list) -> bool:
    """Whether every pod has its place and every node is Ready."""
    return all(pod["spec"].get("nodeName") for pod in pods) and all(is_ready(node) for node in nodes)


def is_ready(node: dict) -> bool:
    """Whether the kubelet reports the node Ready."""
    conditions = (node.get("status") or {}).get("conditions") or []
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


def crowded(pods: list, nodes: list) -> dict:
    """The pod to move where several sit on one node and another node can take one; empty where all is well.

    CoreDNS tolerates the control plane's own taint and no other (kubeadm's manifest).
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


def identity(item: dict) -> str:
    """ "apps/v1|DaemonSet|kube-system|kube-router": what an object is known by."""
    meta = item["metadata"]
    return "|".join((item["apiVersion"], item["kind"], meta.get("namespace") or "", meta["name"]))


def kubectl_target(known: str) -> list:
    """Arguments that name an object to kubectl: ["-n", "kube-system", "DaemonSet.v1.apps/kube-router"]."""
    version, kind, namespace, name = known.split("|")
    group, _slash, number = version.rpartition("/")
    resource = "%s.%s.%s" % (kind, number, group) if group else kind
    return (["-n", namespace] if namespace else []) + ["%s/%s" % (resource, name)]


def items_of(output: str) -> list:
    """The objects in kubectl's JSON output, one object or a List of them."""
    parsed = json.loads(output)
    return parsed.get("items", [parsed]) if parsed.get("kind") == "List" else [parsed]
