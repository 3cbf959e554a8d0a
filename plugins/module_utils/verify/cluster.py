# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Proof of a cluster from one control plane: what its API says of it, and a pod on every node for the nodes to probe.

The pods run the cluster's own CoreDNS image without any configuration: so it answers each question with the asker's address,
and no further image is needed. Standard library only.
"""

from __future__ import annotations

import calendar
import secrets
import time
from concurrent.futures import ThreadPoolExecutor

from ..api.kubernetes import ApiError, reason
from . import etcd, rules
from .check import FAIL, OK, check

NAME = "kubewright-verify"
MARK = "kubewright.cluster/verify"
PORT = 5300
LEFTOVER_SECONDS = 600
NAMESPACES = "/api/v1/namespaces"
CORE = NAMESPACES + "/kube-system"
APPS = "/apis/apps/v1/namespaces/kube-system"


def pace(timeout):
    """By how much each single answer may be later than usual: who gives the whole more than 60 seconds has slow machines."""
    return max(1.0, timeout / 60)


class Proof:
    """One proof: what is asked and found on the way. Its pods live in a namespace of their own."""

    def __init__(self, api, nodes, control_planes, timeout, image):
        """nodes, control_planes: names that the cluster should have. image: of the pods; empty for the cluster's own CoreDNS."""
        self.api, self.expected, self.control_planes, self.image = api, nodes, control_planes, image
        self.deadline = time.monotonic() + timeout
        self.pace = pace(timeout)
        self.checks = []

    def read(self):
        """What the API knows of the cluster. Returns its Node objects by name."""
        nodes = self.nodes()
        self.checks += rules.node_checks(nodes, self.expected)
        self.checks += self.system(nodes)
        return nodes

    def etcd(self):
        """The datastore, asked past the API: where that is silent, this may say why."""
        deadline = time.monotonic() + 10 * self.pace
        self.checks += etcd.checks(self.control_planes, deadline, 3 * self.pace)

    def nodes(self):
        """{name: Node}. A node that has just joined is waited for; one that was lost is not, since that takes for ever."""
        while True:
            nodes = {item["metadata"]["name"]: item for item in self.api.get("/api/v1/nodes")["items"]}
            coming = [
                name
                for name in self.expected
                if name in nodes and not rules.ready(nodes[name])[0] and _young(nodes[name])
            ]
            if not coming or time.monotonic() > self.deadline:
                return nodes
            time.sleep(0.3)

    def kubelets(self, nodes):
        """The API reaches every kubelet: logs and exec need it.

        https://kubernetes.io/docs/reference/networking/ports-and-protocols/
        """
        names = sorted(name for name, node in nodes.items() if rules.ready(node)[0])
        problems = self.unreached(names)
        hint = "let the control planes through to its port 10250/tcp"
        checks = [check("kubelet from the API", FAIL, problem, name, hint) for name, problem in problems.items()]
        self.checks += checks or [check("kubelet from the API", OK, "the API reaches %d kubelets" % len(names))]

    def unreached(self, names):
        """{node: why} of those whose kubelet the API does not reach."""
        with ThreadPoolExecutor(8) as pool:
            problems = dict(zip(names, pool.map(self._kubelet, names)))
        return {name: problem for name, problem in problems.items() if problem}

    def _kubelet(self, name):
        """Why the API does not reach a kubelet; None where it does."""
        try:
            status, text = self.api.ask("GET", "/api/v1/nodes/%s/proxy/healthz" % name, patience=5 * self.pace)
        except ApiError as error:
            return "the API does not reach its kubelet: %s" % str(error).rpartition(": ")[2]
        return None if status == 200 else "the API does not reach its kubelet: %s" % reason(status, text.strip())

    def system(self, nodes):
        """Workloads and static pods of kube-system, and the versions that run. New pods of a young cluster are waited for."""
        while True:
            deployments, daemonsets = (
                self.api.get("%s/%s" % (APPS, kind))["items"] for kind in ("deployments", "daemonsets")
            )
            static = self.api.get(CORE + "/pods?labelSelector=tier%3Dcontrol-plane")["items"]
            checks = rules.workload_checks(rules.workloads(deployments, daemonsets))
            if not any(rules.is_k3s(node) for node in nodes.values()):
                checks += rules.static_checks(static, self.control_planes)
            if not any(item["status"] == FAIL for item in checks) or time.monotonic() > self.deadline:
                break
            time.sleep(0.3)
        return checks + rules.skew_checks(rules.versions_of(nodes, static, daemonsets))

    def start(self):
        """Make the pods. Returns the name of their namespace. The rest of the proof goes on while they start."""
        image = self.image or self._coredns()
        namespace = "%s-%s" % (NAME, secrets.token_hex(4))
        for path, body in objects(namespace, image):
            self.api.create(path, body)
        return namespace

    def _coredns(self):
        """Its image. K3s makes it a moment after its first node is Ready: in a young cluster it is waited for."""
        place = APPS + "/deployments/coredns"
        found = self.api.get(place, missing_ok=True)
        young = found is None and _age(self.api.get(CORE)) < rules.YOUNG_SECONDS * self.pace
        while found is None and young and time.monotonic() < self.deadline:
            time.sleep(0.3)
            found = self.api.get(place, missing_ok=True)
        if found is None:
            raise ApiError(
                "there is no Deployment coredns in kube-system whose image could be used; set verify_image to a CoreDNS image",
                404,
            )
        return found["spec"]["template"]["spec"]["containers"][0]["image"]

    def wait(self, namespace, nodes):
        """{node: {ip, uid}} of the pods that run; one check for each node."""
        wanted = sorted(name for name in nodes if rules.ready(nodes[name])[0])
        began, silent = time.monotonic(), set(self.unreached(wanted))
        while True:
            listed = self.api.get("%s/%s/pods" % (NAMESPACES, namespace))["items"]
            pods = {_node_of(item): item for item in listed if not item["metadata"].get("deletionTimestamp")}
            runs = {name: item for name, item in pods.items() if name in nodes and rules.running(item)}
            # A node that the API does not reach is not waited for: that it is lost shows only after a while.
            if set(wanted) - silent <= set(runs) or time.monotonic() > self.deadline:
                break
            time.sleep(min(1.0, 0.1 + len(wanted) / 500))
        seconds = time.monotonic() - began
        for name in wanted:
            if name in runs:
                self.checks.append(_addressed(name, nodes[name], _addresses(runs[name])))
            else:
                text = "no pod came up in %d s: %s" % (seconds, self._why(namespace, pods.get(name)))
                self.checks.append(
                    check("pod", FAIL, text, name, "look at `journalctl -u kubelet -u containerd` there")
                )
        return {name: {"ips": _addresses(item), "uid": item["metadata"]["uid"]} for name, item in runs.items()}

    def _why(self, namespace, pod):
        """The pod's state, and the last thing that was said about it: a network that cannot be set up is only told there."""
        if pod is None:
            return "none was made; look at the logs of kube-controller-manager and kube-scheduler"
        path = "%s/%s/events?fieldSelector=involvedObject.name%%3D%s" % (NAMESPACES, namespace, pod["metadata"]["name"])
        try:
            events = [item["message"] for item in self.api.get(path)["items"] if item.get("type") == "Warning"]
        except ApiError:
            events = []
        return "; ".join([rules.why(pod)] + events[-1:])


def _addresses(pod):
    """Those of a pod, of each family one: https://kubernetes.io/docs/concepts/services-networking/dual-stack/"""
    return [item["ip"] for item in pod["status"].get("podIPs") or [{"ip": pod["status"]["podIP"]}]]


def _addressed(name, node, addresses):
    """The check of a pod that runs: it has an address for each network of its node's pods."""
    networks = (node.get("spec") or {}).get("podCIDRs") or []
    if len(addresses) < len(networks):
        text = "its pod has %s alone, and the node's pods have the networks %s" % (addresses[0], ", ".join(networks))
        return check("pod", FAIL, text, name, "look at the configuration of the network plugin in /etc/cni/net.d there")
    return check("pod", OK, "runs at %s" % ", ".join(addresses), name)


def begin(api, nodes, control_planes, timeout, image="", make_pods=True):
    """All checks of the cluster as a whole, and a pod on every node: {checks, namespace, pods, service_ips, port}."""
    proof = Proof(api, nodes, control_planes, timeout, image)
    begun = {"checks": proof.checks, "namespace": None, "pods": {}, "service_ips": [], "port": PORT}
    try:
        if make_pods:
            begun["namespace"] = _started(proof)
        there = proof.read()
        if begun["namespace"]:
            service = api.get("%s/%s/services/%s" % (NAMESPACES, begun["namespace"], NAME))
            begun["service_ips"] = service["spec"].get("clusterIPs") or [service["spec"]["clusterIP"]]
            begun["pods"] = proof.wait(begun["namespace"], there)
        # Last: while everything starts, a small machine's kubelet is slow to answer.
        proof.kubelets(there)
    except ApiError as error:
        hint = "look at `crictl ps -a --name kube-apiserver` and its logs"
        proof.checks.append(check("API", FAIL, str(error), hint=hint))
    proof.etcd()
    return begun


def _started(proof):
    """The namespace of the pods, or None and a check where the API refuses them. That it is silent is for the caller."""
    try:
        sweep(proof.api)
        return proof.start()
    except ApiError as error:
        if error.status is None:
            raise
        hint = "the message says who refuses it"
        proof.checks.append(check("pod", FAIL, "the pods cannot be made: %s" % error, hint=hint))
        return None


def end(api, namespace):
    """Take the pods and what belongs to them away, without waiting for it."""
    api.delete("%s/%s" % (NAMESPACES, namespace))


def sweep(api):
    """Take away what a run that was killed has left. A younger one may belong to a run that still goes on."""
    for item in api.get(NAMESPACES + "?labelSelector=" + MARK)["items"]:
        if not item["metadata"].get("deletionTimestamp") and _age(item) > LEFTOVER_SECONDS:
            end(api, item["metadata"]["name"])


def _age(item):
    created = calendar.timegm(time.strptime(item["metadata"]["creationTimestamp"], "%Y-%m-%dT%H:%M:%SZ"))
    return time.time() - created


def _young(node):
    return _age(node) < rules.YOUNG_SECONDS


def _node_of(pod):
    return pod["spec"].get("nodeName") or _bound(pod)


def _bound(pod):
    """The node that a DaemonSet's pod without a scheduler's word is meant for."""
    try:
        terms = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
            "nodeSelectorTerms"
        ]
        return terms[0]["matchFields"][0]["values"][0]
    except (KeyError, IndexError):
        return None


def objects(namespace, image):
    """[(path to create it at, object)]: namespace, service account, DaemonSet and Service."""
    labels = {"app.kubernetes.io/name": NAME}
    here = {"namespace": namespace, "name": NAME, "labels": labels}
    place = "%s/%s" % (NAMESPACES, namespace)
    space = {"name": namespace, "labels": {MARK: "true", "pod-security.kubernetes.io/enforce": "privileged", **labels}}
    ports = [{"name": kind.lower(), "protocol": kind, "port": PORT, "targetPort": PORT} for kind in ("UDP", "TCP")]
    families = {"ipFamilyPolicy": "PreferDualStack"}  # of both where the cluster has them, else of the one
    spec = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod_spec(image)}}
    return [
        (NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": space}),
        # One of our own: the namespace's default account comes a moment later, and no pod is made without one.
        (place + "/serviceaccounts", {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": here}),
        (
            "/apis/apps/v1/namespaces/%s/daemonsets" % namespace,
            {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": here, "spec": spec},
        ),
        (
            place + "/services",
            {"apiVersion": "v1", "kind": "Service", "metadata": here, "spec": {"selector": labels, "ports": ports, **families}},
        ),
    ]


def pod_spec(image):
    """A CoreDNS without configuration answers every question with the asker's address (its plugin whoami)."""
    return {
        "serviceAccountName": NAME,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 0,
        "tolerations": [{"operator": "Exists"}],
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "containers": [
            {
                "name": "answer",
                "image": image,
                "args": ["-dns.port=%d" % PORT],
                "resources": {"requests": {"cpu": "1m", "memory": "16Mi"}, "limits": {"memory": "128Mi"}},
                # The program carries that one capability as a file attribute; without it the kernel does not start it.
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "runAsNonRoot": True,
                    "runAsUser": 65532,
                    "runAsGroup": 65532,
                    "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
            }
        ],
    }
