# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge what the API reports about a cluster: pure functions of its objects. Standard library only."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Optional, Tuple

from ..api.readiness import conditions
from ..node import paths
from ..node.network_traces import DAEMON_SETS
from .check import FAIL, OK, WARN, Check, check

# An object of the API.
Object = Dict[str, Any]
# {program: {node: version}}.
Versions = Dict[str, Dict[Optional[str], str]]
# (name, available pods, wanted pods).
Workload = Tuple[str, int, int]
# Workloads that the collection installs and the cluster needs. Problems of any others are only warnings.
OWN = ("coredns", "kube-proxy", *DAEMON_SETS)
STATIC = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
YOUNG_SECONDS = 180


def ready(node: Object) -> tuple[bool, str]:
    """Return (whether a Node is Ready, the kubelet's message about it)."""
    found = conditions(node).get("Ready") or {}
    return found.get("status") == "True", found.get("message") or found.get("reason") or "its kubelet never reported"


def node_checks(nodes: dict[str, Object], expected: list[str]) -> list[Check]:
    """Check that each expected node is a member and Ready. nodes: {name: Node}."""
    checks = []
    for name in expected:
        if name not in nodes:
            hint = "run site again: it joins missing nodes"
            checks.append(check("node", FAIL, "is not a member of the cluster", name, hint))
            continue
        good, message = ready(nodes[name])
        if not good:
            checks.append(check("node", FAIL, "is not Ready: %s" % message, name, kubelet_hint(nodes[name])))
        else:
            cordoned = (nodes[name].get("spec") or {}).get("unschedulable")
            checks.append(check("node", OK, "Ready, cordoned" if cordoned else "Ready", name))
    for name in sorted(set(nodes) - set(expected)):
        hint = "add it to the inventory, or remove it with `kubectl delete node %s`" % name
        checks.append(check("node", WARN, "is in the cluster but not in the inventory", name, hint))
    return checks


def version(text: str | None) -> tuple[int, int] | None:
    """Return (major, minor) of a version like v1.36.3, None if the text is not a version."""
    found = re.match(r"v?(\d+)\.(\d+)", text or "")
    return (int(found.group(1)), int(found.group(2))) if found else None


def versions_of(nodes: dict[str, Object], pods: list[Object], daemonsets: list[Object]) -> Versions:
    """Return the running version of each program by node. kube-proxy's is that of its DaemonSet, its node is None."""
    found: Versions = {name: {} for name in STATIC[1:] + ("kubelet", "kube-proxy")}
    for name, node in nodes.items():
        found["kubelet"][name] = node["status"]["nodeInfo"]["kubeletVersion"]
        # K3s is one program: its API server has the version of its kubelet.
        if is_k3s(node) and "node-role.kubernetes.io/control-plane" in (node["metadata"].get("labels") or {}):
            found["kube-apiserver"][name] = found["kubelet"][name]
    for pod in pods:
        program = (pod["metadata"].get("labels") or {}).get("component")
        if program in found:
            found[program][pod["spec"].get("nodeName")] = _tag(pod)
    for item in daemonsets:
        if item["metadata"]["name"] == "kube-proxy":
            found["kube-proxy"][None] = _tag(item["spec"]["template"])
    return {
        program: {node: text for node, text in places.items() if version(text)} for program, places in found.items()
    }


def is_k3s(node: Object) -> bool:
    """Return True if a Node runs K3s, by its kubelet's version."""
    return "+k3s" in node["status"]["nodeInfo"]["kubeletVersion"]


def kubelet_hint(node: Object) -> str:
    """Return where to look if the kubelet of a Node has a problem."""
    return (paths.K3s if is_k3s(node) else paths.Kubeadm).kubelet_hint


def _tag(pod: Object) -> str:
    return pod["spec"]["containers"][0]["image"].partition("@")[0].rpartition(":")[2]


def _minor(text: str) -> tuple[int, int]:
    return version(text) or (0, 0)


def skew_checks(versions: Versions) -> list[Check]:
    """Check that upstream allows the versions to run together: https://kubernetes.io/releases/version-skew-policy/."""
    servers = versions.get("kube-apiserver") or {}
    if not servers:
        return [check("version skew", WARN, "the versions of the API servers cannot be read from their images")]
    oldest, newest = (pick(servers.values(), key=_minor) for pick in (min, max))
    checks = []
    if _minor(newest)[1] - _minor(oldest)[1] > 1:
        text = "API servers run %s and %s, at most one minor release apart is allowed" % (oldest, newest)
        checks.append(check("version skew", FAIL, text, hint="upgrade the older control planes"))
    for program, behind in (("kubelet", 3), ("kube-proxy", 3), ("kube-controller-manager", 1), ("kube-scheduler", 1)):
        for node, found in sorted((versions.get(program) or {}).items(), key=str):
            if _minor(found) > _minor(oldest):
                text = "%s %s is newer than the API server %s" % (program, found, oldest)
                checks.append(check("version skew", FAIL, text, node, "upgrade the control planes first"))
            elif _minor(newest)[1] - _minor(found)[1] > behind:
                text = "%s %s is more than %d minor releases older than the API server %s"
                text = text % (program, found, behind, newest)
                checks.append(check("version skew", FAIL, text, node, "upgrade this node"))
    span = oldest if oldest == newest else "%s to %s" % (oldest, newest)
    kubelets = sorted(set((versions.get("kubelet") or {}).values()), key=_minor)
    return checks or [check("version skew", OK, "API servers %s, kubelets %s" % (span, ", ".join(kubelets) or "none"))]


def workloads(deployments: list[Object], daemonsets: list[Object]) -> list[Workload]:
    """Return the available and the wanted pods of kube-system's Deployments and DaemonSets."""
    found: List[Workload] = []
    for item in deployments:
        status, wanted = item.get("status") or {}, item["spec"].get("replicas", 1)
        found.append((item["metadata"]["name"], status.get("availableReplicas", 0), wanted))
    for item in daemonsets:
        status = item.get("status") or {}
        found.append((item["metadata"]["name"], status.get("numberReady", 0), status.get("desiredNumberScheduled", 0)))
    return found


def workload_checks(found: list[Workload]) -> list[Check]:
    """Check that the cluster's own workloads run. Fewer CoreDNS pods than wanted still answer: a warning."""
    checks: List[Check] = []
    hint = "look at `kubectl -n kube-system get pods -o wide` and `kubectl -n kube-system describe pod`"
    for name, well, wanted in found:
        if well >= wanted:
            continue
        status = FAIL if name in OWN and not (name == "coredns" and well) else WARN
        checks.append(check("kube-system", status, "%s: %d of %d pods are available" % (name, well, wanted), hint=hint))
    if not any(name == "coredns" for name, _well, _wanted in found):
        checks.append(check("kube-system", WARN, "the Deployment coredns is missing"))
    text = ", ".join("%s %d of %d" % entry for entry in sorted(found))
    return checks or [check("kube-system", OK, text)]


def static_checks(pods: list[Object], control_planes: list[str]) -> list[Check]:
    """Check that the control planes' static pods are Ready."""
    checks = []
    for pod in pods:
        labels, node = pod["metadata"].get("labels") or {}, pod["spec"].get("nodeName")
        if labels.get("tier") != "control-plane" or node not in control_planes:
            continue
        if (conditions(pod).get("Ready") or {}).get("status") != "True":
            hint = "look at `crictl ps -a` and `crictl logs` there"
            text = "%s is not ready: %s" % (labels.get("component"), why(pod))
            checks.append(check("control plane", FAIL, text, node, hint))
    return checks or [check("control plane", OK, "all static pods are ready on %s" % ", ".join(sorted(control_planes)))]


def why(pod: Object | None) -> str:
    """Return the reason why a pod does not run, from its status."""
    if pod is None:
        return "no pod was created for it"
    status = pod.get("status") or {}
    for item in status.get("containerStatuses") or []:
        waiting = (item.get("state") or {}).get("waiting")
        if waiting and waiting.get("reason") != "ContainerCreating":
            return ("%s %s" % (waiting.get("reason"), waiting.get("message") or "")).strip()
    messages = [item["message"] for item in status.get("conditions") or [] if item.get("message")]
    if status.get("phase") == "Pending" and not status.get("containerStatuses") and not messages:
        messages = ["its kubelet has not started it"]
    return ": ".join(filter(None, [status.get("phase") or "unknown", "; ".join(messages)]))


def running(pod: Object) -> bool:
    """Return True if a pod has an address and all its containers are ready."""
    status = pod.get("status") or {}
    states = status.get("containerStatuses") or []
    return bool(
        status.get("phase") == "Running"
        and status.get("podIP")
        and states
        and all(item.get("ready") for item in states)
    )
