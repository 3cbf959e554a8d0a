# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change the version of one kubeadm node: its control plane, and later its kubelet. Standard library only.

Every step can be repeated after a run that was killed: kubeadm leaves manifests that are right as they are.
https://kubernetes.io/docs/reference/config-api/kubeadm-config.v1beta4/#kubeadm-k8s-io-v1beta4-UpgradeConfiguration
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
import shutil
import time
from typing import Any, Dict, Iterator, List, NamedTuple

from ..api import etcd, tls
from ..api.kubernetes import ApiError
from ..base.masking import masked_message
from ..base.text_files import read_text
from ..node import paths
from . import static_pods
from .gate import Gate
from .runner import KubeadmError, Runner, new_token

# The longest that an API server takes after its manifest was changed.
RESTART_SECONDS = 60
# kubeadm keeps copies of manifests and of etcd's data there.
TEMPORARY = "/tmp/kubeadm-*"
# Flags that newer kubelets do not know: kubeadm wrote this one until 1.34, and only kubeadm 1.35 takes it out again.
# cmd/kubeadm/app/phases/upgrade/postupgrade.go of kubernetes/kubernetes 1.35
OLD_FLAGS = re.compile(r"\s*--pod-infra-container-image=[^\s\"]+")


class Step(NamedTuple):
    """One step of one control plane.

    kind: kubeadm's command, apply or node. version: such as 1.37.2. etcd_tag: of etcd's image; empty if etcd stays.
    addons: CoreDNS and kube-proxy follow. ignored: preflight checks that need not pass. upload: ClusterConfiguration to
    store first, empty for none. patches: directory on the node with the user's patches, empty for none.
    """

    kind: str
    version: str
    etcd_tag: str
    addons: bool
    ignored: List[str]
    upload: str
    patches: str = ""


def configuration(step: Step, etcd_upgrade: bool, timeout: int) -> Dict[str, Any]:
    """Return the UpgradeConfiguration of a step.

    The kubelet's file changes together with the kubelet, not before: an older kubelet may not read a newer file.
    kubeadm does not remember patches: without them the static pods lose what they had.
    """
    part: Dict[str, Any] = {
        "certificateRenewal": True,
        "etcdUpgrade": etcd_upgrade,
        "ignorePreflightErrors": sorted(step.ignored),
        "imagePullPolicy": "IfNotPresent",
        "imagePullSerial": False,
        "skipPhases": ["kubelet-config"] + ([] if step.addons else ["addon"]),
    }
    if step.patches:
        part["patches"] = {"directory": step.patches}
    if step.kind == "apply":
        part["kubernetesVersion"] = "v" + step.version
    return {
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "UpgradeConfiguration",
        step.kind: part,
        "timeouts": {"upgradeManifests": "%ds" % timeout},
    }


def image_tag(manifest: str) -> str:
    """Return the tag of the image in a static pod's manifest, empty if it has none."""
    found = re.search(r"^\s*image:\s*[\"']?\S+:([^\s\"'@]+)", manifest, re.M)
    return found.group(1) if found else ""


class Upgrade:
    """The upgrade of one node. gate: waits until the node serves."""

    def __init__(self, runner: Runner, gate: Gate) -> None:
        self.runner, self.gate = runner, gate

    def settle(self, timeout: float) -> str:
        """Wait for what a killed run left running: its kubeadm, and the static pods that it changed.

        Return why the API server does not serve yet, "" if it does or if the node has none. Raise OwnershipError.
        """
        with self.runner.lock(timeout):
            if not self.runner.has("manifests/kube-apiserver.yaml"):
                return ""
            return static_pods.wait_until(self.runner.api_problem, min(timeout, RESTART_SECONDS))

    def control_plane(self, step: Step, timeout: int) -> None:
        """Change the static pods and wait until the new version serves. Raise KubeadmError or OwnershipError."""
        with self.runner.lock(timeout), self._without_copies():
            if step.upload:
                self._upload(step.upload)
            own = image_tag(read_text(self.runner.kubernetes + "/manifests/etcd.yaml"))
            wanted = bool(step.etcd_tag) and own != step.etcd_tag
            text, before = json.dumps(configuration(step, wanted, timeout)), self._members(step)
            with self.runner.config_file(text) as path:
                arguments = ["upgrade", step.kind, "--config", path]
                self.runner.kubeadm(arguments + (["--yes"] if step.kind == "apply" else []), 4 * timeout)
            self.gate.wait(timeout)
            self._await_versions(step, timeout)
            self._compare_members(before, self._members(step))

    def _members(self, step: Step) -> Dict[str, str]:
        """Return etcd's members by ID; {} if etcd stays as it is, or is silent."""
        if not step.etcd_tag:
            return {}
        try:
            return etcd.names_by_id(etcd.local(self.runner.kubernetes).members())
        except tls.NO_ANSWER:
            return {}

    def _compare_members(self, before: Dict[str, str], now: Dict[str, str]) -> None:
        """Raise KubeadmError if the step has cost or brought members, before the next control plane follows."""
        if not before or not now:
            return
        wrong = etcd.lost_reason(before, now) or etcd.returned_reason(before, now)
        if wrong:
            text = "%s: %s. Compare them with your control planes (etcdctl member list) before you go on."
            raise KubeadmError(text % (self.gate.name, wrong))

    def _upload(self, text: str) -> None:
        with self.runner.config_file(text.replace("@token@", new_token())) as path:
            admin = ["--kubeconfig", self.runner.kubernetes + "/admin.conf"]
            self.runner.kubeadm(["init", "phase", "upload-config", "kubeadm", "--config", path, *admin], 120)

    @contextlib.contextmanager
    def _without_copies(self) -> Iterator[None]:
        """Delete the copies that kubeadm makes in here, once the node serves again."""
        before = set(glob.glob(self.runner.kubernetes + TEMPORARY))
        yield
        for path in set(glob.glob(self.runner.kubernetes + TEMPORARY)) - before:
            shutil.rmtree(path, ignore_errors=True)

    def _await_versions(self, step: Step, timeout: int) -> None:
        problem = static_pods.wait_until(lambda: self._version_problem(step), timeout)
        if problem:
            raise KubeadmError("%s: %s after %d s" % (self.gate.name, masked_message(problem), timeout))

    def _version_problem(self, step: Step) -> str:
        """Return which of the node's own processes has not the wanted version; "" if none."""
        try:
            running = str(self.gate.own_api().get("/version").get("gitVersion"))
        except ApiError as error:
            return str(error)
        if running != "v" + step.version:
            return "its API server has version %s, not v%s" % (running, step.version)
        if not step.etcd_tag:
            return ""
        try:
            client = etcd.local(self.runner.kubernetes)
            client.members()
            there = str(client.own_status().get("version"))
        except tls.NO_ANSWER as error:
            return "its etcd does not answer: %s" % (error or type(error).__name__)
        return "" if numbers(there) >= numbers(step.etcd_tag) else "its etcd has version %s" % there

    def kubelet(self, timeout: float, patches: str = "") -> None:
        """Bring the kubelet's files to the version of the installed kubeadm, before its restart. Raise KubeadmError.

        patches: directory on the node with the user's patches, empty for none.
        """
        more = ["--patches", patches] if patches else []
        with self.runner.lock(timeout), self._without_copies():
            strip_flags(self.runner.root + paths.KUBELET_FLAGS)
            self.runner.kubeadm(["upgrade", "node", "phase", "kubelet-config", *more], timeout)


def numbers(text: str) -> List[int]:
    """Return [3, 6, 11] of 3.6.11-0."""
    return [int(part) for part in re.findall(r"\d+", text.partition("-")[0])]


def strip_flags(path: str) -> bool:
    """Take the flags that newer kubelets do not know out of kubeadm's file. Return True if there were any."""
    text = read_text(path)
    new = OLD_FLAGS.sub("", text)
    if new == text:
        return False
    temporary = "%s.%d" % (path, time.time_ns())
    with open(temporary, "w", encoding="utf-8") as stream:
        os.fchmod(stream.fileno(), os.stat(path).st_mode & 0o777)
        stream.write(new)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)
    return True
