# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait until a kubeadm node serves again after a change. Standard library only.

The node itself is asked: its kubelet, its own API server (the endpoint may lead to another one), the containers of its
static pods and its etcd member.
"""

from __future__ import annotations

import re
from typing import Any

from ..api import etcd, gate, kubernetes, readiness
from ..api.kubernetes import Api, ApiError
from ..base.masking import masked_message
from ..base.text_files import read_text
from ..node import paths, services
from ..node.services import Process
from . import static_pods
from .runner import STATIC_PODS, KubeadmError, Runner
from .static_pods import Containers

PODS = "/api/v1/namespaces/kube-system/pods?labelSelector=tier%3Dcontrol-plane&fieldSelector=spec.nodeName%3D"
HASH = "kubernetes.io/config.hash"


class Gate:
    """The gate of one node. etcd_cluster: the ID of its etcd cluster before the change, "" if it was unknown."""

    def __init__(self, runner: Runner, name: str, control_plane: bool, etcd_cluster: str = "") -> None:
        self.runner, self.name, self.control_plane, self.etcd_cluster = runner, name, control_plane, etcd_cluster

    def wait(self, timeout: float) -> None:
        """Wait until the node serves. Raise KubeadmError with the last problem after `timeout` seconds."""
        problem = static_pods.wait_until(self.problem, timeout)
        if problem:
            raise KubeadmError("%s is not healthy after %d s: %s" % (self.name, timeout, masked_message(problem)))

    def problem(self) -> str:
        """Return why this node does not serve yet; "" if it does."""
        try:
            return gate.settled(lambda: self._process("kubelet"), "its kubelet", self._ask)
        except ApiError as error:
            return str(error)

    def _process(self, unit: str) -> Process | None:
        return services.here().process(unit)

    def _ask(self, process: Process) -> str:
        runtime = self._process("containerd")
        problem = gate.process_problem(runtime, "its containerd")
        if problem or runtime is None:
            return problem
        if not self.control_plane:
            # The kubelet's own kubeconfig: a worker has no other, and no API server.
            return gate.kubelet_problem(self.runner.api("kubelet.conf"), self.name, process, runtime.started)
        problem = self.runner.api_problem()
        if problem:
            return problem
        containers = static_pods.running(self.runner, self.name)
        changed = max([runtime.started, *(container.created for container in containers.values())])
        api = self.own_api()
        return (
            self._static_pods_problem(api, containers)
            or gate.kubelet_problem(api, self.name, process, changed)
            or self._etcd_problem()
        )

    def own_api(self) -> Api:
        """Return a client that asks this node's own API server and no other."""
        own = kubernetes.local_server(self.runner.root + paths.API_SERVER_MANIFEST)
        return Api([own], self.runner.kubernetes + "/admin.conf", timeout=5, patience=0)

    def _static_pods(self) -> list[str]:
        """Return the static pods that this control plane has: all four, without etcd if that runs elsewhere."""
        return [name for name in STATIC_PODS if name != "etcd" or self._has_etcd()]

    def _has_etcd(self) -> bool:
        servers = re.search(r"--etcd-servers=(\S+)", read_text(self.runner.root + paths.API_SERVER_MANIFEST))
        return self.runner.has("manifests/etcd.yaml") or bool(
            servers and re.search(r"//(127\.0\.0\.1|localhost|\[::1\])[:/]", servers.group(1) + "/")
        )

    def _static_pods_problem(self, api: Api, containers: Containers) -> str:
        """Check that the API has each static pod, that it is Ready, and that it is the one whose container runs."""
        expected = self._static_pods()
        missing = [name for name in expected if not self.runner.has("manifests/%s.yaml" % name)]
        if missing:
            return "its static pods have no manifest (%s)" % ", ".join(missing)
        stopped = [name for name in expected if name not in containers]
        if stopped:
            return "its static pods do not run (%s)" % ", ".join(stopped)
        ready = {component(pod): pod for pod in api.get(PODS + self.name)["items"] if is_serving(pod)}
        waiting = [name for name in expected if name not in ready]
        if waiting:
            return "its static pods are not ready (%s)" % ", ".join(waiting)
        old = [name for name in expected if hash_of(ready[name]) != containers[name].pod]
        return "the API does not know its new static pods yet (%s)" % ", ".join(old) if old else ""

    def _etcd_problem(self) -> str:
        if not self._has_etcd():
            return ""
        return gate.etcd_problem(
            lambda: etcd.local(self.runner.kubernetes), self.name, self.etcd_cluster, lambda name: name == self.name
        )


def component(pod: dict[str, Any]) -> str:
    """Return what a static pod is, by the label that kubeadm gives it."""
    return str((pod["metadata"].get("labels") or {}).get("component"))


def is_serving(pod: dict[str, Any]) -> bool:
    """Return True if a pod is Ready and not about to go."""
    return readiness.is_ready(pod) and not pod["metadata"].get("deletionTimestamp")


def hash_of(pod: dict[str, Any]) -> str:
    """Return the hash of the manifest that a static pod was made of, as the kubelet notes it in the API."""
    return str((pod["metadata"].get("annotations") or {}).get(HASH))
