# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cordon a node and evict its pods, within their disruption budgets. Standard library only.

https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/
"""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, List, NamedTuple, Set

from .kubernetes import Api, ApiError, reason

# Set on Nodes that the collection made unschedulable; its value is the operation.
CORDONED = "kubewright.cluster/cordoned"
MIRROR = "kubernetes.io/config.mirror"
Pod = Dict[str, Any]


class DrainError(Exception):
    """Pods stay on a node; the message names them and says why."""


class Obstacles(NamedTuple):
    """What speaks against evicting the pods of a node, one sentence each.

    blocked: pods that a disruption budget, or the API, does not let go. lost: pods that no controller creates again,
    and pods whose volume is on the node's own disk.
    """

    blocked: List[str]
    lost: List[str]


def name_of(pod: Pod) -> str:
    """Return NAMESPACE/NAME."""
    return "%s/%s" % (pod["metadata"]["namespace"], pod["metadata"]["name"])


def pods_on(api: Api, node: str) -> List[Pod]:
    """Return all pods of a node. Raise ApiError."""
    return api.get("/api/v1/pods?fieldSelector=spec.nodeName%3D" + node)["items"] or []


def evictable(pods: List[Pod]) -> List[Pod]:
    """Return the pods that have to go: not static ones, those of DaemonSets, and those that have ended."""
    return [
        pod
        for pod in pods
        if MIRROR not in (pod["metadata"].get("annotations") or {})
        and (_controller(pod) or {}).get("kind") != "DaemonSet"
        and (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
    ]


def _controller(pod: Pod) -> Dict[str, Any] | None:
    owners = pod["metadata"].get("ownerReferences") or []
    return next((owner for owner in owners if owner.get("controller")), None)


def obstacles(api: Api, node: str, returns: bool = False) -> Obstacles:
    """Ask the API, without any effect, whether the pods of a node may be evicted. Raise ApiError.

    returns: the node comes back with its disk, so pods whose volume is there are not lost.
    """
    found = Obstacles([], [])
    for pod in evictable(pods_on(api, node)):
        if not _is_going(pod):
            _status, why = _evict(api, pod, dry_run=True)
            found.blocked.extend(["%s: %s" % (name_of(pod), why)] if why else [])
        if _controller(pod) is None:
            found.lost.append("%s has no controller that creates it again" % name_of(pod))
        if not returns:
            found.lost.extend("%s uses %s" % (name_of(pod), claim) for claim in _local_claims(api, pod))
    return found


def _is_going(pod: Pod) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def _local_claims(api: Api, pod: Pod) -> List[str]:
    """Return the claims of a pod whose volumes are on a node's own disk, in words."""
    found = []
    for volume in (pod.get("spec") or {}).get("volumes") or []:
        claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        if not claim:
            continue
        path = "/api/v1/namespaces/%s/persistentvolumeclaims/%s" % (pod["metadata"]["namespace"], claim)
        bound = ((api.get(path, missing_ok=True) or {}).get("spec") or {}).get("volumeName")
        spec = (
            ((api.get("/api/v1/persistentvolumes/" + bound, missing_ok=True) or {}).get("spec") or {}) if bound else {}
        )
        if "local" in spec or "hostPath" in spec:
            found.append("the claim %s, whose volume is on the node's own disk" % claim)
    return found


def _evict(api: Api, pod: Pod, dry_run: bool = False) -> tuple[int, str]:
    """Evict a pod. Return (status, why it was refused or "")."""
    meta = pod["metadata"]
    options: Dict[str, Any] = {"preconditions": {"uid": meta["uid"]}}
    if dry_run:
        options["dryRun"] = ["All"]
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": meta["name"], "namespace": meta["namespace"]},
        "deleteOptions": options,
    }
    path = "/api/v1/namespaces/%s/pods/%s/eviction" % (meta["namespace"], meta["name"])
    # A Budget that blocks is answered with 429, several on one pod with 500: neither passes by itself in seconds.
    status, text = api.ask("POST", path, body, patience=0)
    gone = status in (404, 409)  # 409: another pod has its name now
    return status, "" if status < 300 or gone else reason(status, text)


def cordon(api: Api, node: str, operation: str) -> bool:
    """Make a node unschedulable, and note that it was us unless it was so before. Return True if it changed."""
    found = api.get("/api/v1/nodes/" + node)
    if (found.get("spec") or {}).get("unschedulable"):
        return False
    patch = {"metadata": {"annotations": {CORDONED: operation}}, "spec": {"unschedulable": True}}
    api.call("PATCH", "/api/v1/nodes/" + node, patch)
    return True


def uncordon(api: Api, node: str) -> bool:
    """Make a node schedulable again if the collection made it unschedulable. Return True if it changed."""
    found = api.get("/api/v1/nodes/" + node, missing_ok=True)
    if CORDONED not in (((found or {}).get("metadata") or {}).get("annotations") or {}):
        return False
    patch = {"metadata": {"annotations": {CORDONED: None}}, "spec": {"unschedulable": None}}
    api.call("PATCH", "/api/v1/nodes/" + node, patch)
    return True


def evict(
    api: Api,
    node: str,
    seconds: float,
    between: Callable[[], None] = lambda: None,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Evict the pods of a node and wait until they are gone. Return how many. Raise DrainError or ApiError.

    between: is called about once a second.
    """
    deadline = time.monotonic() + seconds
    seen: Set[str] = set()
    while True:
        pods = evictable(pods_on(api, node))
        if not pods:
            return len(seen)
        seen |= {pod["metadata"]["uid"] for pod in pods}
        refused = {}
        for pod in pods:
            if not _is_going(pod):
                refused[name_of(pod)] = _evict(api, pod)[1]
        if time.monotonic() > deadline:
            left = ["%s: %s" % (name_of(pod), refused.get(name_of(pod)) or "still ending") for pod in pods]
            raise DrainError("after %d s pods are still on %s: %s" % (seconds, node, "; ".join(left)))
        between()
        sleep(1)


def forget_static_pods(api: Api, node: str) -> None:
    """Delete the objects of a node's static pods: kubeadm finds etcd members by them. Raise ApiError."""
    _forget(api, [pod for pod in pods_on(api, node) if MIRROR in (pod["metadata"].get("annotations") or {})])


def forget_pods(api: Api, node: str) -> None:
    """Delete the pods of a node that is deleted. Raise ApiError.

    Kubernetes does that itself within a minute. Until then Services send requests to the pods of a dead node.
    """
    _forget(api, pods_on(api, node))


def _forget(api: Api, pods: List[Pod]) -> None:
    for pod in pods:
        meta = pod["metadata"]
        try:
            api.delete("/api/v1/namespaces/%s/pods/%s" % (meta["namespace"], meta["name"]))
        except ApiError as error:
            if error.status != 404:
                raise
