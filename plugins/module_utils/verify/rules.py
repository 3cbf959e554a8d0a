# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judgement of what the API says of a cluster: pure functions of its objects. Standard library only."""

from __future__ import annotations

import re

from ..node.network_traces import DAEMON_SETS
from .check import FAIL, OK, WARN, check

# What the collection brings and the cluster cannot do without; others' additions are only warned about.
OWN = ("coredns", "kube-proxy", *DAEMON_SETS)
STATIC = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
YOUNG_SECONDS = 180


def ready(node):
    """(whether a Node object is Ready, the kubelet's word on it)."""
    found = next((item for item in (node.get("status") or {}).get("conditions") or [] if item["type"] == "Ready"), {})
    return found.get("status") == "True", found.get("message") or found.get("reason") or "its kubelet never reported"


def node_checks(nodes, expected):
    """Each expected node is a member and Ready. nodes: {name: Node}."""
    checks = []
    for name in expected:
        if name not in nodes:
            checks.append(
                check("node", FAIL, "is no member of the cluster", name, "run site again: it joins what is missing")
            )
            continue
        good, word = ready(nodes[name])
        if not good:
            checks.append(check("node", FAIL, "is not Ready: %s" % word, name, "look at `journalctl -u kubelet` there"))
        else:
            cordoned = (nodes[name].get("spec") or {}).get("unschedulable")
            checks.append(check("node", OK, "Ready, cordoned" if cordoned else "Ready", name))
    for name in sorted(set(nodes) - set(expected)):
        hint = "add it to the inventory, or `kubectl delete node %s`" % name
        checks.append(check("node", WARN, "is in the cluster and not in the inventory", name, hint))
    return checks


def version(text):
    """(major, minor) of v1.36.3, None for what is no version."""
    found = re.match(r"v?(\d+)\.(\d+)", text or "")
    return (int(found.group(1)), int(found.group(2))) if found else None


def versions_of(nodes, pods, daemonsets):
    """{program: {node: version}} of what runs. kube-proxy's is that of its DaemonSet, its node None."""
    found = {name: {} for name in STATIC[1:] + ("kubelet", "kube-proxy")}
    for name, node in nodes.items():
        found["kubelet"][name] = node["status"]["nodeInfo"]["kubeletVersion"]
        # K3s is one program: what its kubelet is, its API server is.
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


def is_k3s(node):
    """Whether a Node is one of K3s, by its kubelet's version."""
    return "+k3s" in node["status"]["nodeInfo"]["kubeletVersion"]


def _tag(pod):
    return pod["spec"]["containers"][0]["image"].partition("@")[0].rpartition(":")[2]


def skew_checks(versions):
    """What upstream allows to run together: https://kubernetes.io/releases/version-skew-policy/."""
    servers = versions.get("kube-apiserver") or {}
    if not servers:
        return [check("version skew", WARN, "the API servers' versions cannot be told from their images")]
    oldest, newest = (pick(servers.values(), key=version) for pick in (min, max))
    checks = []
    if version(newest)[1] - version(oldest)[1] > 1:
        text = "API servers run %s and %s; within one minor release of each other is allowed" % (oldest, newest)
        checks.append(check("version skew", FAIL, text, hint="upgrade the older control planes"))
    for program, behind in (("kubelet", 3), ("kube-proxy", 3), ("kube-controller-manager", 1), ("kube-scheduler", 1)):
        for node, found in sorted((versions.get(program) or {}).items(), key=str):
            if version(found) > version(oldest):
                text = "%s %s is newer than the API server %s" % (program, found, oldest)
                checks.append(check("version skew", FAIL, text, node, "upgrade the control planes first"))
            elif version(newest)[1] - version(found)[1] > behind:
                text = "%s %s, API server %s; allowed are %d minor releases behind" % (program, found, newest, behind)
                checks.append(check("version skew", FAIL, text, node, "upgrade this node"))
    span = oldest if oldest == newest else "%s to %s" % (oldest, newest)
    kubelets = sorted(set((versions.get("kubelet") or {}).values()), key=version)
    return checks or [check("version skew", OK, "API servers %s, kubelets %s" % (span, ", ".join(kubelets) or "none"))]


def workloads(deployments, daemonsets):
    """[(name, how many are well, how many there should be)] of kube-system's Deployments and DaemonSets."""
    found = []
    for item in deployments:
        status, wanted = item.get("status") or {}, item["spec"].get("replicas", 1)
        found.append((item["metadata"]["name"], status.get("availableReplicas", 0), wanted))
    for item in daemonsets:
        status = item.get("status") or {}
        found.append((item["metadata"]["name"], status.get("numberReady", 0), status.get("desiredNumberScheduled", 0)))
    return found


def workload_checks(found):
    """The cluster's own workloads serve. Fewer CoreDNS pods than wanted still answer: a warning."""
    checks, hint = [], "look at `kubectl -n kube-system get pods -o wide` and `kubectl -n kube-system describe pod`"
    for name, well, wanted in found:
        if well >= wanted:
            continue
        status = FAIL if name in OWN and not (name == "coredns" and well) else WARN
        checks.append(check("kube-system", status, "%s: %d of %d pods are available" % (name, well, wanted), hint=hint))
    if not any(name == "coredns" for name, _well, _wanted in found):
        checks.append(check("kube-system", WARN, "there is no Deployment coredns"))
    text = ", ".join("%s %d of %d" % entry for entry in sorted(found))
    return checks or [check("kube-system", OK, text)]


def static_checks(pods, control_planes):
    """The control planes' static pods are Ready."""
    checks = []
    for pod in pods:
        labels, node = pod["metadata"].get("labels") or {}, pod["spec"].get("nodeName")
        if labels.get("tier") != "control-plane" or node not in control_planes:
            continue
        conditions = {item["type"]: item["status"] for item in (pod.get("status") or {}).get("conditions") or []}
        if conditions.get("Ready") != "True":
            hint = "look at `crictl ps -a` and `crictl logs` there"
            text = "%s is not ready: %s" % (labels.get("component"), why(pod))
            checks.append(check("control plane", FAIL, text, node, hint))
    return checks or [check("control plane", OK, "all static pods are ready on %s" % ", ".join(sorted(control_planes)))]


def why(pod):
    """Why a pod does not run, in its own words."""
    if pod is None:
        return "no pod was made for it"
    status = pod.get("status") or {}
    for item in status.get("containerStatuses") or []:
        waiting = (item.get("state") or {}).get("waiting")
        if waiting and waiting.get("reason") != "ContainerCreating":
            return ("%s %s" % (waiting.get("reason"), waiting.get("message") or "")).strip()
    words = [item["message"] for item in status.get("conditions") or [] if item.get("message")]
    if status.get("phase") == "Pending" and not status.get("containerStatuses") and not words:
        words = ["its kubelet has not taken it up"]
    return ": ".join(filter(None, [status.get("phase") or "unknown", "; ".join(words)]))


def running(pod):
    """Whether a pod has an address and all its containers are ready."""
    status = pod.get("status") or {}
    states = status.get("containerStatuses") or []
    return bool(
        status.get("phase") == "Running"
        and status.get("podIP")
        and states
        and all(item.get("ready") for item in states)
    )
