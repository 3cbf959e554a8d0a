# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of what changes on a running cluster: roles of nodes."""

from __future__ import annotations

from ....module_utils.node.ownership import RESTORING
from ...base.findings import Finding
from ..draft import Case

# The role of a control plane: https://kubernetes.io/docs/reference/labels-annotations-taints/
CONTROL_PLANE_LABELS = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")


def promoted(case: Case) -> list[Finding]:
    """Refuse workers that are control planes in the inventory: a member does not join a second time.

    A control plane that lost its data is none of them: its Node has the control plane's label.
    """
    labels = {row["name"]: row.get("labels") or {} for row in case.state["live"].get("nodes") or []}
    text = (
        "%s: runs as a worker and is a control plane in the inventory. Move it back to kube_node, or drain it, reset "
        "it (kubewright.cluster.reset --limit %s), and then run site."
    )
    found = []
    for host in case.control_planes:
        node = case.nodes[host]
        cluster = node["info"].get("cluster") or {}
        has_more = cluster.get("manifests") or cluster.get("etcd_data") or cluster.get("admin_conf")
        has_more = has_more or ((node["info"].get("owned") or {}).get("settings") or {}).get(RESTORING)
        was_server = any(label in labels.get(node["name"], {}) for label in CONTROL_PLANE_LABELS)
        ours = cluster.get("kind") == case.distribution.name and not cluster.get("foreign")
        if ours and cluster.get("kubelet_conf") and cluster.get("role") == "worker" and not has_more and not was_server:
            found.append(Finding("member.wrong_role", text % (host, host), host, "worker", "control_plane"))
    return found
