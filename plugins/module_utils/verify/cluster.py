# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verify a cluster from one control plane: check what its API reports, and start a pod on every node for the probes.

The pods run the cluster's own CoreDNS image, so that no other image is needed. Without configuration it answers each
question with the asker's address. Standard library only.
"""

from __future__ import annotations

import calendar
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Dict, List

from ..api.kubernetes import Api, ApiError, reason
from ..node import paths
from . import backups, etcd, rules
from .check import FAIL, OK, Check, check
from .rules import Object

NAME = "kubewright-verify"
MARK = "kubewright.cluster/verify"
PORT = 5300
LEFTOVER_SECONDS = 600
NAMESPACES = "/api/v1/namespaces"
CORE = NAMESPACES + "/kube-system"
APPS = "/apis/apps/v1/namespaces/kube-system"


def pace(timeout: float) -> float:
    """Return the factor by which each single answer may be late: a timeout over 60 seconds means slow machines."""
    return max(1.0, timeout / 60)


class Verification:
    """One verification: what it asks and finds. Its pods run in a separate namespace."""

    def __init__(self, api: Api, nodes: list[str], control_planes: list[str], timeout: float, image: str) -> None:
        """nodes, control_planes: the expected names. image: of the pods; "" for the cluster's own CoreDNS image."""
        self.api, self.expected, self.control_planes, self.image = api, nodes, control_planes, image
        self.deadline = time.monotonic() + timeout
        self.pace = pace(timeout)
        self.checks: List[Check] = []

    def read(self) -> dict[str, Object]:
        """Check what the API reports about the cluster. Return its Node objects by name."""
        nodes = self.nodes()
        self.checks += rules.node_checks(nodes, self.expected)
        self.checks += self.system(nodes)
        return nodes

    def etcd(self) -> None:
        """Check the datastore directly: if the API does not answer, this may show why."""
        deadline = time.monotonic() + 10 * self.pace
        self.checks += etcd.checks(self.control_planes, deadline, 3 * self.pace)

    def nodes(self) -> dict[str, Object]:
        """Return {name: Node}. Wait for nodes that have just joined, but not for lost ones, which may never return."""
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

    def kubelets(self, nodes: dict[str, Object]) -> None:
        """Check that the API reaches every kubelet, which logs and exec need.

        https://kubernetes.io/docs/reference/networking/ports-and-protocols/
        """
        names = sorted(name for name, node in nodes.items() if rules.ready(node)[0])
        problems = self.unreached(names)
        hint = "open port 10250/tcp on this node for the control planes"
        checks = [check("kubelet from the API", FAIL, problem, name, hint) for name, problem in problems.items()]
        self.checks += checks or [check("kubelet from the API", OK, "the API reaches %d kubelets" % len(names))]

    def unreached(self, names: list[str]) -> dict[str, str]:
        """Return {node: reason} of the nodes whose kubelet the API does not reach."""
        with ThreadPoolExecutor(8) as pool:
            problems = dict(zip(names, pool.map(self._kubelet, names)))
        return {name: problem for name, problem in problems.items() if problem}

    def _kubelet(self, name: str) -> str | None:
        """Return why the API does not reach a kubelet, None if it does."""
        try:
            status, text = self.api.ask("GET", "/api/v1/nodes/%s/proxy/healthz" % name, patience=5 * self.pace)
        except ApiError as error:
            return "the API does not reach its kubelet: %s" % str(error).rpartition(": ")[2]
        return None if status == 200 else "the API does not reach its kubelet: %s" % reason(status, text.strip())

    def system(self, nodes: dict[str, Object]) -> list[Check]:
        """Check kube-system's workloads and static pods, and the running versions. Wait for pods that are starting."""
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

    def start(self) -> str:
        """Create the pods and return the name of their namespace. They start while the verification goes on."""
        image = self.image or self._coredns()
        namespace = "%s-%s" % (NAME, secrets.token_hex(4))
        for path, body in objects(namespace, image):
            self.api.create(path, body)
        return namespace

    def _coredns(self) -> str:
        """Return the image of the cluster's CoreDNS. K3s deploys it shortly after the first node is Ready, so wait."""
        place = APPS + "/deployments/coredns"
        found = self.api.get(place, missing_ok=True)
        young = found is None and _age(self.api.get(CORE)) < rules.YOUNG_SECONDS * self.pace
        while found is None and young and time.monotonic() < self.deadline:
            time.sleep(0.3)
            found = self.api.get(place, missing_ok=True)
        if found is None:
            raise ApiError("kube-system has no Deployment coredns to take the image from; set verify_image to one", 404)
        return found["spec"]["template"]["spec"]["containers"][0]["image"]

    def wait(self, namespace: str, nodes: dict[str, Object]) -> dict[str, dict[str, Any]]:
        """Wait for the pods, and add one check for each node. Return {node: {ips, uid}} of the pods that run."""
        wanted = sorted(name for name in nodes if rules.ready(nodes[name])[0])
        began, silent = time.monotonic(), set(self.unreached(wanted))
        while True:
            listed = self.api.get("%s/%s/pods" % (NAMESPACES, namespace))["items"]
            pods = {_node_of(item): item for item in listed if not item["metadata"].get("deletionTimestamp")}
            runs = {name: item for name, item in pods.items() if name in nodes and rules.running(item)}
            # Do not wait for a node that the API does not reach: it takes a while until a lost node is reported.
            if set(wanted) - silent <= set(runs) or time.monotonic() > self.deadline:
                break
            time.sleep(min(1.0, 0.1 + len(wanted) / 500))
        seconds = time.monotonic() - began
        for name in wanted:
            if name in runs:
                self.checks.append(_addressed(name, nodes[name], _addresses(runs[name])))
            else:
                text = "no pod was ready within %d s: %s" % (seconds, self._why(namespace, pods.get(name)))
                self.checks.append(check("pod", FAIL, text, name, rules.kubelet_hint(nodes[name])))
        return {name: {"ips": _addresses(item), "uid": item["metadata"]["uid"]} for name, item in runs.items()}

    def _why(self, namespace: str, pod: Object | None) -> str:
        """Return a pod's state and its last warning event: only the event says that its network could not be set up."""
        if pod is None:
            return "none was created; look at the logs of kube-controller-manager and kube-scheduler"
        path = "%s/%s/events?fieldSelector=involvedObject.name%%3D%s" % (NAMESPACES, namespace, pod["metadata"]["name"])
        try:
            events = [item["message"] for item in self.api.get(path)["items"] if item.get("type") == "Warning"]
        except ApiError:
            events = []
        return "; ".join([rules.why(pod)] + events[-1:])


def _addresses(pod: Object) -> list[str]:
    """Return the addresses of a pod, one of each family.

    https://kubernetes.io/docs/concepts/services-networking/dual-stack/
    """
    return [item["ip"] for item in pod["status"].get("podIPs") or [{"ip": pod["status"]["podIP"]}]]


def _addressed(name: str, node: Object, addresses: list[str]) -> Check:
    """Check that a running pod has an address in each pod network of its node."""
    networks = (node.get("spec") or {}).get("podCIDRs") or []
    if len(addresses) < len(networks):
        text = "its pod has only %s, but the node's pod networks are %s" % (addresses[0], ", ".join(networks))
        return check("pod", FAIL, text, name, "look at the network plugin's configuration in /etc/cni/net.d there")
    return check("pod", OK, "runs at %s" % ", ".join(addresses), name)


def begin(
    api: Api,
    nodes: list[str],
    control_planes: list[str],
    timeout: float,
    image: str = "",
    make_pods: bool = True,
) -> dict[str, Any]:
    """Check the cluster as a whole and start a pod on every node.

    Return {checks, namespace, pods, service_ips, port}. make_pods: False creates no pods. Others: see Verification.
    """
    verification = Verification(api, nodes, control_planes, timeout, image)
    begun: Dict[str, Any] = {
        "checks": verification.checks,
        "namespace": None,
        "pods": {},
        "service_ips": [],
        "port": PORT,
    }
    try:
        if make_pods:
            begun["namespace"] = _started(verification)
        found = verification.read()
        if begun["namespace"]:
            service = api.get("%s/%s/services/%s" % (NAMESPACES, begun["namespace"], NAME))
            begun["service_ips"] = service["spec"].get("clusterIPs") or [service["spec"]["clusterIP"]]
            begun["pods"] = verification.wait(begun["namespace"], found)
        verification.checks += backups.checks(api)
        # Last: while everything starts, a small machine's kubelet is slow to answer.
        verification.kubelets(found)
    except ApiError as error:
        verification.checks.append(check("API", FAIL, str(error), hint=paths.here().api_server_hint))
    verification.etcd()
    return begun


def _started(verification: Verification) -> str | None:
    """Return the namespace of the pods; None and a failed check if the API refuses them. Raise ApiError if silent."""
    try:
        sweep(verification.api)
        return verification.start()
    except ApiError as error:
        if error.status is None:
            raise
        hint = "the message names what refuses it"
        verification.checks.append(check("pod", FAIL, "the pods cannot be created: %s" % error, hint=hint))
        return None


def end(api: Api, namespace: str) -> None:
    """Delete the pods and everything else in their namespace, without waiting for it. Raise ApiError."""
    api.delete("%s/%s" % (NAMESPACES, namespace))


def sweep(api: Api) -> None:
    """Delete what a killed run left behind. A younger namespace may belong to a run that is still going on."""
    for item in api.get(NAMESPACES + "?labelSelector=" + MARK)["items"]:
        if not item["metadata"].get("deletionTimestamp") and _age(item) > LEFTOVER_SECONDS:
            end(api, item["metadata"]["name"])


def _age(item: Object) -> float:
    created = calendar.timegm(time.strptime(item["metadata"]["creationTimestamp"], "%Y-%m-%dT%H:%M:%SZ"))
    return time.time() - created


def _young(node: Object) -> bool:
    return _age(node) < rules.YOUNG_SECONDS


def _node_of(pod: Object) -> str | None:
    return pod["spec"].get("nodeName") or _bound(pod)


def _bound(pod: Object) -> str | None:
    """Return the node that a DaemonSet's pod is meant for before the scheduler has assigned it."""
    try:
        terms = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
            "nodeSelectorTerms"
        ]
        return terms[0]["matchFields"][0]["values"][0]
    except (KeyError, IndexError):
        return None


def objects(namespace: str, image: str) -> list[tuple[str, Object]]:
    """Return [(path to create it at, object)]: namespace, service account, DaemonSet and Service."""
    labels = {"app.kubernetes.io/name": NAME}
    here = {"namespace": namespace, "name": NAME, "labels": labels}
    place = "%s/%s" % (NAMESPACES, namespace)
    space = {"name": namespace, "labels": {MARK: "true", "pod-security.kubernetes.io/enforce": "privileged", **labels}}
    ports = [{"name": kind.lower(), "protocol": kind, "port": PORT, "targetPort": PORT} for kind in ("UDP", "TCP")]
    families = {"ipFamilyPolicy": "PreferDualStack"}  # both families if the cluster has them
    spec = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod_spec(image)}}
    return [
        (NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": space}),
        # One of our own: the namespace's default account is created a moment later, and no pod starts without one.
        (place + "/serviceaccounts", {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": here}),
        (
            "/apis/apps/v1/namespaces/%s/daemonsets" % namespace,
            {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": here, "spec": spec},
        ),
        (
            place + "/services",
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": here,
                "spec": {"selector": labels, "ports": ports, **families},
            },
        ),
    ]


def pod_spec(image: str) -> dict[str, Any]:
    """Return the spec of the pods: CoreDNS without configuration answers with the asker's address (plugin whoami)."""
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
                # The program file has this capability; the kernel does not start it in a container without it.
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
