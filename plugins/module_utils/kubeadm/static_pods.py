# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers of a control plane's static pods, and waiting for changed ones. Standard library only."""

from __future__ import annotations

import json
import time
from typing import Callable, Dict, List, NamedTuple, Tuple

from ..api.kubernetes import ApiError
from ..base.text_files import read_text
from ..node import paths
from .runner import STATIC_PODS, KubeadmError, Runner

CRICTL = paths.PROGRAMS + "/crictl"


class Container(NamedTuple):
    """A container of a static pod. pod: the pod's UID, which is the hash of its manifest. created: seconds since 1970.

    key: the runtime's ID of the container.

    pkg/kubelet/config/common.go (applyDefaults) of kubernetes/kubernetes
    """

    pod: str
    created: float
    running: bool
    key: str = ""


Containers = Dict[str, Container]


def reconfigure(runner: Runner, name: str, config: str, timeout: float) -> None:
    """Write the static pods again, and wait until the kubelet runs those whose manifests differ. Raise KubeadmError."""
    former, manifests = latest(runner, name), _manifests(runner)
    runner.reconfigure(config, timeout)
    changed = [kind for kind, text in _manifests(runner).items() if text != manifests[kind]]

    def problem() -> str:
        try:
            now = running(runner, name)
        except ApiError as error:
            return str(error)
        old = [kind for kind in changed if kind not in now or kind in former and now[kind].pod == former[kind].pod]
        return "the kubelet has not started the changed static pods (%s)" % ", ".join(old) if old else ""

    last = wait_until(problem, timeout)
    if last:
        raise KubeadmError("%s: %s within %d s" % (name, last, timeout))


def _manifests(runner: Runner) -> Dict[str, str]:
    return {kind: read_text("%s/manifests/%s.yaml" % (runner.kubernetes, kind)) for kind in STATIC_PODS}


def wait_until(problem_of: Callable[[], str], timeout: float) -> str:
    """Ask once a second until nothing is wrong. Return the last problem after `timeout` seconds, or ""."""
    deadline = time.monotonic() + timeout
    while True:
        problem = problem_of()
        if not problem or time.monotonic() > deadline:
            return problem
        time.sleep(1)


def latest(runner: Runner, name: str) -> Containers:
    """Return the newest container of each static pod of this node, also one that has ended. Raise KubeadmError."""
    found: Containers = {}
    for kind, container in every(runner, name):
        if kind not in found or container.created > found[kind].created:
            found[kind] = container
    return found


def every(runner: Runner, name: str) -> List[Tuple[str, Container]]:
    """Return (static pod, container) of all containers of this node's static pods. Raise KubeadmError.

    The kubelet's labels: pkg/kubelet/kuberuntime/labels.go of kubernetes/kubernetes
    """
    listed = runner.run([CRICTL, "ps", "-a", "-o", "json"], 15)
    try:
        rows = json.loads(listed.out)["containers"] or [] if listed.rc == 0 else None
    except (ValueError, KeyError, TypeError):
        rows = None
    if rows is None:
        raise KubeadmError("containerd does not list its containers: %s" % (listed.complaint() or listed.out[:200]))
    found: List[Tuple[str, Container]] = []
    for row in rows:
        labels, kind = row.get("labels") or {}, (row.get("metadata") or {}).get("name")
        if labels.get("io.kubernetes.pod.name") != "%s-%s" % (kind, name.lower()) or kind not in STATIC_PODS:
            continue
        created, pod = int(row.get("createdAt") or 0) / 1e9, labels.get("io.kubernetes.pod.uid") or ""
        running_now = row.get("state") == "CONTAINER_RUNNING"
        found.append((kind, Container(pod, created, running_now, row.get("id") or "")))
    return found


def stop(runner: Runner, name: str, kind: str, seconds: int) -> None:
    """End the containers of a static pod, so that the kubelet starts a new one at once. Raise KubeadmError.

    The manifest stays where it is: a run that is killed leaves nothing to be put back. Containers that have ended are
    removed, because the kubelet counts the time that it waits before a restart from them: doBackOff in
    pkg/kubelet/kuberuntime/kuberuntime_manager.go of kubernetes/kubernetes. seconds: after so long it is killed.
    """
    for one, container in every(runner, name):
        if one == kind and container.running:
            done = runner.run([CRICTL, "stop", "--timeout", str(seconds), container.key], seconds + 30)
            still = [row.key for found, row in every(runner, name) if found == kind and row.running]
            if done.rc and container.key in still:
                raise KubeadmError("%s on %s does not stop: %s" % (kind, name, done.complaint(1)))
    for one, container in every(runner, name):
        if one == kind and not container.running:
            runner.run([CRICTL, "rm", container.key], 30)


def running(runner: Runner, name: str) -> Containers:
    """Return each static pod's newest container, if it runs. Raise ApiError if none can be listed."""
    try:
        return {kind: container for kind, container in latest(runner, name).items() if container.running}
    except KubeadmError as error:
        raise ApiError(str(error)) from None
