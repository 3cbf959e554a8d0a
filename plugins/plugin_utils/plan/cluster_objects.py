# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Labels, taints and manifests that the collection owns in the cluster."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ...module_utils.api.owned_objects import node_patch
from ..base.distribution import Cluster, Inputs, Node, Nodes
from ..base.labels import parse_taint, text_of
from ..network import plugins as network

CONTROL_PLANE_TAINT = {"key": "node-role.kubernetes.io/control-plane", "value": "", "effect": "NoSchedule"}


def taints(node: Node, taint_control_planes: bool) -> list[dict[str, str]]:
    """Return the taints that a node joins with.

    taint_control_planes: True if pods are kept off control planes by default.
    """
    wanted = node["inputs"]["kube_node_taints"]
    if wanted is None:
        # A control plane in the workers' group takes work, as in Kubespray.
        tainted = node["role"] == "control_plane" and taint_control_planes and not node.get("takes_work")
        return [dict(CONTROL_PLANE_TAINT)] if tainted else []
    return [parse_taint(text) for text in wanted]


def manifests(shared: Inputs, cluster: Cluster) -> list[dict[str, Any]]:
    """Return the manifests to apply: the network plugin's, then the user's.

    Of the user's the plan has digests, because they may hold Secrets: complete() adds their texts.
    """
    wanted = shared["kube_network"]
    text = network.by_name(wanted["plugin"]).manifest(wanted["options"], cluster)
    own = [{"name": "kubewright-network", "content": text, "state": "present"}] if text else []
    return own + [_described(manifest) for manifest in shared["kube_manifests"]]


def _described(manifest: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in manifest.items() if value is not None and key != "content"}
    text = manifest.get("content")
    return {**kept, "sha256": hashlib.sha256(text.encode()).hexdigest()} if text else kept


def complete(
    planned: Sequence[Mapping[str, Any]], given: Sequence[Mapping[str, Any]], read: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return the plan's manifests with their texts. given: the input kube_manifests. read: texts of files by name."""
    texts = {str(manifest["name"]): manifest["content"] for manifest in given if manifest.get("content")}
    texts.update(read)
    return [
        {
            "name": row["name"],
            "state": row.get("state") or "present",
            "content": row.get("content") or texts.get(str(row["name"])) or "",
        }
        for row in planned
    ]


def objects(nodes: Nodes, cluster: Cluster) -> dict[str, dict[str, Any]]:
    """Return by node name the labels and taints that the collection owns; taints None if the user set none."""
    return {
        node["name"]: {
            "labels": {str(key): text_of(value) for key, value in node["inputs"]["kube_node_labels"].items()},
            "taints": None if node["inputs"]["kube_node_taints"] is None else node["taints"],
        }
        for node in nodes.values()
    }


def changes(node: Node, live: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return in words how the labels and taints of a node change. live: the Nodes as the API has them.

    A node that joins has its taints from the start; those that the user set are named.
    """
    row = next((row for row in live if row["name"] == node["name"]), {})
    wanted = objects({"": node}, {})[node["name"]]
    change = patch(row, wanted)
    found = [
        "remove label %s" % key if value is None else "set label %s=%s" % (key, value)
        for key, value in sorted(((change.get("metadata") or {}).get("labels") or {}).items())
    ]
    found += ["uncordon it, an interrupted run did not"] if "unschedulable" in (change.get("spec") or {}) else []
    if not row:
        found += ["set taint %s" % _taint(taint) for taint in wanted["taints"] or []]
    elif "taints" in (change.get("spec") or {}):
        before = {_taint(taint) for taint in row.get("taints") or []}
        after = {_taint(taint) for taint in change["spec"]["taints"]}
        found += ["set taint %s" % text for text in sorted(after - before)]
        found += ["remove taint %s" % text for text in sorted(before - after)]
    return found


def _taint(taint: Mapping[str, Any]) -> str:
    value = "=%s" % taint["value"] if taint.get("value") else ""
    return "%s%s:%s" % (taint["key"], value, taint["effect"])


def patch(row: Mapping[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """Return the merge patch of a node's labels and taints. row: the Node as node_info has it, or empty."""
    metadata = {key: row.get(key) or {} for key in ("labels", "annotations")}
    return node_patch({"metadata": metadata, "spec": {"taints": row.get("taints") or []}}, wanted)


def not_applied(plan: Mapping[str, Any], live: Sequence[Mapping[str, Any]], part: Collection[str]) -> list[str]:
    """Return the hosts of a run whose labels or taints should change and do not, because --limit leaves out the control
    plane that sets them.

    live: the nodes as that control plane's API has them (node_info). part: hosts of the run.
    """
    leader, known = plan["leader"], {row["name"]: row for row in live}
    if leader is None or leader in part:
        return []
    found = []
    for host in sorted(set(part) & set(plan["nodes"])):
        name = plan["nodes"][host]["name"]
        if patch(known.get(name) or {}, plan["objects"][name]):
            found.append(host)
    return found
