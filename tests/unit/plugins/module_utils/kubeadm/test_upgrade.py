# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kubeadm upgrade on one node: what kubeadm is told, and what is left behind."""

from __future__ import annotations

import json
import os

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.base.commands import Result
from ansible_collections.kubewright.cluster.plugins.module_utils.kubeadm import upgrade
from ansible_collections.kubewright.cluster.plugins.module_utils.kubeadm.runner import KubeadmError, Runner
from ansible_collections.kubewright.cluster.plugins.module_utils.kubeadm.upgrade import Step, Upgrade
from ansible_collections.kubewright.cluster.plugins.module_utils.node import paths

STEP = Step("apply", "1.37.2", "3.7.0-0", True, ["Swap", "Mem"], "")


class Gate:
    """A gate that is passed. running: version of the API server."""

    name = "cp1"

    def __init__(self):
        self.waited, self.running = [], "v1.37.2"

    def wait(self, timeout):
        self.waited.append(timeout)

    def own_api(self):
        return self

    def get(self, _path):
        return {"gitVersion": self.running}


class Member:
    """The node's etcd. version: of its process."""

    version = "3.7.0"
    lists = ([],)

    def members(self):
        return self.lists[0] if len(self.lists) == 1 else self.lists.pop(0)

    def own_status(self):
        return {"version": self.version}


@pytest.fixture
def node(tmp_path, monkeypatch):
    """A control plane with etcd 3.6.8. commands: what was run, with the configuration of each."""
    root = str(tmp_path)
    for path in (paths.MANIFESTS, paths.KUBELET_DATA, "/run"):
        os.makedirs(root + path)
    with open(root + paths.MANIFESTS + "/etcd.yaml", "w", encoding="utf-8") as stream:
        stream.write("spec:\n  containers:\n  - name: etcd\n    image: registry.k8s.io/etcd:3.6.8-0\n")
    commands, rcs = [], []

    def run(argv, **_more):
        config = None
        if "--config" in argv:
            with open(argv[argv.index("--config") + 1], encoding="utf-8") as stream:
                config = stream.read()
        commands.append((argv, config))
        os.makedirs("%s/etc/kubernetes/tmp/kubeadm-backup-etcd-%d" % (root, len(commands)))
        return Result(rcs.pop(0) if rcs else 0, "", "it failed")

    made = Upgrade(Runner(root, run, "/opt/kubewright/1.37.2/kubeadm"), Gate())
    made.commands, made.rcs, made.root, made.member = commands, rcs, root, Member()
    monkeypatch.setattr(upgrade.etcd, "local", lambda _root: made.member)
    return made


def test_apply_changes_the_static_pods_and_not_the_kubelets_file(node):
    node.control_plane(STEP, 30)
    [(argv, config)] = node.commands
    assert argv[:3] == ["/opt/kubewright/1.37.2/kubeadm", "upgrade", "apply"] and argv[-1] == "--yes"
    made = json.loads(config)
    assert made["apply"]["kubernetesVersion"] == "v1.37.2" and made["apply"]["etcdUpgrade"] is True
    assert made["apply"]["skipPhases"] == ["kubelet-config"] and made["timeouts"] == {"upgradeManifests": "30s"}
    assert made["apply"]["ignorePreflightErrors"] == ["Mem", "Swap"] and node.gate.waited == [30]


@pytest.mark.parametrize("kind", ["apply", "node"])
def test_the_users_patches_are_given_again(node, kind):
    """kubeadm does not remember them, and static pods that it writes without them lose what they had."""
    node.control_plane(STEP._replace(kind=kind, patches="/etc/patches"), 30)
    assert json.loads(node.commands[0][1])[kind]["patches"] == {"directory": "/etc/patches"}
    node.control_plane(STEP, 30)
    assert "patches" not in json.loads(node.commands[1][1])["apply"]
    node.kubelet(30, "/etc/patches")
    assert node.commands[-1][0][1:] == ["upgrade", "node", "phase", "kubelet-config", "--patches", "/etc/patches"]


def test_an_etcd_that_has_the_image_is_not_restarted(node):
    node.control_plane(STEP._replace(kind="node", etcd_tag="3.6.8-0", addons=False), 30)
    made = json.loads(node.commands[0][1])["node"]
    assert made["etcdUpgrade"] is False and made["skipPhases"] == ["kubelet-config", "addon"]
    assert "kubernetesVersion" not in made and "--yes" not in node.commands[0][0]


def test_the_configuration_is_stored_first(node):
    node.control_plane(STEP._replace(upload="token: @token@"), 30)
    argv, config = node.commands[0]
    assert argv[1:5] == ["init", "phase", "upload-config", "kubeadm"] and "@token@" not in config
    assert node.commands[1][0][1:3] == ["upgrade", "apply"]


def test_copies_are_deleted_once_the_node_serves_and_those_of_others_stay(node):
    others = node.root + "/etc/kubernetes/tmp/kubeadm-backup-etcd-of-somebody"
    os.makedirs(others)
    node.control_plane(STEP, 30)
    assert os.listdir(node.root + "/etc/kubernetes/tmp") == ["kubeadm-backup-etcd-of-somebody"]


def test_copies_stay_after_a_failure(node):
    node.rcs.append(1)
    with pytest.raises(KubeadmError, match="it failed"):
        node.control_plane(STEP, 30)
    assert os.listdir(node.root + "/etc/kubernetes/tmp") == ["kubeadm-backup-etcd-1"] and not node.gate.waited


@pytest.mark.parametrize("api,etcd,why", [("v1.36.3", "3.7.0", "API server"), ("v1.37.2", "3.6.8", "etcd has version")])
def test_a_process_with_another_version_is_a_failure(node, monkeypatch, api, etcd, why):
    monkeypatch.setattr(upgrade.static_pods, "wait_until", lambda problem, _timeout: problem())
    node.gate.running, node.member.version = api, etcd
    with pytest.raises(KubeadmError, match=why):
        node.control_plane(STEP, 30)


@pytest.mark.parametrize(
    "after, why",
    [
        (["1", "2"], "etcd has lost the members cp3 since the change began"),
        (["1", "2", "3", "9"], "etcd has the new members cp9 since the change began"),
        (["1", "2", "3"], ""),
    ],
)
def test_a_step_that_costs_or_brings_members_ends_the_run(node, after, why):
    """Removed members came back with etcd 3.6: https://github.com/k3s-io/k3s/issues/13485"""
    members = {number: {"ID": number, "name": "cp" + number} for number in ("1", "2", "3", "9")}
    before, now = ([members[number] for number in numbers] for numbers in (("1", "2", "3"), after))
    node.member.lists = [before, now, now]
    if why:
        with pytest.raises(KubeadmError, match=why):
            node.control_plane(STEP, 30)
    else:
        node.control_plane(STEP, 30)
    node.member.lists = [before, now]
    node.control_plane(STEP._replace(etcd_tag=""), 30)  # etcd stays


def test_a_newer_patch_of_etcd_than_the_tag_is_fine(node):
    node.member.version = "3.6.14"
    node.control_plane(STEP._replace(etcd_tag="3.6.11-0"), 30)


def test_the_kubelet_loses_the_flag_that_newer_ones_do_not_know(node):
    flags = node.root + paths.KUBELET_FLAGS
    with open(flags, "w", encoding="utf-8") as stream:
        stream.write(
            'KUBELET_KUBEADM_ARGS="--node-ip=10.0.0.1 --pod-infra-container-image=registry.k8s.io/pause:3.10.1"\n'
        )
    os.chmod(flags, 0o600)
    node.kubelet(30)
    with open(flags, encoding="utf-8") as stream:
        assert stream.read() == 'KUBELET_KUBEADM_ARGS="--node-ip=10.0.0.1"\n'
    assert os.stat(flags).st_mode & 0o777 == 0o600 and not upgrade.strip_flags(flags)
    assert node.commands[-1][0][1:] == ["upgrade", "node", "phase", "kubelet-config"]


def test_a_node_without_an_api_server_is_settled(node):
    assert node.settle(5) == ""
