# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Proof of a cluster from one control plane: its nodes, its etcd, its versions, and a pod on every node for the nodes to probe.

The pods run the cluster's own CoreDNS image with a configuration that answers with the asker's address: no further image is needed.
Standard library only.
"""

from __future__ import annotations

import re
import time

from .kubeadm_node import etcd_members, has

NAME = "kubewright-verify"
CORE = "/api/v1/namespaces/kube-system"
APPS = "/apis/apps/v1/namespaces/kube-system"
HTTP_PORT, DNS_PORT = 8089, 5300
COREFILE = ".:%d {\n    whoami\n    health :%d {\n        lameduck 0s\n    }\n}\n" % (DNS_PORT, HTTP_PORT)


def check(name, status, text, node=None):
    """One line of the report. status: ok, warn or fail."""
    return {"name": name, "status": status, "text": text, "node": node}


def objects(image):
    """The pods' ConfigMap, DaemonSet and Service, by the path at which each is applied."""
    labels = {"app.kubernetes.io/name": NAME}
    meta = {"name": NAME, "namespace": "kube-system", "labels": labels}
    container = {
        "name": "answer",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["-conf", "/etc/answer/Corefile"],
        "ports": [{"containerPort": HTTP_PORT}],
        "resources": {"requests": {"cpu": "10m", "memory": "20Mi"}, "limits": {"memory": "100Mi"}},
        # The image's program carries that one capability as a file attribute; without it the kernel does not start it.
        "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "runAsNonRoot": True, "runAsUser": 65532, "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/answer"}],
    }
    pod = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
        "tolerations": [{"operator": "Exists"}],
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": NAME}}],
    }
    return {
        CORE + "/configmaps/" + NAME: {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"Corefile": COREFILE}},
        CORE + "/services/" + NAME: {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": HTTP_PORT}]}},
        APPS + "/daemonsets/" + NAME: {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": meta,
            "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}},
        },
    }


def begin(api, expected, control_planes, timeout, make_pods):
    """Checks of the cluster as a whole, and a pod on every node.

    expected: names of the nodes. control_planes: how many there should be. Returns {checks, pods, service_ip, dns_ip}.
    """
    deadline = time.monotonic() + timeout
    nodes = wait_nodes(api, expected, deadline)
    checks = node_checks(nodes, expected) + etcd_checks(control_planes) + skew_checks(api, nodes)
    checks.append(wait_dns(api, deadline))
    found = {"checks": checks, "pods": {}, "service_ip": None, "dns_ip": dns_address(api)}
    if not make_pods:
        return found
    image = api.get(APPS + "/deployments/coredns")["spec"]["template"]["spec"]["containers"][0]["image"]
    for path, body in objects(image).items():
        api.apply(path, body)
    found["service_ip"] = api.get(CORE + "/services/" + NAME)["spec"]["clusterIP"]
    found["pods"], problems = wait_pods(api, [name for name, node in nodes.items() if _ready(node)[0]], deadline)
    checks += problems
    return found


def end(api):
    """Take the pods and what belongs to them away."""
    for path in objects(""):
        api.delete(path)


def _ready(node):
    """(whether it is Ready, the kubelet's word on it)."""
    condition = next((item for item in node["status"].get("conditions") or [] if item["type"] == "Ready"), {})
    return condition.get("status") == "True", condition.get("message") or "it never reported"


def wait_nodes(api, expected, deadline):
    """The cluster's nodes by name, once all are there and Ready, or at the deadline as they are."""
    while True:
        nodes = {item["metadata"]["name"]: item for item in api.get("/api/v1/nodes")["items"]}
        if time.monotonic() > deadline or all(name in nodes and _ready(nodes[name])[0] for name in expected):
            return nodes
        time.sleep(0.3)


def node_checks(nodes, expected):
    checks = []
    for name in expected:
        if name not in nodes:
            checks.append(check("node", "fail", "is no member of the cluster; run site again", name))
            continue
        ready, word = _ready(nodes[name])
        checks.append(check("node", "ok" if ready else "fail", "Ready" if ready else "not Ready: %s; see `journalctl -u kubelet` there" % word, name))
    for name in sorted(set(nodes) - set(expected)):
        checks.append(check("node", "warn", "is in the cluster and not in the inventory", name))
    return checks


def etcd_checks(control_planes):
    """Every member started and a voter; as many as control planes."""
    if not has("manifests/etcd.yaml"):
        return [check("etcd", "ok", "external")]
    members = etcd_members()
    if not members:
        return [check("etcd", "fail", "does not answer; see `crictl logs` of the etcd container")]
    state = {item.get("name") or str(item.get("peerURLs")): "a learner" if item.get("isLearner") else "" if item.get("name") else "not started" for item in members}
    wrong = ["%s is %s" % pair for pair in sorted(state.items()) if pair[1]]
    if wrong or len(members) != control_planes:
        text = "%d members, %d control planes; %s" % (len(members), control_planes, ", ".join(wrong) or "all vote")
        return [check("etcd", "fail", text + "; compare `etcdctl member list` with the inventory and run site again")]
    return [check("etcd", "ok", "%d members, all vote" % len(members))]


def minor(version):
    found = re.match(r"v?(\d+)\.(\d+)", version or "")
    return (int(found.group(1)), int(found.group(2))) if found else (0, 0)


def skew_checks(api, nodes):
    """https://kubernetes.io/releases/version-skew-policy/: a kubelet is never newer than the API server, and at most three minors older."""
    server = api.get("/version")["gitVersion"]
    checks = []
    for name, node in sorted(nodes.items()):
        kubelet = node["status"]["nodeInfo"]["kubeletVersion"]
        behind = minor(server)[1] - minor(kubelet)[1]
        if not 0 <= behind <= 3:
            checks.append(check("version skew", "fail", "kubelet %s, API server %s; allowed are the same minor and three below" % (kubelet, server), name))
    return checks or [check("version skew", "ok", "API server %s, kubelets within three minors" % server)]


def dns_address(api):
    found = api.get(CORE + "/services/kube-dns", missing_ok=True)
    return found["spec"]["clusterIP"] if found else None


def wait_dns(api, deadline):
    """CoreDNS available, waited for until the deadline."""
    while True:
        found = api.get(APPS + "/deployments/coredns", missing_ok=True)
        if found is None:
            return check("cluster DNS", "warn", "there is no deployment coredns in kube-system")
        available, wanted = found["status"].get("availableReplicas", 0), found["spec"].get("replicas", 1)
        if available >= wanted or time.monotonic() > deadline:
            return check("cluster DNS", "ok" if available >= wanted else "fail", "%d of %d CoreDNS pods available" % (available, wanted))
        time.sleep(0.3)


def wait_pods(api, nodes, deadline):
    """({node: {ip, uid}}, checks of those whose pod does not run)."""
    while True:
        listed = api.get(CORE + "/pods?labelSelector=app.kubernetes.io/name=" + NAME)["items"]
        living = {item["spec"].get("nodeName"): item for item in listed if not item["metadata"].get("deletionTimestamp")}
        running = {name: item for name, item in living.items() if item["status"].get("phase") == "Running" and item["status"].get("podIP") and _started(item)}
        if time.monotonic() > deadline or set(nodes) <= set(running):
            break
        time.sleep(0.2)
    checks = [check("pod", "fail", "no pod runs there: %s" % _why(living.get(name)), name) for name in nodes if name not in running]
    return {name: {"ip": item["status"]["podIP"], "uid": item["metadata"]["uid"]} for name, item in running.items()}, checks


def _started(pod):
    return all(item.get("ready") for item in pod["status"].get("containerStatuses") or [{}])


def _why(pod):
    if pod is None:
        return "none was made (is the controller manager well?)"
    for item in pod["status"].get("containerStatuses") or []:
        waiting = (item.get("state") or {}).get("waiting")
        if waiting:
            return "%s %s" % (waiting.get("reason"), waiting.get("message") or "")
    conditions = [item.get("message") for item in pod["status"].get("conditions") or [] if item.get("message")]
    return "%s %s" % (pod["status"].get("phase"), "; ".join(conditions))

