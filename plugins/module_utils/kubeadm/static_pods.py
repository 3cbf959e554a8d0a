# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers of a control plane's static pods, and waiting for changed ones. Standard library only."""

from __future__ import annotations

import json
import time
from typing import Callable, Dict, NamedTuple

from ..api.kubernetes import ApiError
from ..base.text_files import read_text
from ..node import paths
from .runner import STATIC_PODS, KubeadmError, Runner


class Container(NamedTuple):
    """A container of a static pod. pod: the pod's UID, which is the hash of its manifest. created: seconds since 1970.

    pkg/kubelet/config/common.go (applyDefaults) of kubernetes/kubernetes
    """

    pod: str
    created: float
    running: bool


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
    """Return the newest container of each static pod of this node, also one that has ended. Raise KubeadmError.

    The kubelet's labels: pkg/kubelet/kuberuntime/labels.go of kubernetes/kubernetes
    """
    listed = runner.run([paths.PROGRAMS + "/crictl", "ps", "-a", "-o", "json"], 15)
    try:
        rows = json.loads(listed.out)["containers"] or [] if listed.rc == 0 else None
    except (ValueError, KeyError, TypeError):
        rows = None
    if rows is None:
        raise KubeadmError("containerd does not list its containers: %s" % (listed.complaint() or listed.out[:200]))
    found: Containers = {}
    for row in rows:
        labels, kind = row.get("labels") or {}, (row.get("metadata") or {}).get("name")
        if labels.get("io.kubernetes.pod.name") != "%s-%s" % (kind, name.lower()) or kind not in STATIC_PODS:
            continue
        created = int(row.get("createdAt") or 0) / 1e9
        if kind not in found or created > found[kind].created:
            running_now = row.get("state") == "CONTAINER_RUNNING"
            found[kind] = Container(labels.get("io.kubernetes.pod.uid") or "", created, running_now)
    return found


def running(runner: Runner, name: str) -> Containers:
    """Return each static pod's newest container, if it runs. Raise ApiError if none can be listed."""
    try:
        return {kind: container for kind, container in latest(runner, name).items() if container.running}
    except KubeadmError as error:
        raise ApiError(str(error)) from None
