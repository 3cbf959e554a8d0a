# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge whether a Node object is in order. Standard library only; pure functions of API objects."""

from __future__ import annotations

import calendar
import re
import time
from typing import Any

# A kubelet compares its status with the Node every ten seconds (nodeStatusUpdateFrequency) and writes what differs.
REPORTED_SECONDS = 60


def conditions(node: dict[str, Any] | None) -> dict[str, dict[str, Any]]:
    """Return the conditions of a Node or pod by their type."""
    return {item["type"]: item for item in ((node or {}).get("status") or {}).get("conditions") or []}


def is_ready(node: dict[str, Any]) -> bool:
    """Return True if the kubelet reports the node Ready."""
    return (conditions(node).get("Ready") or {}).get("status") == "True"


def not_ready_reason(node: dict[str, Any]) -> str:
    """Return why a node is not Ready, in the kubelet's words; "" if it is."""
    if is_ready(node):
        return ""
    found = conditions(node).get("Ready") or {}
    return found.get("message") or found.get("reason") or "its kubelet never reported"


def not_voting_reason(node: dict[str, Any] | None, must_say: bool = False) -> str:
    """Return why the etcd member of a K3s server does not vote, by its Node; "" if it does.

    must_say: a Node that says nothing of its member is a problem too.
    """
    votes = conditions(node).get("EtcdIsVoter") or ({"message": "its Node does not say so yet"} if must_say else None)
    if votes and votes.get("status") != "True":
        return votes.get("message") or "it is a learner"
    return ""


def node_problem(node: dict[str, Any] | None, name: str, must_vote: bool = False) -> str:
    """Return why a Node is not in order; "" if it is. must_vote: it has to report that its etcd member votes."""
    if node is None:
        return "the API does not know the node %s" % name
    reason = not_ready_reason(node)
    if reason:
        return "the node is not Ready: %s" % reason
    reason = not_voting_reason(node, must_vote)
    return "its etcd member does not vote: %s" % reason if reason else ""


def moment(text: str | None) -> float:
    """Return the seconds since 1970 of a time as the API writes it, such as 2026-11-29T15:06:41.123456Z; 0 if none."""
    found = re.fullmatch(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(\.\d+)?Z", text or "")
    if not found:
        return 0.0
    return calendar.timegm(time.strptime(found.group(1), "%Y-%m-%dT%H:%M:%S")) + float(found.group(2) or 0)


def stale_reason(
    node: dict[str, Any] | None, lease: dict[str, Any] | None, started: float, changed: float, now: float
) -> str:
    """Return why a Node's report is of an earlier kubelet; "" if the one that runs now has written it.

    started: when the kubelet started, changed: when anything on the node was started last, now: all in seconds since
    1970. A kubelet reports its whole status once it has started, and later only every few minutes, but renews its Lease
    every ten seconds: pkg/kubelet/kubelet_node_status.go (tryUpdateNodeStatus) of kubernetes/kubernetes,
    https://kubernetes.io/docs/concepts/architecture/leases/#node-heart-beats
    """
    if moment(((lease or {}).get("spec") or {}).get("renewTime")) < changed:
        return "its kubelet has not renewed the node's Lease since the change"
    # Conditions have whole seconds. A clock that was set after the start makes them look older: a kubelet that has been
    # running for a minute has compared its status with the Node several times.
    reported = moment((conditions(node).get("Ready") or {}).get("lastHeartbeatTime"))
    if reported < int(started) and now - started < REPORTED_SECONDS:
        return "the node's status is older than its kubelet, which has not reported yet"
    return ""
