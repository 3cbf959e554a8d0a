# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Join a node with kubeadm, and resume or undo a join that was left half done. Standard library only."""

from __future__ import annotations

import time
from typing import Any

from ..api.kubernetes import ApiError
from ..base.masking import masked_message
from ..node import paths
from ..node.ownership import OwnershipError
from . import undo
from .runner import KubeadmError, Runner

# kubeadm refuses a name whose Node is Ready (cmd/kubeadm/app/cmd/phases/join/kubelet.go). A Node is Ready for 50 s
# after its kubelet's last report: --node-monitor-grace-period of kube-controller-manager.
STILL_READY, STILL_READY_SECONDS = 'and status "Ready" already exists', 90


def joined(runner: Runner, name: str, control_plane: bool) -> bool:
    """Return True if this node's join was completed. Raise ApiError if only the API knows and does not answer."""
    if not runner.has_kubelet_identity():
        return False
    if not control_plane:
        return True
    if not runner.has("admin.conf", "manifests/kube-apiserver.yaml", "manifests/etcd.yaml"):
        return False
    node = runner.api("admin.conf", timeout=15).get("/api/v1/nodes/" + name, missing_ok=True)
    return "node-role.kubernetes.io/control-plane" in (((node or {}).get("metadata") or {}).get("labels") or {})


def join(
    runner: Runner, config: str, secret: dict[str, str], name: str, clean: bool, timeout: float, place: dict[str, Any]
) -> bool:
    """Join this node, or finish a half-done join. Return True if anything was done.

    clean: first remove what the half-done join left (its etcd member too), for when resuming did not help.
    place: {control_plane, address, others}, others being the addresses of the other control planes.
    """
    with runner.lock(timeout):
        try:
            if joined(runner, name, place["control_plane"]):
                undo.end(runner.root)
                return False
        except ApiError as error:
            # Going on is harmless. But silence does not show that the join is half done, so nothing is removed.
            if clean:
                text = "cannot find out whether %s joined: %s. Nothing was removed. Run again when the API answers."
                raise KubeadmError(text % (name, masked_message(str(error)))) from error
        if clean and runner.half_done():
            _undo(runner, name, timeout, place)
        if not runner.half_done():
            undo.begin(runner.root, name)
        for key in ("token", "ca_hash", "certificate_key"):
            config = config.replace("@%s@" % key, secret[key])
        phases: list[str] = []
        if runner.has_kubelet_identity():
            # The kubelet's bootstrap refuses a node that exists. If the kubelet does not start, join says so.
            phases.append("--skip-phases=kubelet-start,kubelet-wait-bootstrap")
            runner.run(["systemctl", "start", "kubelet"], 30)
        with runner.config_file(config) as path:
            _begin(runner, path, phases, timeout)
        undo.end(runner.root)
    return True


def _begin(runner: Runner, path: str, phases: list[str], timeout: float) -> None:
    """Run kubeadm join. After a reset the Node of this name stays Ready for a while: wait until it is not."""
    deadline = time.monotonic() + STILL_READY_SECONDS
    while True:
        try:
            runner.kubeadm(["join", "--config", path, *runner.ignored_preflight(), *phases], timeout)
            return
        except KubeadmError as error:
            if STILL_READY not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(5)


def _undo(runner: Runner, name: str, timeout: float, place: dict[str, Any]) -> None:
    """Remove what the collection's own unfinished join left, after its etcd member. Raise KubeadmError before."""
    try:
        if not undo.is_ours(runner.root, name):
            raise undo.UndoError("it has traces of a cluster that no unfinished join of the collection left")
        client = undo.others(runner.root, place["others"]) if place["control_plane"] else None
        if client:
            undo.leave(client, name, place["address"])
    except (undo.UndoError, OwnershipError) as error:
        text = (
            "%s: the join failed and is not undone: %s. Nothing was removed. Correct that and run again, or reset "
            "the node (kubewright.cluster.reset --limit)."
        )
        raise KubeadmError(text % (name, masked_message(str(error)))) from error
    runner.kubeadm(["reset", "--force", "--cri-socket", "unix://" + paths.CONTAINERD_SOCKET], timeout)
