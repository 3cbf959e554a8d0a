# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data of a cluster are lost on all control planes, and one command brings it back from an archive."""

from __future__ import annotations

import os
import re
import time

from running import containers, distribution, groups, inputs, kubectl, objects, on, playbook

LOSS = {
    "kubeadm": "rm -rf /var/lib/etcd/member; pkill -9 -x etcd; sleep 3",
    "k3s": "systemctl stop k3s; rm -rf /var/lib/rancher/k3s/server/db",
}
# An external database runs on the worker's machine.
DROPPED = {
    "postgresql": "cd / && runuser -u postgres -- psql -qd k3s -c 'DROP TABLE kine'",
    "mariadb": "mariadb k3s -e 'DROP TABLE kine'",
}
# An etcd that lost its data begins an empty cluster, which serves.
MORE = {"kubeadm": ["-e", "restore_overwrite=true"], "k3s": []}


def lose(worker):
    """Lose the cluster's data."""
    if inputs().get("k3s_datastore_endpoint"):
        on("kube_control_plane", "systemctl stop k3s")
        on(worker, DROPPED[os.environ.get("KUBEWRIGHT_DATABASE") or "postgresql"])
    else:
        on("kube_control_plane", LOSS[distribution()])


def ready(host):
    return kubectl(host, "get deployment restored -o jsonpath='{.status.readyReplicas}'").strip()


def test_a_lost_cluster_comes_back(tmp_path):
    planes, worker = groups()["kube_control_plane"]["hosts"], groups()["kube_node"]["hosts"][0]
    first = planes[0]
    kubectl(first, "create configmap before --from-literal=a=b")
    kubectl(first, "create deployment restored --image=registry.k8s.io/pause:3.10.2 --replicas=2")
    kubectl(first, "rollout status deployment restored --timeout=120s")
    playbook("backup", "-e", f"backup_dir={tmp_path}")
    [archive] = tmp_path.glob("*.tar.gz")
    before, running = objects(first), containers(worker)
    kubectl(first, "create configmap after --from-literal=a=b")
    lose(worker)
    name = re.match(r"(.+)-[0-9a-f]{8}-\d{8}T\d{6}Z", archive.name).group(1)
    wanted = ["-e", f"restore_archive={archive}", "-e", f"restore_confirm={name}", *MORE[distribution()]]
    changes, output = playbook("restore", *wanted)
    assert "is healthy: " in output and "as many as were saved" in output
    assert changes[worker] == 0
    assert objects(first) == before
    assert containers(worker) == running
    # What watches the API notices changes of now, not only what it knew.
    kubectl(first, "scale deployment restored --replicas=3")
    deadline = time.monotonic() + 60
    while ready(first) != "3":
        assert time.monotonic() < deadline, "the deployment is not scaled"
        time.sleep(1)
    again, output = playbook("site")
    assert set(again.values()) == {0}, output
