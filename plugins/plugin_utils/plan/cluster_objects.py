# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Labels, taints and manifests that the collection owns in the cluster."""

from __future__ import annotations

import re

from ...module_utils.api.owned_objects import node_patch
from ..network import plugins as network

CONTROL_PLANE_TAINT = {"key": "node-role.kubernetes.io/control-plane", "value": "", "effect": "NoSchedule"}
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
# https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
_KEY = re.compile(r"^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$")
_VALUE = re.compile(r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$")


def parse_taint(text: str) -> dict:
    """{key, value, effect} of "key=value:Effect" or "key:Effect". Raises ValueError with the text."""
    head, _colon, effect = str(text).rpartition(":")
    key, _equals, value = head.partition("=")
    if effect not in EFFECTS or not _KEY.match(key) or not _VALUE.match(value):
        raise ValueError(
            "%r is no taint: write it as key=value:Effect, the effect one of %s" % (text, ", ".join(EFFECTS))
        )
    return {"key": key, "value": value, "effect": effect}


def taints(node: dict, has_workers: bool) -> list:
    """Taints that a node joins with."""
    wish = node["inputs"]["kube_node_taints"]
    if wish is None:
        return [dict(CONTROL_PLANE_TAINT)] if node["role"] == "control_plane" and has_workers else []
    result = []
    for text in wish:
        try:
            result.append(parse_taint(text))
        except ValueError:
            continue  # among the refusals already
    return result


def problems(host: str, inputs: dict) -> list:
    """Sentences on labels and taints that the API would refuse."""
    found = []
    for text in inputs["kube_node_taints"] or []:
        try:
            parse_taint(text)
        except ValueError as error:
            found.append("%s: kube_node_taints: %s" % (host, error))
    for key, value in inputs["kube_node_labels"].items():
        if not _KEY.match(str(key)) or not _VALUE.match(str(value)):
            found.append("%s: kube_node_labels: %s=%s is no valid label" % (host, key, value))
    for manifest in inputs["kube_manifests"]:
        if manifest.get("state") == "present" and bool(manifest.get("content")) == bool(manifest.get("src")):
            found.append("kube_manifests[%s] needs either content or src" % manifest.get("name"))
    return found


def manifests(shared: dict) -> list:
    """Manifests to apply: the network plugin's, then the user's."""
    result = []
    text = network.manifest(shared["kube_network"]["plugin"], shared["kube_network"]["options"])
    if text:
        result.append({"name": "kubewright-network", "content": text, "state": "present"})
    return result + [
        {key: value for key, value in manifest.items() if value is not None} for manifest in shared["kube_manifests"]
    ]


def objects(nodes: dict, cluster: dict) -> dict:
    """By node name the labels and taints that are ours to keep; taints None where nobody asked for any."""
    return {
        node["name"]: {
            "labels": {str(key): str(value) for key, value in node["inputs"]["kube_node_labels"].items()},
            "taints": None if node["inputs"]["kube_node_taints"] is None else node["taints"],
        }
        for node in nodes.values()
    }


def left(plan: dict, live: list, part: list) -> list:
    """Hosts of a run whose labels or taints are to change, and will not: --limit leaves the control plane out that sets them.

    plan: the plan. live: the nodes as that control plane's API has them (node_info). part: hosts of the run.
    """
    leader, known = plan["leader"], {row["name"]: row for row in live}
    if leader is None or leader in part:
        return []
    found = []
    for host in sorted(set(part) & set(plan["nodes"])):
        name = plan["nodes"][host]["name"]
        row = known.get(name) or {}
        there = {"metadata": {key: row.get(key) or {} for key in ("labels", "annotations")}, "spec": {"taints": row.get("taints") or []}}
        if node_patch(there, plan["objects"][name]):
            found.append(host)
    return found
